"""RGB, YBR and PALETTE COLOR (PS3.3 C.7.6.3.1.2, C.7.6.3.1.5, C.7.9)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydicom import uid

from .cases_samples import ramp
from .synthetic import Case, make_frames

SHAPE = (1, 12, 16)
CHANNELS = ("Red", "Green", "Blue")


def pixels(bits: int, low: float = 0, high: float = 1) -> np.ndarray:
    """Return (1,H,W,3) random samples between two parts of the range."""
    noise = np.random.default_rng(bits).uniform(low, high, (*SHAPE, 3))
    return np.rint(noise * ((1 << bits) - 1)).astype(np.uint8 if bits <= 8 else np.uint16)


def cases() -> Iterator[Case]:
    """Yield every case on colour."""
    for bits in (8, 6, 16, 12):
        for planar in (0, 1):
            yield _samples(f"RGB: {bits} bits planar {planar}", pixels(bits), bits, planar, "RGB")
    grey = pixels(8)[..., :1].repeat(3, axis=-1)
    yield _samples("RGB: equal channels", grey, 8, 0, "RGB")
    yield _samples("RGB: big endian", pixels(8), 8, 0, "RGB", syntax=uid.ExplicitVRBigEndian)
    yield _samples("RGB: big endian 16 bits", pixels(16), 16, 0, "RGB", syntax=uid.ExplicitVRBigEndian)
    for planar in (0, 1):
        yield _samples(f"YBR_FULL: planar {planar}", pixels(8), 8, planar, "YBR_FULL")
        yield _samples(f"YBR_FULL: pale planar {planar}", pixels(8, 0.4, 0.6), 8, planar, "YBR_FULL")
    for name, ends in (("all", (0, 1)), ("pale", (0.4, 0.6))):
        yield _subsampled(f"YBR_FULL_422: {name}", pixels(8, *ends))
    yield from _palettes()


def _samples(name: str, stored: np.ndarray, bits: int, planar: int, photometric: str, **tags) -> Case:
    dataset = make_frames(
        stored, BitsStored=bits, PlanarConfiguration=planar, PhotometricInterpretation=photometric, **tags
    )
    if planar:
        dataset.PixelData = np.ascontiguousarray(stored.transpose(0, 3, 1, 2)).tobytes()
    return Case(name, dataset, stored.astype(np.int64))


def _subsampled(name: str, stored: np.ndarray) -> Case:
    stored = stored.copy()
    stored[:, :, 1::2, 1:] = stored[:, :, ::2, 1:]
    dataset = make_frames(stored, PhotometricInterpretation="YBR_FULL_422")
    dataset.PixelData = stored.reshape(-1, 6)[:, [0, 3, 1, 2]].tobytes()
    return Case(name, dataset, stored.astype(np.int64))


def _palettes() -> Iterator[Case]:
    for bits in (8, 16):
        for allocated, stored_bits in ((8, 8), (16, 16), (16, 12), (8, 4)):
            for first in (0, 10):
                for count in (256, 99):
                    yield _palette(bits, allocated, stored_bits, first, count)
    yield _palette(16, 16, 16, 0, 65536)
    yield _palette(8, 8, 8, 0, 256, packed=True)
    yield _palette(8, 8, 8, 0, 99, packed=True)
    # a discrete segment, a linear one, and an indirect one that repeats both
    segments = {8: [0, 2, 0, 40, 1, 98, 250, 2, 2, 0, 0, 0, 0], 16: [0, 2, 0, 9000, 1, 98, 64000, 2, 2, 0, 0]}
    for bits, codes in segments.items():
        for stored_bits in (8, 6):
            yield _segmented(bits, stored_bits, codes)


def _palette(bits: int, allocated: int, stored_bits: int, first: int, count: int, packed: bool = False) -> Case:
    stored = ramp(stored_bits, False, allocated)
    tags: dict[str, object] = {"PhotometricInterpretation": "PALETTE COLOR"}
    rng = np.random.default_rng([bits, count])
    for channel in CHANNELS:
        entries = rng.integers(0, 1 << bits, count)
        data = entries.astype(np.uint8 if packed else "<u2").tobytes()
        tags[f"{channel}PaletteColorLookupTableDescriptor"] = [count % 65536, first, bits]
        tags[f"{channel}PaletteColorLookupTableData"] = data + b"\0" * (len(data) % 2)
    dataset = make_frames(stored, BitsStored=stored_bits, **tags)
    label = (
        f"{count} entries of {bits} bits from {first}{' packed' if packed else ''}, {stored_bits} of {allocated} bits"
    )
    return Case(f"PALETTE COLOR: {label}", dataset, stored.astype(np.int64))


def _segmented(bits: int, stored_bits: int, codes: list[int]) -> Case:
    stored = ramp(stored_bits, False, 8)
    tags: dict[str, object] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for k, channel in enumerate(CHANNELS):
        turned = [*codes[:3], codes[3] // (k + 1), *codes[4:6], codes[6] // (k + 1), *codes[7:]]
        data = np.array(turned).astype(np.uint8 if bits == 8 else "<u2").tobytes()
        tags[f"{channel}PaletteColorLookupTableDescriptor"] = [200, 0, bits]
        tags[f"Segmented{channel}PaletteColorLookupTableData"] = data + b"\0" * (len(data) % 2)
    dataset = make_frames(stored, BitsStored=stored_bits, **tags)
    return Case(f"PALETTE COLOR: segmented {bits} bits, {stored_bits} stored", dataset, stored.astype(np.int64))
