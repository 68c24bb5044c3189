"""Modality and VOI transformations as functions of arrays (PS3.3 C.11.1, C.11.2), and the choice among them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pydicom import Dataset

from medkit.errors import ConfigError
from medkit_dicom_ingest.dicom.elements import code, items, name, numbers
from medkit_dicom_ingest.dicom.header import Header
from medkit_dicom_ingest.dicom.lut import read_table
from medkit_dicom_ingest.failure import ImageError

Function = Callable[[np.ndarray], np.ndarray]
FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
SMALLEST_CONTRAST = 1 / 255
"""A window that spreads all possible values over less than one 8-bit grey level shows nothing."""


@dataclass(frozen=True, slots=True)
class Voi:
    """Which values of interest are shown.

    Attributes:
        kind: ``auto`` (VOI LUT, else window, else full range), ``lut``, ``window`` (the file's), ``full`` (all that the
            stored bits can hold), ``minmax`` (the frame's own lowest to highest value, padding left out) or ``given``.
        number: which of several tables or windows of the file, from 1.
        center, width, function: the given window, in modality units (HU for CT).
    """

    kind: str = "auto"
    number: int = 1
    center: float = math.nan
    width: float = math.nan
    function: str = "LINEAR"

    @classmethod
    def parse(cls, text: str) -> Voi:
        """Return the choice that a user wrote.

        Args:
            text: ``auto``, ``full``, ``minmax``, ``lut``, ``lut:2``, ``window``, ``window:2``, or a window of one's own
                as ``center/width`` or ``center/width/function``, such as ``40/400`` or ``300/1500/SIGMOID``.

        Raises:
            ConfigError: it is none of these.
        """
        if text in ("auto", "full", "minmax"):
            return cls(text)
        if found := re.fullmatch(r"(lut|window)(?::([1-9]\d{0,2}))?", text):
            return cls(found[1], int(found[2] or 1))
        center, width, function = (*text.split("/"), "LINEAR", "LINEAR")[:3] if text.count("/") in (1, 2) else ("",) * 3
        try:
            given = cls("given", 1, float(center), float(width), function.upper())
        except ValueError:
            given = cls()
        if given.function in FUNCTIONS and valid_window(given.center, given.width, given.function):
            return given
        raise ConfigError(
            f'VOI "{text}" is not understood: auto, full, minmax, lut, lut:2, window, window:2, or center/width such '
            f"as 40/400, with /{', /'.join(FUNCTIONS)} behind it if not linear"
        )


def modality(dataset: Dataset, header: Header, warnings: list[str]) -> tuple[Function, tuple[float, float], bool]:
    """Return stored → modality values, the lowest and highest of these, and whether their unit is known.

    Raises:
        ImageError: the modality LUT is wrong: without it no value means anything.
    """
    tables = items(dataset, "ModalityLUTSequence")
    if tables:
        table = read_table(tables[0], header.signed, header.little_endian)
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


def voi(
    dataset: Dataset,
    limits: tuple[float, float],
    little_endian: bool,
    warnings: list[str],
    choice: Voi,
    shown: Callable[[], np.ndarray],
) -> tuple[Function, str]:
    """Return modality values → 0…1 and what it is, such as ``VOI LUT`` or ``window 40/400 LINEAR`` (center/width).

    Where the file lacks what is chosen, or it is not usable, the next of VOI LUT, window and full range is taken, with
    a warning.

    Args:
        dataset: the image's, or the frame's.
        limits: the lowest and highest possible modality value.
        little_endian: byte order of the LUT.
        warnings: what was not usable is appended.
        choice: what to show.
        shown: gives the modality values that occur, padding left out; called for ``minmax`` only.
    """
    if choice.kind == "given":
        return window(choice.center, choice.width, choice.function), _label(
            choice.center, choice.width, choice.function
        )
    if choice.kind == "minmax":
        values = shown()
        if values.size and values.max() > values.min():
            low, high = float(values.min()), float(values.max())
            return _between(low, high), f"minmax {low:g} to {high:g}"
        warnings.append("minmax: all pixels have one value, the full range is shown")
    if choice.kind in ("auto", "lut"):
        found = _table(dataset, limits[0] < 0, little_endian, warnings, choice)
        if found is not None:
            return found, "VOI LUT" if choice.number == 1 else f"VOI LUT {choice.number}"
    if choice.kind in ("auto", "lut", "window"):
        stated = _stated_window(dataset, limits, warnings, choice)
        if stated is not None:
            return stated
    return _between(*limits), "full range"


def _table(dataset: Dataset, signed: bool, little_endian: bool, warnings: list[str], choice: Voi) -> Function | None:
    tables = items(dataset, "VOILUTSequence")
    if len(tables) < choice.number:
        if choice.kind == "lut":
            warnings.append(f"VOI LUT {choice.number} asked for, the file has {len(tables)}")
        return None
    try:
        table = read_table(tables[choice.number - 1], signed, little_endian)
    except ImageError as error:
        warnings.append(f"VOI LUT not usable: {error}")
        return None
    return lambda values: table(values) / table.white


def _stated_window(
    dataset: Dataset, limits: tuple[float, float], warnings: list[str], choice: Voi
) -> tuple[Function, str] | None:
    """Return the chosen window of the file, else its first that shows anything."""
    centers, widths = numbers(dataset, "WindowCenter"), numbers(dataset, "WindowWidth")
    if not centers and not widths:
        if choice.kind == "window":
            warnings.append("a window asked for, the file has none")
        return None
    kind = code(dataset, "VOILUTFunction") or "LINEAR"
    if kind not in FUNCTIONS:
        warnings.append(f"{name('VOILUTFunction')} is none of {', '.join(FUNCTIONS)}: LINEAR is used")
        kind = "LINEAR"
    pairs = list(zip(centers, widths, strict=False))
    wanted = pairs[choice.number - 1 : choice.number] if choice.kind == "window" else []
    if choice.kind == "window" and not wanted:
        warnings.append(f"window {choice.number} asked for, the file has {len(pairs)}")
    for center, width in [*wanted, *pairs]:
        if valid_window(center, width, kind):
            function = window(center, width, kind)
            black, white = function(np.array(limits, np.float64))
            if white - black >= SMALLEST_CONTRAST:
                return function, _label(center, width, kind)
    warnings.append(f"{name('WindowCenter')} and WindowWidth are not usable: the full range is shown")
    return None


def _label(center: float, width: float, kind: str) -> str:
    return f"window {center:g}/{width:g} {kind}"


def _between(low: float, high: float) -> Function:
    return lambda values: np.clip((values - low) / (high - low), 0, 1)


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
