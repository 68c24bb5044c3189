"""Volumes as slices that radiologists look at: NIfTI through nibabel, MetaImage, NRRD and DICOM series through ITK."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.orientations import apply_orientation, axcodes2ornt, io_orientation, ornt_transform
from skimage.filters import threshold_otsu

from medkit.errors import ConfigError, DataError, did_you_mean
from medkit_brain_mri.itk_io import read_with_itk, series_in

PLANES = {"sagittal": 0, "coronal": 1, "axial": 2}
"""Plane → the axis across it: towards the patient's left, back, head."""
NIFTI, ITK = (".nii", ".nii.gz"), (".mha", ".mhd", ".nrrd")
SPACING_TAGS = {**dict.fromkeys(NIFTI, "pixdim"), ".mha": "ElementSpacing", ".mhd": "ElementSpacing"}
"""Where the spacing stands in a file, by suffix."""
PERCENTILES = (0.5, 99.5)
"""Of the volume's finite voxels: shown as black and as white."""
EMPTY = 0.03
"""A slice is empty if a smaller share of it is brighter than the volume's threshold by Otsu (1979)."""


@dataclass(frozen=True, slots=True)
class Volume:
    """One head.

    Attributes:
        voxels: (L,P,S) float32, 0…1, indices towards the patient's left, back and head.
        spacing_mm: along these axes; None where the header states none that can be used.
        acquired: the plane across which voxels are the farthest apart: the one that the scanner took.
        warnings: what was not usable, and what was done instead.
    """

    voxels: np.ndarray
    spacing_mm: tuple[float, float, float] | None
    acquired: str
    warnings: tuple[str, ...] = field(default=())

    def plane(self, name: str) -> str:
        """Return ``axial``, ``coronal`` or ``sagittal`` for these or ``acquired``; one slice has one plane only.

        Raises:
            ConfigError: there is no such plane.
        """
        if name not in (*PLANES, "acquired"):
            raise ConfigError(
                f'plane "{name}" is unknown.{did_you_mean(name, PLANES)} One of: {", ".join(PLANES)}, acquired'
            )
        single = [plane for plane, axis in PLANES.items() if self.voxels.shape[axis] == 1]
        if len(single) == 1:
            return single[0]
        return self.acquired if name == "acquired" else name

    def count(self, plane: str) -> int:
        """Return the number of slices in ``plane``."""
        return int(self.voxels.shape[PLANES[plane]])

    def slice(self, plane: str, index: int) -> np.ndarray:
        """Return one slice (H,W) float32 as it is looked at; nothing is resampled.

        Axial: counted from feet to head, front at the top, right at the left. Coronal: from front to back, head at the
        top, right at the left. Sagittal: from right to left, head at the top, front at the left.

        Raises:
            DataError: there is no such slice.
        """
        if not 0 <= index < self.count(plane):
            raise DataError(f"slice {index} asked for, the volume has {self.count(plane)} {plane} ones, from 0")
        cut = np.take(self.voxels, index, PLANES[plane]).T
        return np.ascontiguousarray(cut if plane == "axial" else cut[::-1])

    def shown(self, plane: str) -> list[int]:
        """Return the slices that are not empty; see `EMPTY`."""
        others = tuple({0, 1, 2} - {PLANES[plane]})
        if self.voxels.min() == self.voxels.max():
            return []
        return np.flatnonzero((self.voxels > threshold_otsu(self.voxels)).mean(axis=others) >= EMPTY).tolist()

    def slice_spacing_mm(self, plane: str) -> list[float] | None:
        """Return [between rows, between columns], None where they are unknown."""
        if self.spacing_mm is None:
            return None
        rows, columns = {"axial": (1, 0), "coronal": (2, 0), "sagittal": (2, 1)}[plane]
        return [self.spacing_mm[rows], self.spacing_mm[columns]]


def suffix(path: Path) -> str:
    """Return ``.nii.gz`` whole, else the last suffix, in lower case."""
    return ".nii.gz" if path.name.lower().endswith(".nii.gz") else path.suffix.lower()


def is_volume_file(path: Path) -> bool:
    """Return whether the name is one of a NIfTI, MetaImage or NRRD file."""
    return suffix(path) in (*NIFTI, *ITK)


def is_dicom(path: Path) -> bool:
    """Return whether the file starts as DICOM does (PS3.10, 7.1)."""
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def read_volume(path: str | Path) -> Volume:
    """Return the volume of a NIfTI, MetaImage or NRRD file, or of the DICOM series that a file is part of.

    The last two are kept, because slices are asked for one by one.

    Raises:
        DataError: truncated, corrupt, coloured, or of no finite value.
    """
    path = Path(path)
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"the file cannot be opened: {error.strerror}") from error
    return _read(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=2)
def _read(path: Path, changed_ns: int, size: int) -> Volume:
    if suffix(path) in NIFTI:
        return oriented(*_read_nifti(path))
    if suffix(path) in ITK:
        return oriented(*read_with_itk([path]))
    series = next((files for files in series_in(path.parent) if path in files), [path])
    return oriented(*read_with_itk(series))


def _read_nifti(path: Path) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the first time point's voxels, the matrix and the number of time points."""
    try:
        image = nib.load(path)
        if image.get_data_dtype().fields:
            raise DataError("the volume is coloured: grey is expected")
        more = image.shape[3:]
        voxels = np.asarray(image.dataobj[(..., *(0,) * len(more))] if more else image.dataobj, np.float32)
        return voxels, np.asarray(image.affine, np.float64), int(np.prod(more))
    except (DataError, MemoryError):
        raise
    except Exception as error:  # nibabel: ImageFileError, EOFError, zlib.error, ValueError, …
        raise DataError(f"the NIfTI file cannot be read ({type(error).__name__}): truncated or corrupt") from error


def oriented(voxels: np.ndarray, affine: np.ndarray, times: int = 1) -> Volume:
    """Return voxels (I,J[,K]) turned by their matrix (RAS+) scaled by `PERCENTILES`; ``times`` becomes a warning.

    Raises:
        DataError: no voxel is finite.
    """
    warnings = [f"{times} time points: the first is taken"] if times > 1 else []
    voxels = voxels.reshape(*voxels.shape, *(1,) * (3 - voxels.ndim)).astype(np.float32)
    lengths = voxel_sizes(affine)
    if not np.isfinite(affine).all() or lengths.min() < 1e-9 or abs(np.linalg.det(affine[:3, :3] / lengths)) < 1e-3:
        warnings.append("the header places no axes: taken as right, front, head")
        affine, lengths = np.eye(4), np.full(3, np.nan)
    turn = ornt_transform(io_orientation(affine), axcodes2ornt("LPS"))
    voxels = apply_orientation(voxels, turn)
    spacing = lengths[np.argsort(turn[:, 0])]
    finite = np.isfinite(voxels)
    if not finite.any():
        raise DataError("no voxel of the volume has a finite value")
    if not finite.all():
        warnings.append(f"{int(finite.size - finite.sum())} voxels are not finite: black")
    low, high = np.percentile(voxels[finite], PERCENTILES)
    if not high > low:
        low, high = float(voxels[finite].min()), float(voxels[finite].max())
    scaled = (np.where(finite, voxels, low) - low) / (high - low) if high > low else np.zeros_like(voxels)
    single = [plane for plane, axis in PLANES.items() if voxels.shape[axis] == 1]
    if len(single) == 1:
        warnings.append(f"one slice, which is {single[0]}")
    known = bool(np.isfinite(spacing).all())
    thick = known and spacing.max() > 1.2 * np.sort(spacing)[1]
    return Volume(
        voxels=np.clip(scaled, 0, 1).astype(np.float32),
        spacing_mm=tuple(spacing.tolist()) if known else None,
        acquired=list(PLANES)[int(np.argmax(spacing))] if thick else "axial",
        warnings=tuple(warnings),
    )
