"""Every compressed transfer syntax that imagecodecs can write; Pillow decodes what is lossy, where it can."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO

import imagecodecs
import numpy as np
from PIL import Image
from pydicom import uid

from .synthetic import Case, make_frames

Encode = Callable[[np.ndarray, int], bytes]
Decode = Callable[[bytes, int], np.ndarray]
JPEGXL_LOSSLESS, JPEGXL = (uid.UID(f"1.2.840.10008.1.2.4.{n}") for n in (110, 112))
WAVES = np.sin(np.arange(36) / 9)[:, None] * np.cos(np.arange(52) / 7)
NEAR = 3


def encode_rle(words: np.ndarray, bits: int = 0) -> bytes:
    """Return an RLE frame of literal runs (PS3.5 annex G)."""
    planes = words.reshape(*words.shape[:2], -1).transpose(2, 0, 1)
    segments = []
    for plane in planes:
        for byte in reversed(range(words.dtype.itemsize)):
            data = ((plane >> (8 * byte)) & 255).astype(np.uint8).tobytes()
            runs = b"".join(bytes([len(data[i : i + 128]) - 1]) + data[i : i + 128] for i in range(0, len(data), 128))
            segments.append(runs + b"\0" * (len(runs) % 2))
    offsets = 64 + np.cumsum([0, *map(len, segments[:-1])])
    header = np.zeros(16, "<u4")
    header[0], header[1 : 1 + len(segments)] = len(segments), offsets
    return header.tobytes() + b"".join(segments)


def jpeg2000(kind: str, **options) -> Encode:
    return lambda a, bits: imagecodecs.jpeg2k_encode(
        a, codecformat=kind, bitspersample=bits, mct=a.ndim == 3, **options
    )


LOSSLESS: dict[str, tuple[str, Encode]] = {
    "RLE": (uid.RLELossless, encode_rle),
    "JPEG lossless": (uid.JPEGLossless, lambda a, bits: imagecodecs.ljpeg_encode(a, bitspersample=bits)),
    "JPEG lossless SV1": (uid.JPEGLosslessSV1, lambda a, bits: imagecodecs.ljpeg_encode(a, bitspersample=bits)),
    "JPEG-LS": (uid.JPEGLSLossless, lambda a, bits: imagecodecs.jpegls_encode(a)),
    "JPEG 2000": (uid.JPEG2000Lossless, jpeg2000("j2k", reversible=True)),
    "JPEG 2000 in boxes": (uid.JPEG2000Lossless, jpeg2000("jp2", reversible=True)),
    "HTJ2K": (uid.HTJ2KLossless, lambda a, bits: imagecodecs.htj2k_encode(a, reversible=True)),
    "HTJ2K RPCL": (uid.HTJ2KLosslessRPCL, lambda a, bits: imagecodecs.htj2k_encode(a, reversible=True)),
    "JPEG XL": (JPEGXL_LOSSLESS, lambda a, bits: imagecodecs.jpegxl_encode(a, lossless=True, bitspersample=bits)),
    "JPEG XL in boxes": (JPEGXL_LOSSLESS, lambda a, bits: imagecodecs.jpegxl_encode(
        a, lossless=True, bitspersample=bits, usecontainer=True)),
}  # fmt: skip


def by_pillow(data: bytes, bits: int) -> np.ndarray:
    """Return what Pillow decodes, YCbCr where a JPEG holds that; it scales 12-bit JPEG 2000 to 16 bits."""
    image = Image.open(BytesIO(data))
    if image.format == "JPEG" and image.mode == "RGB":
        image.draft("YCbCr", image.size)
    return np.asarray(image)


LOSSY: dict[str, tuple[str, tuple[int, ...], Encode, Decode]] = {
    "JPEG baseline": (uid.JPEGBaseline8Bit, (8,), lambda a, bits: imagecodecs.jpeg8_encode(a, level=90), by_pillow),
    "JPEG extended": (uid.JPEGExtended12Bit, (8,), lambda a, bits: imagecodecs.jpeg8_encode(a, level=90), by_pillow),
    "JPEG extended 12 bits": (uid.JPEGExtended12Bit, (12,), lambda a, bits: imagecodecs.jpeg8_encode(
        a, level=90, bitspersample=12), lambda data, bits: imagecodecs.jpeg8_decode(data)),
    "JPEG-LS near-lossless": (uid.JPEGLSNearLossless, (8, 12, 16), lambda a, bits: imagecodecs.jpegls_encode(
        a, level=NEAR), lambda data, bits: imagecodecs.jpegls_decode(data)),
    "JPEG 2000 lossy": (uid.JPEG2000, (8, 12, 16), jpeg2000("j2k", level=60),
                        lambda data, bits: by_pillow(data, bits) >> (4 if bits == 12 else 0)),
    "HTJ2K lossy": (uid.HTJ2K, (8, 12, 16), lambda a, bits: imagecodecs.htj2k_encode(a, level=0.001), by_pillow),
    "JPEG XL lossy": (JPEGXL, (8, 12, 16), lambda a, bits: imagecodecs.jpegxl_encode(
        a, distance=1.0, bitspersample=bits), lambda data, bits: imagecodecs.jpegxl_decode(data)),
}  # fmt: skip
"""Name → (transfer syntax, depths, encoder, decoder that a test believes)."""


def smooth(bits: int, signed: bool = False) -> np.ndarray:
    """Return (1,H,W) smooth values that fill most of ``bits``."""
    half = 1 << (bits - 1)
    values = np.rint(0.9 * half * WAVES + (0 if signed else half))
    return values.astype(f"{'i' if signed else 'u'}{1 if bits <= 8 else 2}")[None]


def colours() -> np.ndarray:
    """Return (1,H,W,3) smooth 8-bit RGB."""
    grey = smooth(8)
    return np.stack([grey, grey[:, ::-1], 255 - grey // 2], axis=-1)


def cases() -> Iterator[Case]:
    """Yield every case on codecs."""
    window = {"WindowCenter": 1500, "WindowWidth": 900}
    for name, (syntax, encode) in LOSSLESS.items():
        for bits in (8, 12, 16):
            yield _case(f"{name}: {bits} bits", smooth(bits), bits, syntax, encode)
        yield _case(f"{name}: window", smooth(12), 12, syntax, encode, **window)
        yield _case(f"{name}: MONOCHROME1", smooth(12), 12, syntax, encode, PhotometricInterpretation="MONOCHROME1")
        frames = np.concatenate([smooth(12), smooth(12)[:, ::-1] // 2])
        yield _case(f"{name}: two frames", frames, 12, syntax, encode, **window)
        if "XL" not in name:
            yield _case(f"{name}: signed", smooth(12, True), 12, syntax, _unsigned(encode, 12))
        if not name.startswith("JPEG lossless"):
            photometric = "YBR_RCT" if "2000" in name or "HTJ2K" in name else "RGB"
            yield _case(f"{name}: colour", colours(), 8, syntax, encode, PhotometricInterpretation=photometric)
    yield _case("RLE: YBR_FULL", colours(), 8, uid.RLELossless, encode_rle, PhotometricInterpretation="YBR_FULL")
    yield _case("JPEG 2000: sign in the stream", smooth(12, True), 12, uid.JPEG2000Lossless, LOSSLESS["JPEG 2000"][1])
    yield from _lossy()


def _lossy() -> Iterator[Case]:
    for name, (syntax, depths, encode, decode) in LOSSY.items():
        for bits in depths:
            yield _case(f"{name}: {bits} bits", smooth(bits), bits, syntax, encode, decode)
        bits = depths[-1]
        inverse = {"PhotometricInterpretation": "MONOCHROME1"}
        yield _case(f"{name}: MONOCHROME1", smooth(bits), bits, syntax, encode, decode, **inverse)
        window = {"WindowCenter": 0.4 * 2**bits, "WindowWidth": 0.5 * 2**bits}
        yield _case(f"{name}: window", smooth(bits), bits, syntax, encode, decode, **window)
        if 8 in depths:
            photometric = {"JPEG baseline": "YBR_FULL_422", "JPEG extended": "YBR_FULL_422",
                           "JPEG 2000 lossy": "YBR_ICT", "HTJ2K lossy": "YBR_ICT"}.get(name, "RGB")  # fmt: skip
            colour = {"PhotometricInterpretation": photometric}
            yield _case(f"{name}: colour", colours(), 8, syntax, encode, decode, **colour)


def _unsigned(encode: Encode, bits: int) -> Encode:
    """Return an encoder of the bit patterns of signed values."""
    return lambda a, depth: encode((a.astype(np.int64) & ((1 << bits) - 1)).astype(np.uint16), depth)


def _case(
    name: str, values: np.ndarray, bits: int, syntax: str, encode: Encode, decode: Decode | None = None, **tags
) -> Case:
    dataset = make_frames(values, encode=lambda frame: encode(frame, bits), syntax=syntax, BitsStored=bits, **tags)
    stored = values if decode is None else np.stack([decode(encode(frame, bits), bits) for frame in values])
    low = -(1 << (bits - 1)) if values.dtype.kind == "i" else 0
    return Case(name, dataset, np.clip(stored.astype(np.int64), low, (1 << bits) - 1))
