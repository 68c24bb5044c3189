"""Modality and VOI transformations as functions of arrays (PS3.3 C.11.1, C.11.2).

pydicom's own table look-up indexes modulo 256 for 8-bit entries and cannot read packed ones, so it is done here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pydicom import Dataset

from medkit_dicom_ingest.elements import code, element, first_item, name, numbers
from medkit_dicom_ingest.failure import ImageError
from medkit_dicom_ingest.header import Header

Function = Callable[[np.ndarray], np.ndarray]
SMALLEST_CONTRAST = 1 / 255
"""A window that spreads all possible values over less than one 8-bit grey level shows nothing."""


@dataclass(frozen=True, slots=True)
class LookUpTable:
    """One table of LUTDescriptor and LUTData.

    Attributes:
        first: the input that the first entry belongs to; inputs outside take the nearest entry.
        entries: (n,) uint16.
        bits: bits an entry, so that 2^bits − 1 is white.
    """

    first: int
    entries: np.ndarray
    bits: int

    def __call__(self, values: np.ndarray) -> np.ndarray:
        index = np.clip(np.rint(values) - self.first, 0, len(self.entries) - 1).astype(np.int64)
        return self.entries[index].astype(np.float64)

    @property
    def white(self) -> int:
        return (1 << self.bits) - 1


def read_table(
    dataset: Dataset, signed: bool, little_endian: bool, descriptor: str = "LUTDescriptor", data: str = "LUTData"
) -> LookUpTable:
    """Return a table, its entries unpacked.

    Args:
        dataset: the item that holds it.
        signed: the table's inputs can be negative.
        little_endian: byte order of entries that are bytes.
        descriptor: keyword of the element with count, first input and bits.
        data: keyword of the entries.

    Raises:
        ImageError: the descriptor is not three numbers in range, or there are fewer entries than it says.
    """
    described, stored = element(dataset, descriptor), element(dataset, data)
    if described is None or stored is None:
        raise ImageError("bad_header", f"{name(descriptor if described is None else data)} is missing or empty")
    if described.VM != 3:
        raise ImageError("bad_header", f"{name(descriptor)} has {described.VM} values, expected 3")
    count, first, bits = (int(value) for value in described.value)
    count = count % 65536 or 65536  # 0 means 65,536, and a signed VR makes large counts negative
    if signed:
        first = (first + 32768) % 65536 - 32768
    if not 8 <= bits <= 16:
        raise ImageError("bad_header", f"{name(descriptor)} says {bits} bits an entry, expected 8 to 16")
    entries = _entries(stored.value, count, bits, little_endian)
    if len(entries) < count:
        raise ImageError("bad_header", f"{name(data)} has {len(entries)} entries, {name(descriptor)} says {count}")
    entries = entries[:count]
    return LookUpTable(first, entries, max(bits, int(entries.max()).bit_length()))


def _entries(value: object, count: int, bits: int, little_endian: bool) -> np.ndarray:
    """Return LUTData as uint16; 8-bit entries may be packed two to a word."""
    if isinstance(value, bytes):
        if bits == 8 and len(value) < 2 * count:
            packed = np.frombuffer(value, np.uint8)
            if not little_endian:
                packed = packed[: len(packed) // 2 * 2].reshape(-1, 2)[:, ::-1].ravel()
            return packed.astype(np.uint16)
        words = np.frombuffer(value[: len(value) // 2 * 2], "<u2" if little_endian else ">u2")
        return words.astype(np.uint16)
    words = (np.atleast_1d(np.asarray(value, np.int64)) % 65536).astype("<u2")
    packed_count = count + count % 2
    if bits == 8 and 2 * len(words) == packed_count:
        return words.view(np.uint8).astype(np.uint16)
    return words.astype(np.uint16)


def modality(dataset: Dataset, header: Header, warnings: list[str]) -> tuple[Function, tuple[float, float], bool]:
    """Return stored → modality values, the lowest and highest of these, and whether their unit is known.

    Raises:
        ImageError: the modality LUT is wrong: without it no value means anything.
    """
    item = first_item(dataset, "ModalityLUTSequence")
    if item is not None:
        table = read_table(item, header.signed, header.little_endian)
        return table, (0.0, float(table.white)), True
    (slope, intercept), low_high = _rescale(dataset), np.array(header.nominal, np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        limits = np.sort(low_high * slope + intercept)
    if slope == 0 or not np.isfinite(limits).all() or limits[0] == limits[1]:
        warnings.append(f"{name('RescaleSlope')} and RescaleIntercept are not usable: stored values are shown")
        return lambda stored: stored.astype(np.float64), (low_high[0], low_high[1]), False
    return lambda stored: stored * slope + intercept, (limits[0], limits[1]), True


def _rescale(dataset: Dataset) -> tuple[float, float]:
    slope, intercept = numbers(dataset, "RescaleSlope"), numbers(dataset, "RescaleIntercept")
    return (slope or [1.0])[0], (intercept or [0.0])[0]


def voi(dataset: Dataset, low: float, high: float, little_endian: bool, warnings: list[str]) -> tuple[Function, str]:
    """Return modality values → 0…1 and what it is: the VOI LUT, else a valid window, else the full nominal range.

    Args:
        dataset: the image's.
        low: the lowest possible modality value.
        high: the highest.
        little_endian: byte order of the LUT.
        warnings: what was not usable is appended.
    """
    item = first_item(dataset, "VOILUTSequence")
    if item is not None:
        try:
            table = read_table(item, low < 0, little_endian)
            return lambda values: table(values) / table.white, "VOI LUT"
        except ImageError as error:
            warnings.append(f"VOI LUT not usable: {error}")
    centers, widths = numbers(dataset, "WindowCenter"), numbers(dataset, "WindowWidth")
    if centers or widths:
        kind = code(dataset, "VOILUTFunction") or "LINEAR"
        if kind not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
            warnings.append(f'{name("VOILUTFunction")} "{kind}" is not in the standard: LINEAR is used')
            kind = "LINEAR"
        for center, width in zip(centers, widths, strict=False):
            if valid_window(center, width, kind):
                function = window(center, width, kind)
                black, white = function(np.array([low, high], np.float64))
                if white - black >= SMALLEST_CONTRAST:
                    return function, f"window {center:g}/{width:g} {kind}"
        warnings.append(f"{name('WindowCenter')} and WindowWidth are not usable: the full range is shown")
    return lambda values: np.clip((values - low) / (high - low), 0, 1), "full range"


def valid_window(center: float, width: float, kind: str) -> bool:
    """Return whether both are finite and the width is at least 1, for LINEAR_EXACT and SIGMOID above 0."""
    enough = width >= 1 if kind == "LINEAR" else width > 0
    return math.isfinite(center) and math.isfinite(width) and enough


def window(center: float, width: float, kind: str) -> Function:
    """Return modality values → 0…1 by PS3.3 C.11.2.1.2.1 (LINEAR), C.11.2.1.3.1 (SIGMOID), C.11.2.1.3.2 (EXACT)."""
    if kind == "SIGMOID":  # 1 / (1 + exp(−4 t)) without its overflow
        return lambda values: 0.5 * (1 + np.tanh(2 * (values - center) / width))
    if kind == "LINEAR_EXACT":
        return lambda values: np.clip((values - center) / width + 0.5, 0, 1)
    if width == 1:
        return lambda values: (values > center - 0.5).astype(np.float64)
    return lambda values: np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0, 1)
