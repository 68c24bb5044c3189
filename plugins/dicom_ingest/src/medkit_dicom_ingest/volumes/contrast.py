"""Which values of a volume are black and white."""

from __future__ import annotations

import math

import numpy as np

from medkit_dicom_ingest.dicom.contrast import Function, Voi, window
from medkit_dicom_ingest.volumes.grid import Volume


def volume_contrast(volume: Volume, choice: Voi) -> tuple[Function, str]:
    """Return values → 0…1, one function for the whole volume, and what it is.

    ``auto`` is the range that the file says to show (cal_min, cal_max), else all that 8-bit integers can hold, else the
    lowest to highest finite value, which is also what masks and labels get.

    Args:
        volume: its warnings are added to.
        choice: ``lut`` and ``window`` do not exist in volumes and become ``auto``, with a warning.
    """
    if choice.kind == "given":
        name = f"window {choice.center:g}/{choice.width:g} {choice.function}"
        return window(choice.center, choice.width, choice.function), name
    if choice.kind in ("lut", "window"):
        volume.warnings.append(f"{choice.kind} asked for, volumes have none: auto is used")
    nominal = _nominal(volume)
    if choice.kind == "full":
        if nominal:
            return between(*nominal), "full range"
        volume.warnings.append("full range asked for, floating-point voxels have none: the volume's own is used")
    if choice.kind not in ("full", "minmax"):
        low, high = volume.shown or (0.0, 0.0)
        if math.isfinite(low) and math.isfinite(high) and low < high:
            return between(low, high), f"cal_min {low:g} to cal_max {high:g}"
    stored = _finite_range(volume.voxels)
    if stored is None:
        volume.warnings.append("no voxel has a finite value: black")
        return np.zeros_like, "full range"
    low, high = sorted(value * volume.slope + volume.intercept for value in stored)
    integers = volume.voxels.dtype.kind in "iu"
    mask = integers and (volume.labels or (stored[0] >= 0 and stored[1] <= 1))
    if choice.kind not in ("full", "minmax") and nominal and volume.voxels.dtype.itemsize == 1 and not mask:
        return between(*nominal), "full range"
    if low < high and math.isfinite(high - low):
        name = "minmax" if choice.kind == "minmax" else "mask" if mask else "volume range"
        return between(low, high), f"{name} {low:g} to {high:g}"
    if nominal:
        volume.warnings.append("all voxels have one value: the full range is shown")
        return between(*nominal), "full range"
    volume.warnings.append("all voxels have one value, or their range is not finite: black")
    return np.zeros_like, "full range"


def between(low: float, high: float) -> Function:
    """Return values → 0 at ``low`` to 1 at ``high``, clipped."""
    return lambda values: np.clip((values - low) / (high - low), 0, 1)


def _nominal(volume: Volume) -> tuple[float, float] | None:
    """Return the lowest and highest value that the integer type can hold, None for floating point."""
    if volume.voxels.dtype.kind not in "iu":
        return None
    limits = np.iinfo(volume.voxels.dtype)
    low, high = sorted(float(value) * volume.slope + volume.intercept for value in (limits.min, limits.max))
    return (low, high) if low < high and math.isfinite(high - low) else None


def _finite_range(voxels: np.ndarray) -> tuple[float, float] | None:
    """Return the lowest and highest finite stored value, slab by slab so that no copy of the volume is made."""
    lows, highs = [], []
    for time in range(voxels.shape[3]):
        for k in range(voxels.shape[2]):
            slab = voxels[:, :, k, time]
            if slab.dtype.kind == "f":
                slab = slab[np.isfinite(slab)]
            if slab.size:
                lows.append(float(slab.min()))
                highs.append(float(slab.max()))
    return (min(lows), max(highs)) if lows else None
