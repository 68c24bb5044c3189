"""Several frames, and functional groups that describe each (PS3.3 C.7.6.6, C.7.6.16)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydicom import Dataset

from .cases_samples import ramp
from .synthetic import Case, make_frames, make_lut

FRAMES = np.concatenate([ramp(12, False, 16)[:, ::-1], ramp(12, False, 16), ramp(12, False, 16) // 3])
WINDOWS = ((1500, 900), (300, 100), (2048, 4096))
RESCALES = ((1, 0), (2, -1024), (-0.5, 100))
CURVES = ([i * i // 4096 for i in range(4096)], list(range(4096))[::-1], [i // 2 for i in range(4096)])
PER_FRAME, SHARED = "PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"


def item(**tags) -> Dataset:
    dataset = Dataset()
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    return dataset


def window(center: float, width: float, **more) -> dict[str, list[Dataset]]:
    return {"FrameVOILUTSequence": [item(WindowCenter=center, WindowWidth=width, **more)]}


def rescale(slope: float, intercept: float) -> dict[str, list[Dataset]]:
    values = item(RescaleSlope=slope, RescaleIntercept=intercept, RescaleType="US")
    return {"PixelValueTransformationSequence": [values]}


def cases() -> Iterator[Case]:
    """Yield every case on frames."""
    for allocated, bits in ((8, 8), (16, 12), (16, 16), (32, 24)):
        stored = np.concatenate([ramp(bits, False, allocated)[:, ::-1], ramp(bits, False, allocated)])
        yield _case(f"several frames: {bits} bits", stored, BitsStored=bits)
        yield _case(f"several frames: {bits} bits MONOCHROME1", stored, BitsStored=bits,
                    PhotometricInterpretation="MONOCHROME1")  # fmt: skip
    yield _case("several frames: one window", FRAMES, WindowCenter=1500, WindowWidth=900)
    yield _case(
        "several frames: RGB", np.random.default_rng(0).integers(0, 256, (3, 12, 16, 3), dtype=np.uint8), BitsStored=8
    )
    for shape in ((12, 16), (5, 7)):  # the second ends inside a byte
        bits = (np.random.default_rng(1).random((3, *shape)) < 0.5).astype(np.uint8)
        dataset = make_frames(bits, BitsStored=1)
        dataset.BitsAllocated, dataset.PixelData = 1, np.packbits(bits, bitorder="little").tobytes()
        dataset.PixelData += b"\0" * (len(dataset.PixelData) % 2)
        yield Case(f"several frames: single bits {shape[0]}×{shape[1]}", dataset, bits.astype(np.int64))
    yield from _grouped()


def _grouped() -> Iterator[Case]:
    windows = [window(*pair) for pair in WINDOWS]
    rescales = [rescale(*pair) for pair in RESCALES]
    both = [{**a, **b} for a, b in zip(windows, rescales, strict=True)]
    for photometric in ("MONOCHROME2", "MONOCHROME1"):
        name = f"functional groups: {photometric}"
        tags = {"PhotometricInterpretation": photometric}
        yield _case(f"{name} no macros", FRAMES, groups=[{}] * 3, **tags)
        yield _case(f"{name} shared window", FRAMES, shared=windows[0], groups=[{}] * 3, **tags)
        yield _case(f"{name} shared rescale", FRAMES, shared=rescales[1], groups=[{}] * 3, **tags)
        yield _case(f"{name} shared window and rescale", FRAMES, shared=both[1], groups=[{}] * 3, **tags)
        yield _case(f"{name} window per frame", FRAMES, groups=windows, **tags)
        yield _case(f"{name} rescale per frame", FRAMES, groups=rescales, **tags)
        yield _case(f"{name} both per frame", FRAMES, groups=both, **tags)
        yield _case(f"{name} shared rescale, window per frame", FRAMES, shared=rescales[1], groups=windows, **tags)
        yield _case(f"{name} frame before shared", FRAMES, shared=windows[2], groups=[*windows[:2], {}], **tags)
        yield _case(f"{name} functions per frame", FRAMES, **tags, groups=[
            window(1500, 900, VOILUTFunction=function) for function in ("LINEAR", "LINEAR_EXACT", "SIGMOID")
        ])  # fmt: skip
        yield _case(f"{name} frame before top level", FRAMES, groups=windows, WindowCenter=9, WindowWidth=9, **tags)
    tables = [{"FrameVOILUTSequence": [item(VOILUTSequence=[make_lut(entries, 0, 12)])]} for entries in CURVES]
    yield _case("functional groups: VOI LUT per frame", FRAMES, groups=tables)
    yield _case(
        "functional groups: VOI LUT per frame before a window", FRAMES, groups=tables, WindowCenter=9, WindowWidth=9
    )
    yield _case("functional groups: window per frame before a VOI LUT", FRAMES, groups=windows, VOILUTSequence=[
        make_lut(CURVES[1], 0, 12)
    ])  # fmt: skip
    yield _case("functional groups: one frame", FRAMES[:1], groups=both[:1])


def _case(name: str, stored: np.ndarray, groups=None, shared=None, **tags) -> Case:
    if groups is not None:
        tags |= {SHARED: [item(**(shared or {}))], PER_FRAME: [item(**group) for group in groups]}
    return Case(name, make_frames(stored, **{"BitsStored": 12, **tags}), stored.astype(np.int64))
