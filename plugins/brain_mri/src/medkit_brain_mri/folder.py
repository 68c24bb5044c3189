"""The data set `brain_mri_folder`: new images, without labels."""

from __future__ import annotations

from pathlib import Path

from medkit.contracts import IMAGE, Sample
from medkit.folds import SECTIONS
from medkit_brain_mri.dataset import Slices, cut, one_of, require_slices
from medkit_brain_mri.layout import read_folder
from medkit_brain_mri.reader import PLANE, SLICE


def brain_mri_folder(
    dataset_dir: str,
    section: str = "all",
    *,
    plane: str = "axial",
    slices: Slices = "middle",
    slice_count: int = 8,
    slice_step: int = 4,
) -> list[Sample]:
    """Return every bitmap, and slices of every volume and DICOM series, below a folder, by name.

    A sample has ``image``, ``slice`` and ``plane`` as those of `brain_mri`, and no label. A DICOM series counts once,
    however many files it has.

    Args:
        dataset_dir: the folder.
        section: ``training``, ``validation``, ``test`` or ``all``: a folder has no split, so each gives everything.
        plane: as in `brain_mri`.
        slices: as in `brain_mri`.
        slice_count: as in `brain_mri`.
        slice_step: as in `brain_mri`.

    Raises:
        ConfigError: an option has no such value.
        DataError: there is no such folder, or it holds nothing.
    """
    one_of("section", section, (*SECTIONS, "all"))
    require_slices(plane, slices, slice_count, slice_step)
    return [
        {IMAGE: str(entry.path), SLICE: index, PLANE: shown}
        for entry in read_folder(Path(dataset_dir).expanduser().resolve())
        for shown, index in cut(entry, plane, slices, slice_count, slice_step)
    ]
