"""Stored values in their words: bits, sign, high bit, overlays, padding, byte order (PS3.3 C.7.6.3.1, PS3.5 8.1)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydicom import uid

from .synthetic import Case, make_frames

SHAPE = (12, 16)
WINDOWS = {"": {}, " window": {"WindowCenter": 0.4, "WindowWidth": 0.5}}
NATIVE = {
    "implicit": uid.ImplicitVRLittleEndian,
    "explicit": uid.ExplicitVRLittleEndian,
    "big endian": uid.ExplicitVRBigEndian,
    "deflated": uid.DeflatedExplicitVRLittleEndian,
}
HIGH_BITS = ((16, 12, 15), (16, 12, 13), (16, 10, 15), (16, 8, 15), (16, 8, 11), (16, 15, 15), (16, 1, 7),
             (8, 6, 7), (8, 4, 6), (32, 12, 31), (32, 20, 23))  # fmt: skip
OVERLAYS = ((16, 12, 11), (16, 10, 9), (16, 8, 7), (16, 12, 13), (16, 15, 14), (8, 6, 5), (8, 4, 5), (32, 24, 23))
PADDED = {
    "value": {"PixelPaddingValue": 0},
    "range": {"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 500},
    "range downwards": {"PixelPaddingValue": 4095, "PixelPaddingRangeLimit": 3000},
    "in the middle": {"PixelPaddingValue": 1500, "PixelPaddingRangeLimit": 1700},
    "value that does not occur": {"PixelPaddingValue": 1},
    "beyond the stored bits": {"PixelPaddingValue": 5000},
}
SIGNED_PADDED = {
    "signed value": {"PixelPaddingValue": -2048},
    "signed range": {"PixelPaddingValue": -2048, "PixelPaddingRangeLimit": -1000},
}


def ramp(bits: int, signed: bool, allocated: int) -> np.ndarray:
    """Return (1,H,W) values from the lowest to the highest that ``bits`` hold."""
    low = -(1 << (bits - 1)) if signed else 0
    values = np.rint(np.linspace(low, low + (1 << bits) - 1, SHAPE[0] * SHAPE[1]))
    kind = "i" if signed else "u"
    return values.astype(f"{kind}{max(allocated // 8, 1)}").reshape(1, *SHAPE)


def cases() -> Iterator[Case]:
    """Yield every case on samples."""
    yield from _bits()
    for allocated, bits, high in HIGH_BITS:
        for signed in (False, True)[: 1 + (bits > 1)]:
            yield from _windowed(f"high bit: {high}, {bits} of {allocated}", allocated, bits, signed, HighBit=high)
    for allocated, bits, high in OVERLAYS:
        for signed in (False, True):
            yield _overlay(allocated, bits, high, signed)
    for name, tags in PADDED.items():
        yield from _padded(name, ramp(12, False, 16), tags)
    for name, tags in SIGNED_PADDED.items():
        yield from _padded(name, ramp(12, True, 16), tags)
    for label, syntax in NATIVE.items():
        for allocated, bits in ((8, 8), (8, 6), (16, 12), (16, 16), (32, 32)):
            for signed in (False, True):
                yield from _windowed(f"byte order: {label} {bits} bits", allocated, bits, signed, syntax=syntax)


def _bits() -> Iterator[Case]:
    bit = (np.arange(192).reshape(1, *SHAPE) % 3 == 0).astype(np.uint8)
    dataset = make_frames(bit, BitsStored=1)
    dataset.BitsAllocated, dataset.PixelData = 1, np.packbits(bit, bitorder="little").tobytes()
    yield Case("bits stored: 1 of 1", dataset, bit.astype(np.int64))
    for allocated in (8, 16, 32):
        for bits in (17, 20, 24, 32) if allocated == 32 else range(1, allocated + 1):
            for signed in (False, True)[: 1 + (bits > 1)]:
                yield from _windowed(f"bits stored: {bits} of {allocated}", allocated, bits, signed)


def _windowed(name: str, allocated: int, bits: int, signed: bool, **tags) -> Iterator[Case]:
    """Yield a case without and, from 4 bits on, one with a window, which is given in parts of the range."""
    stored = ramp(bits, signed, allocated)
    low, span = int(stored.min()), 1 << bits
    for label, window in WINDOWS.items():
        if window and (bits < 4 or (name.startswith("bits stored: ") and bits % 3)):
            continue
        placed = {"WindowCenter": round(low + 0.4 * span), "WindowWidth": round(0.5 * span)} if window else {}
        dataset = make_frames(stored, BitsStored=bits, **tags, **placed)
        yield Case(f"{name}{' signed' if signed else ''}{label}", dataset, stored.astype(np.int64))


def _overlay(allocated: int, bits: int, high: int, signed: bool) -> Case:
    stored = ramp(bits, signed, allocated)
    dataset = make_frames(stored, BitsStored=bits, HighBit=high)
    words = np.frombuffer(dataset.PixelData, f"<u{allocated // 8}")
    noise = np.random.default_rng(bits).integers(0, 1 << allocated, words.size, dtype=np.uint64).astype(words.dtype)
    used = ((1 << bits) - 1) << (high + 1 - bits)
    drawn = np.where(np.arange(words.size) % 2, words | (noise & ~np.array(used, words.dtype)), words)
    dataset.PixelData = drawn.astype(words.dtype).tobytes()
    sign = " signed" if signed else ""
    return Case(f"overlay bits: {bits} of {allocated}, high bit {high}{sign}", dataset, stored.astype(np.int64))


def _padded(name: str, stored: np.ndarray, tags: dict[str, int]) -> Iterator[Case]:
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        for label, window in (("", {}), (" window", {"WindowCenter": 1200, "WindowWidth": 1800})):
            dataset = make_frames(stored, BitsStored=12, PhotometricInterpretation=photometric, **tags, **window)
            yield Case(f"padding: {name} {photometric}{label}", dataset, stored.astype(np.int64))
