"""A second renderer, written slowly from PS3.3 C.7.6.3, C.7.9, C.11.1, C.11.2, C.11.6; it shares no code with ours."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from pydicom import Dataset
from pydicom.uid import ExplicitVRBigEndian

YBR = ("YBR_FULL", "YBR_FULL_422")


def render(dataset: Dataset, stored: np.ndarray, frame: int = 0) -> np.ndarray:
    """Return one frame as displayed, (H,W) grey or (H,W,3) RGB, float64 in 0…1.

    Args:
        dataset: what describes it.
        stored: (H,W) or (H,W,3) stored values of this frame, as integers with their sign.
        frame: its index from 0, for functional groups.
    """
    photometric = dataset.PhotometricInterpretation
    if photometric.startswith("MONOCHROME"):
        shown: Callable[..., object] = memo(grey(dataset, frame))
        return np.array([[shown(int(value)) for value in row] for row in stored], np.float64)
    white = 2**dataset.BitsStored - 1
    if photometric == "PALETTE COLOR":
        tables = [palette(dataset, name) for name in ("Red", "Green", "Blue")]
        shown = memo(lambda value: [at(entries, value - first) / top for entries, first, top in tables])
    elif photometric in YBR:
        shown = memo(lambda y, cb, cr: [part / white for part in rgb_of_ybr(y, cb, cr, white)])
    else:
        shown = memo(lambda *rgb: [part / white for part in rgb])
    samples = stored[..., None] if stored.ndim == 2 else stored
    return np.array([[shown(*map(int, pixel)) for pixel in row] for row in samples], np.float64)


def memo(function: Callable[..., object]) -> Callable[..., object]:
    known: dict[tuple[int, ...], object] = {}

    def remembered(*values: int) -> object:
        if values not in known:
            known[values] = function(*values)
        return known[values]

    return remembered


def grey(dataset: Dataset, frame: int) -> Callable[[int], float]:
    """Return stored value → displayed grey: padding, C.11.1, C.11.2, C.11.6."""
    padding = dataset.get("PixelPaddingValue")
    ends = (padding, dataset.get("PixelPaddingRangeLimit", padding))
    to_modality, limits = modality(dataset, frame)
    shown = of_interest(dataset, frame, limits)
    shape = dataset.get("PresentationLUTShape")
    inverse = shape == "INVERSE" if shape else dataset.PhotometricInterpretation == "MONOCHROME1"

    def displayed(value: int) -> float:
        if padding is not None and min(ends) <= value <= max(ends):
            return 0.0
        level = shown(to_modality(value))
        return 1 - level if inverse else level

    return displayed


def stated(dataset: Dataset, frame: int, macro: str) -> Dataset:
    """Return what states this frame's transformation: its own functional group, the shared one, or the top level."""
    own = dataset.get("PerFrameFunctionalGroupsSequence", [])[frame : frame + 1]
    for group in [*own, *dataset.get("SharedFunctionalGroupsSequence", [])]:
        if macro in group:
            return group[macro][0]
    return dataset


def modality(dataset: Dataset, frame: int) -> tuple[Callable[[int], float], tuple[float, float]]:
    """C.11.1.1: the modality LUT, or output = slope · stored + intercept; and the lowest and highest output."""
    if "ModalityLUTSequence" in dataset:
        entries, first, top = table(dataset.ModalityLUTSequence[0], dataset.PixelRepresentation == 1)
        return lambda value: at(entries, value - first), (0.0, float(top))
    item = stated(dataset, frame, "PixelValueTransformationSequence")
    slope, intercept = float(item.get("RescaleSlope", 1)), float(item.get("RescaleIntercept", 0))
    bits = dataset.BitsStored
    low = -(2 ** (bits - 1)) if dataset.PixelRepresentation else 0
    ends = sorted(value * slope + intercept for value in (low, low + 2**bits - 1))
    return lambda value: value * slope + intercept, (ends[0], ends[1])


def of_interest(dataset: Dataset, frame: int, limits: tuple[float, float]) -> Callable[[float], float]:
    """C.11.2: modality value → 0…1 by the first VOI LUT, else the first valid window, else the whole range."""
    low, high = limits
    item = stated(dataset, frame, "FrameVOILUTSequence")
    if "VOILUTSequence" in item:
        entries, first, top = table(item.VOILUTSequence[0], low < 0)
        return lambda x: at(entries, round(x) - first) / top
    function = item.get("VOILUTFunction", "LINEAR")
    centres, widths = (np.atleast_1d(item.get(key, [])) for key in ("WindowCenter", "WindowWidth"))
    for c, w in zip(map(float, centres), map(float, widths), strict=False):
        if w >= 1 or (function != "LINEAR" and w > 0):  # C.11.2.1.2.1, C.11.2.1.3.1, C.11.2.1.3.2
            return lambda x: windowed(x, c, w, function)
    return lambda x: (x - low) / (high - low)


def windowed(x: float, c: float, w: float, function: str) -> float:
    """C.11.2.1.2 and C.11.2.1.3 with ymin 0 and ymax 1."""
    if function == "SIGMOID":
        return 1 / (1 + math.exp(max(min(-4 * (x - c) / w, 700), -700)))
    if function == "LINEAR_EXACT":
        return 0.0 if x <= c - w / 2 else 1.0 if x > c + w / 2 else (x - c) / w + 0.5
    if x <= c - 0.5 - (w - 1) / 2:
        return 0.0
    return 1.0 if x > c - 0.5 + (w - 1) / 2 else (x - (c - 0.5)) / (w - 1) + 0.5


def at(entries: list[int], position: int) -> float:
    """C.11.1.1.1: what lies outside takes the first or the last entry."""
    return float(entries[min(max(int(position), 0), len(entries) - 1)])


def table(item: Dataset, signed: bool, prefix: str = "LUT") -> tuple[list[int], int, int]:
    """Return entries, first input and highest output of a table; 0 entries mean 65,536 (C.11.1.1.1, C.11.2.1.1)."""
    count, first, bits = (int(value) for value in item[f"{prefix}Descriptor"].value)
    first = first - 65536 if signed and first > 32767 else first
    return words_of(item[f"{prefix}Data"].value, count or 65536, bits), first, 2**bits - 1


def words_of(data: bytes, count: int, bits: int) -> list[int]:
    """Entries are 16-bit words, or, with 8 bits, bytes packed into words."""
    if bits == 8 and len(data) < 2 * count:
        return list(data[:count])
    return [data[2 * k] + 256 * data[2 * k + 1] for k in range(count)]


def palette(dataset: Dataset, name: str) -> tuple[list[int], int, int]:
    """C.7.6.3.1.5 and, for segments, C.7.9.2."""
    prefix = f"{name}PaletteColorLookupTable"
    segments = f"Segmented{prefix}Data"
    if segments not in dataset:
        return table(dataset, dataset.PixelRepresentation == 1, prefix)
    _, first, bits = (int(value) for value in dataset[f"{prefix}Descriptor"].value)
    data = dataset[segments].value
    codes = list(data) if bits == 8 else words_of(data, len(data) // 2, 16)
    return expanded(codes, bits), first, 2**bits - 1


def expanded(codes: list[int], bits: int) -> list[int]:
    """Return the entries of discrete (0), linear (1) and indirect (2) segments."""
    entries: list[int] = []

    def segment(at: int) -> int:
        opcode, length = codes[at], codes[at + 1]
        if opcode == 0:
            entries.extend(codes[at + 2 : at + 2 + length])
            return at + 2 + length
        if opcode == 1:
            start, end = entries[-1], codes[at + 2]
            entries.extend(round(start + (end - start) * k / length) for k in range(1, length + 1))
            return at + 3
        parts = codes[at + 2 : at + (6 if bits == 8 else 4)]
        target = sum(part << (bits * k) for k, part in enumerate(parts)) // (1 if bits == 8 else 2)
        for _ in range(length):
            target = segment(target)
        return at + 2 + len(parts)

    position = 0
    while position + 2 < len(codes):
        position = segment(position)
    return entries


def rgb_of_ybr(y: int, cb: int, cr: int, white: int) -> list[float]:
    """C.7.6.3.1.2, solved for R, G and B: full range, chroma around half."""
    half = (white + 1) // 2
    red, blue = y + 1.402 * (cr - half), y + 1.772 * (cb - half)
    green = (y - 0.299 * red - 0.114 * blue) / 0.587
    return [min(max(part, 0.0), float(white)) for part in (red, green, blue)]


def stored_values(dataset: Dataset) -> np.ndarray:
    """Return the stored values of native pixel data, (F,H,W) or (F,H,W,3), word by word (PS3.5 8.1, C.7.6.3.1)."""
    rows, columns, samples = dataset.Rows, dataset.Columns, dataset.SamplesPerPixel
    frames, allocated, bits = int(dataset.get("NumberOfFrames", 1)), dataset.BitsAllocated, dataset.BitsStored
    order = "big" if dataset.file_meta.TransferSyntaxUID == ExplicitVRBigEndian else "little"
    subsampled = dataset.PhotometricInterpretation == "YBR_FULL_422"
    count = frames * rows * columns * (2 if subsampled else samples)
    data = bytes(dataset.PixelData)
    if order == "big" and allocated == 8 and dataset["PixelData"].VR == "OW":
        data = b"".join(data[k : k + 2][::-1] for k in range(0, len(data), 2))
    if allocated == 1:
        words = [(data[k // 8] >> (k % 8)) & 1 for k in range(count)]
    else:
        size = allocated // 8
        words = [int.from_bytes(data[size * k : size * (k + 1)], order) for k in range(count)]
    shift, span = dataset.HighBit + 1 - bits, 2**bits
    values = [(word >> shift) % span for word in words]
    if dataset.PixelRepresentation:
        values = [value - span if value >= span // 2 else value for value in values]
    array = np.array(values, np.int64)
    if subsampled:
        array = array.reshape(-1, 4)[:, [0, 2, 3, 1, 2, 3]]
    elif samples == 3 and dataset.get("PlanarConfiguration") == 1:
        return array.reshape(frames, 3, rows, columns).transpose(0, 2, 3, 1)
    return array.reshape((frames, rows, columns, 3) if samples == 3 else (frames, rows, columns))
