"""Modality, VOI and presentation transformations of grey images (PS3.3 C.11.1, C.11.2, C.11.6)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydicom import Dataset

from .cases_samples import ramp
from .synthetic import Case, make_frames, make_lut

GREY, SIGNED = ramp(12, False, 16), ramp(12, True, 16)
SLOPES = (1, 2, 0.5, 0.684, 10, 0.001, -1, -0.25)
INTERCEPTS = (0, -1024, 100.5)
NARROW = ((1500, 1), (1500, 2), (1500.5, 2), (1500, 3), (1500, 4), (1500.5, 10), (2047, 41.5))
WIDE = ((1500, 400), (1500, 900), (2048, 4096), (2047.5, 4095), (100, 10000), (-500, 3000), (4500, 1000), (2000, 1e5))
FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
INVALID = {
    "width 0": {"WindowCenter": 100, "WindowWidth": 0},
    "width negative": {"WindowCenter": 100, "WindowWidth": -5},
    "width below 1": {"WindowCenter": 1500, "WindowWidth": 0.5},
    "width 0 exact": {"WindowCenter": 100, "WindowWidth": 0, "VOILUTFunction": "LINEAR_EXACT"},
    "width 0 sigmoid": {"WindowCenter": 100, "WindowWidth": 0, "VOILUTFunction": "SIGMOID"},
    "centre without width": {"WindowCenter": 100},
    "width without centre": {"WindowWidth": 100},
    "first of two": {"WindowCenter": [100, 1500], "WindowWidth": [0, 900]},
    "both of two": {"WindowCenter": [100, 1500], "WindowWidth": [0, -1]},
    "two centres, one width": {"WindowCenter": [1500, 100], "WindowWidth": 900},
    "above all values": {"WindowCenter": 90000, "WindowWidth": 10},
    "below all values": {"WindowCenter": -90000, "WindowWidth": 10},
}
POLARITY = {
    "plain": (GREY, {}),
    "window": (GREY, {"WindowCenter": 1500, "WindowWidth": 900}),
    "sigmoid": (GREY, {"WindowCenter": 1500, "WindowWidth": 900, "VOILUTFunction": "SIGMOID"}),
    "rescale": (GREY, {"RescaleSlope": -2, "RescaleIntercept": 4095}),
    "modality LUT": (GREY, {"ModalityLUTSequence": ([4095 - i for i in range(4096)], 0, 12)}),
    "VOI LUT": (GREY, {"VOILUTSequence": ([i * i // 4096 for i in range(4096)], 0, 12)}),
    "signed": (SIGNED, {"WindowCenter": 40, "WindowWidth": 1400}),
    "8 bits": (ramp(8, False, 8), {"BitsStored": 8}),
    "16 bits": (ramp(16, False, 16), {"BitsStored": 16}),
}


def grey_case(name: str, stored: np.ndarray, **tags) -> Case:
    """Return a case of 12 bits unless ``tags`` say otherwise."""
    return Case(name, make_frames(stored, **{"BitsStored": 12, **tags}), stored.astype(np.int64))


def packed(entries: list[int], first: int) -> Dataset:
    """Return a table of 8-bit entries, two to a word."""
    item = make_lut(entries, first, 8)
    item["LUTData"].value = bytes(entries) + b"\0" * (len(entries) % 2)
    return item


def modality_table(item: Dataset) -> Dataset:
    item.ModalityLUTType = "US"
    return item


def curve(count: int, bits: int) -> list[int]:
    """Return entries that rise along a square root from 0 to the highest."""
    return [int(((1 << bits) - 1) * (i / (count - 1)) ** 0.5) for i in range(count)]


def cases() -> Iterator[Case]:
    """Yield every case on contrast."""
    yield from _rescale()
    yield from _modality_tables()
    yield from _voi_tables()
    for function in FUNCTIONS:
        for c, w in NARROW + WIDE:
            tags = {"WindowCenter": c, "WindowWidth": w, "VOILUTFunction": function}
            size = "narrow" if (c, w) in NARROW else "wide"
            yield grey_case(f"window {function}: {size} {c}/{w:g}", GREY, **tags)
            if (c, w) in WIDE[:5]:
                yield grey_case(f"window {function}: signed {c}/{w:g}", SIGNED, **tags)
    several = {"WindowCenter": [1500, 100, 9], "WindowWidth": [900, 50, 3]}
    for function in FUNCTIONS:
        yield grey_case(f"window {function}: first of three", GREY, **several, VOILUTFunction=function)
    for name, tags in INVALID.items():
        yield grey_case(f"invalid window: {name}", GREY, **tags)
    for name, (stored, tags) in POLARITY.items():
        for photometric in ("MONOCHROME1", "MONOCHROME2"):
            for shape in ("", "IDENTITY", "INVERSE"):
                yield _polarity(name, stored, tags, photometric, shape)


def _polarity(name: str, stored: np.ndarray, tags: dict[str, object], photometric: str, shape: str) -> Case:
    built = {key: [make_lut(*value)] if key.endswith("Sequence") else value for key, value in tags.items()}
    for item in built.get("ModalityLUTSequence", []):
        modality_table(item)
    shown = {"PresentationLUTShape": shape} if shape else {}
    label = f"polarity: {photometric} {shape or 'no shape'} {name}"
    return grey_case(label, stored, PhotometricInterpretation=photometric, **shown, **built)


def _rescale() -> Iterator[Case]:
    for slope in SLOPES:
        for intercept in INTERCEPTS:
            tags = {"RescaleSlope": slope, "RescaleIntercept": intercept}
            window = {"WindowCenter": 1500 * slope + intercept, "WindowWidth": max(1800 * abs(slope), 1.5)}
            for label, stored in (("", GREY), (" signed", SIGNED)):
                yield grey_case(f"rescale: {slope}/{intercept}{label}", stored, **tags)
                yield grey_case(f"rescale: {slope}/{intercept}{label} window", stored, **tags, **window)


def _modality_tables() -> Iterator[Case]:
    for bits in (8, 9, 10, 12, 14, 16):
        for first, stored in ((0, GREY), (100, GREY), (-512, SIGNED)):
            item = modality_table(make_lut(curve(1024, bits), first, bits, first_signed=first < 0))
            window = {"WindowCenter": 0.5 * 2**bits, "WindowWidth": 0.6 * 2**bits}
            yield grey_case(f"modality LUT: {bits} bits from {first}", stored, ModalityLUTSequence=[item])
            yield grey_case(
                f"modality LUT: {bits} bits from {first} window", stored, ModalityLUTSequence=[item], **window
            )
    for count in (256, 255):
        item = modality_table(packed(curve(count, 8), 0))
        yield grey_case(f"modality LUT: packed {count}", ramp(8, False, 8), BitsStored=8, ModalityLUTSequence=[item])
    every = modality_table(make_lut(curve(65536, 16), 0, 16))
    deep = ramp(16, False, 16)
    yield grey_case("modality LUT: 65536 entries", deep, BitsStored=16, ModalityLUTSequence=[every])


def _voi_tables() -> Iterator[Case]:
    for bits in range(8, 17):
        for first in (0, 500):
            item = make_lut(curve(2048, bits), first, bits)
            yield grey_case(f"VOI LUT: {bits} bits from {first}", GREY, VOILUTSequence=[item])
        item = make_lut(curve(2048, bits), -1024, bits, first_signed=True)
        yield grey_case(f"VOI LUT: {bits} bits signed", SIGNED, VOILUTSequence=[item])
    yield grey_case("VOI LUT: [4096, 0, 8] in words", GREY, VOILUTSequence=[make_lut(curve(4096, 8), 0, 8)])
    yield grey_case("VOI LUT: [4096, 0, 8] packed", GREY, VOILUTSequence=[packed(curve(4096, 8), 0)])
    yield grey_case("VOI LUT: [4095, 0, 8] packed", GREY, VOILUTSequence=[packed(curve(4095, 8), 0)])
    small = ramp(8, False, 8)
    yield grey_case("VOI LUT: [256, 0, 8] packed", small, BitsStored=8, VOILUTSequence=[packed(curve(256, 8), 0)])
    big = grey_case("VOI LUT: 65536 entries", ramp(16, False, 16), BitsStored=16,
                    VOILUTSequence=[make_lut(curve(65536, 16), 0, 16)])  # fmt: skip
    yield big
    falling = make_lut(curve(4096, 12)[::-1], 0, 12)
    yield grey_case("VOI LUT: falling", GREY, VOILUTSequence=[falling])
    two = [make_lut(curve(4096, 12), 0, 12), falling]
    yield grey_case("VOI LUT: first of two", GREY, VOILUTSequence=two)
    yield grey_case("VOI LUT: before a window", GREY, VOILUTSequence=two, WindowCenter=9, WindowWidth=9)
    hounsfield = make_lut(curve(2048, 12), -1024, 12, first_signed=True)
    yield grey_case("VOI LUT: after rescale", GREY, VOILUTSequence=[hounsfield], RescaleSlope=1, RescaleIntercept=-1024)
    halved = make_lut(curve(2048, 10), 0, 10)
    yield grey_case(
        "VOI LUT: after a fractional slope", GREY, VOILUTSequence=[halved], RescaleSlope=0.4, RescaleIntercept=0
    )
    modality = modality_table(make_lut([i // 4 for i in range(4096)], 0, 10))
    squared = make_lut([i * i // 256 for i in range(1024)], 0, 12)
    yield grey_case("VOI LUT: after a modality LUT", GREY, ModalityLUTSequence=[modality], VOILUTSequence=[squared])
