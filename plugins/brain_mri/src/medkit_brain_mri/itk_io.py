"""What ITK is asked for: which DICOM series a folder holds, and the voxels of a series or a MetaImage."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from medkit.errors import DataError

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
APART = ("0020|0037", "0018|0081")
"""Orientation and echo time, beside what ITK looks at (series, rows, columns, slice thickness, sequence name): files
that differ in one of these make no common volume."""
_PATIENT = "0010|0020"
_lock = threading.RLock()


@contextmanager
def itk_quietly() -> Iterator:
    """Yield ITK, imported with Python's warnings off, for SWIG crashes where they are errors.

    What C++ prints goes nowhere, for it may quote patient data. Python's warning filters and the error stream belong to
    the whole process, hence the lock.
    """
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 2)
            import itk

            yield itk
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)


def series_in(folder: Path) -> list[list[Path]]:
    """Return the files of each DICOM series in ``folder`` (not below it), in ITK's (GDCM's) order of slices.

    A series whose files differ in orientation, size or echo time, such as a localizer, is several.
    """
    with itk_quietly() as itk:
        names = itk.GDCMSeriesFileNames.New()
        names.SetUseSeriesDetails(True)
        for tag in APART:
            names.AddSeriesRestriction(tag)
        names.SetDirectory(str(folder))
        return [[Path(name) for name in names.GetFileNames(uid)] for uid in names.GetSeriesUIDs()]


def patient_of(file: Path) -> str:
    """Return PatientID (0010,0020) of a DICOM file; empty where it has none. It is patient data: hash it."""
    with itk_quietly() as itk:
        image_io = itk.GDCMImageIO.New()
        image_io.SetFileName(str(file))
        try:
            image_io.ReadImageInformation()
        except RuntimeError:
            return ""
        dictionary = image_io.GetMetaDataDictionary()
        return str(dictionary[_PATIENT]).strip() if dictionary.HasKey(_PATIENT) else ""


def read_with_itk(files: Sequence[Path]) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the first time point (I,J[,K]) float32, the matrix (4,4) from indices to millimetres, RAS+, and the times.

    Args:
        files: one MetaImage or NRRD, or a DICOM series in the order of its slices.

    Raises:
        DataError: ITK cannot read it.
    """
    with itk_quietly() as itk:
        try:
            image = itk.imread([str(file) for file in files] if len(files) > 1 else str(files[0]), itk.F)
        except Exception as error:  # RuntimeError with ITK's own text, which holds the path
            raise DataError(
                f"the volume cannot be read by ITK ({type(error).__name__}): truncated or corrupt"
            ) from error
        voxels = np.array(itk.array_view_from_image(image))
        axes = min(voxels.ndim, 3)
        affine = np.eye(4)
        direction = np.asarray(itk.array_from_matrix(image.GetDirection()))[:axes, :axes]
        affine[:axes, :axes] = direction * np.array(list(image.GetSpacing()))[None, :axes]
        affine[:axes, 3] = np.array(list(image.GetOrigin()))[:axes]
    voxels = voxels.transpose()
    times = int(np.prod(voxels.shape[3:]))
    return voxels.reshape(*voxels.shape[:3], -1)[..., 0] if times > 1 else voxels, LPS_TO_RAS @ affine, times
