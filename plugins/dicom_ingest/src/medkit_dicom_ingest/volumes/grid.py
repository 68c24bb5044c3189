"""Voxels on a grid in the patient, turned as radiologists look at them; nothing is resampled."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from nibabel.affines import obliquity, voxel_sizes
from nibabel.orientations import apply_orientation, axcodes2ornt, io_orientation, ornt_transform

from medkit_dicom_ingest.dicom.header import MAX_PIXELS
from medkit_dicom_ingest.failure import ImageError

MAX_BYTES = 2**31
"""Bytes of voxels that are read at most."""
OBLIQUE_DEGREES = 1.0
PLANES = {"sagittal": 0, "coronal": 1, "axial": 2}
"""Plane → the axis across it: towards the patient's left, back, head."""


@dataclass(slots=True)
class Volume:
    """What a file of voxels holds.

    Attributes:
        voxels: (I,J,K,T) numbers or (I,J,K,T,3) uint8 RGB, as stored.
        affine: (4,4) indices i, j, k → millimetres towards the patient's right…left, back…front, feet…head (RAS+).
        format: ``NIfTI``, ``Analyze``, ``MetaImage`` or ``NRRD``.
        spacing_tag: where the spacing stands; ``""`` where the file states none.
        slope, intercept: stored → meaningful values.
        shown: the range that the file itself says to show, in meaningful values.
        labels: the values are labels of regions.
        warnings: what was not usable, and what was done instead.
        owner: what has to live as long as the voxels.
    """

    voxels: np.ndarray
    affine: np.ndarray
    format: str
    spacing_tag: str
    slope: float = 1.0
    intercept: float = 0.0
    shown: tuple[float, float] | None = None
    labels: bool = False
    warnings: list[str] = field(default_factory=list)
    owner: object = None


def check_size(sizes: list[int], item_bytes: int, tag: str) -> int:
    """Return how many bytes voxels take, before anything is allocated.

    Raises:
        ImageError: a size below 1, five dimensions, or more bytes than `MAX_BYTES`.
    """
    if not sizes or any(size < 1 for size in sizes):
        raise ImageError("bad_header", f"{tag} is {sizes[:8]}, expected positive numbers")
    if len(sizes) > 4 and any(size > 1 for size in sizes[4:]):
        raise ImageError("unsupported", f"{tag} has {len(sizes)} dimensions, at most 4 are read")
    if (needed := math.prod(sizes) * item_bytes) > MAX_BYTES:
        raise ImageError("too_large", f"{tag} is {sizes[:4]}: {needed} bytes are more than {MAX_BYTES}")
    return needed


def usable(affine: np.ndarray) -> bool:
    """Return whether a matrix places voxels: finite, and its axes span a volume."""
    if not np.isfinite(affine).all() or np.abs(affine).max() > 1e9:
        return False
    lengths = voxel_sizes(affine)
    return bool(lengths.min() > 1e-9 and abs(np.linalg.det(affine[:3, :3] / lengths)) > 1e-3)


def flat(affine: np.ndarray) -> np.ndarray:
    """Return the matrix with a third axis across the first two where it has none, as in a two-dimensional file."""
    affine = affine.copy()
    if not affine[:3, 2].any():
        across = np.cross(affine[:3, 0], affine[:3, 1])
        affine[:3, 2] = across / (np.linalg.norm(across) or 1.0)
    return affine


@dataclass(frozen=True, slots=True)
class Stack:
    """Slices as they are looked at.

    Attributes:
        slices: (N,H,W,T) or (N,H,W,T,3), a view of the voxels. Right is at the left and front at the top of axial
            slices, which are counted from feet to head; right is at the left and head at the top of coronal ones, from
            front to back; front is at the left and head at the top of sagittal ones, from right to left.
        plane: of the slices.
        spacing_mm: [between rows, between columns].
    """

    slices: np.ndarray
    plane: str
    spacing_mm: list[float]


def stack(volume: Volume, plane: str) -> Stack:
    """Return the slices in ``plane``; a volume of one slice is shown as that slice, with a warning.

    Raises:
        ImageError: a slice has more pixels than `MAX_PIXELS`.
    """
    turn = ornt_transform(io_orientation(volume.affine), axcodes2ornt(("L", "P", "S")))
    turned = apply_orientation(volume.voxels, turn)
    spacing = [float(size) for size in voxel_sizes(volume.affine)[np.argsort(turn[:, 0])]]
    single = [name for name, axis in PLANES.items() if turned.shape[axis] == 1]
    if len(single) == 1 and single[0] != plane:
        volume.warnings.append(f"one slice, which is {single[0]}: it is shown instead of the {plane} plane")
        plane = single[0]
    degrees = float(np.degrees(obliquity(volume.affine).max()))
    if degrees > OBLIQUE_DEGREES:
        volume.warnings.append(f"oblique by {degrees:.1f} degrees: the slices are those nearest to {plane}")
    across = PLANES[plane]
    across_rows = 1 if plane == "axial" else 2
    (across_columns,) = {0, 1, 2} - {across, across_rows}
    slices = turned.transpose(across, across_rows, across_columns, *range(3, turned.ndim))
    slices = slices if plane == "axial" else slices[:, ::-1]
    if slices.shape[1] * slices.shape[2] > MAX_PIXELS:
        raise ImageError("too_large", f"{slices.shape[1]} rows × {slices.shape[2]} columns are more than {MAX_PIXELS}")
    return Stack(slices, plane, [spacing[across_rows], spacing[across_columns]])
