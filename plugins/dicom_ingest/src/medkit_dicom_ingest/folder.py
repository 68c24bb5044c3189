"""Every image file below a folder, as a data set without labels."""

from __future__ import annotations

import os
import re
from pathlib import Path

from medkit import contracts as c
from medkit.errors import ConfigError, DataError, did_you_mean

SECTIONS = ("training", "validation", "test", "all")


def dicom_folder(
    dataset_dir: str, section: str = "all", recursive: bool = True, limit: int | None = None
) -> list[c.Sample]:
    """Return ``[{"image": path}, …]``, one a file, in natural order (``2.dcm`` before ``10.dcm``).

    Hidden files and DICOMDIR are left out. Whatever else is no image, also a pipe or a broken link, gives an error
    record later, so that nothing is lost without a word; links to folders are not followed.

    Args:
        dataset_dir: the folder.
        section: any; a folder has no split, so each gives all files.
        recursive: look into sub-folders.
        limit: how many files at most.

    Raises:
        DataError: there is no such folder, it cannot be read, or it holds no file to try.
        ConfigError: the section's name is wrong.
    """
    if section not in SECTIONS:
        raise ConfigError(
            f'section "{section}" is unknown.{did_you_mean(section, SECTIONS)} One of: {", ".join(SECTIONS)}'
        )
    root = Path(dataset_dir).expanduser().absolute()
    if not root.is_dir():
        raise DataError(f'"{dataset_dir}" is not a folder: give the path of a folder of images')
    found = []
    for folder, folders, names in os.walk(root, onerror=_refuse):
        folders[:] = [name for name in folders if recursive and not name.startswith(".")]
        found += [path for name in names if _to_try(path := Path(folder, name))]
    if not found:
        raise DataError(f'"{dataset_dir}" holds no image file: give a folder of DICOM, PNG, JPEG, TIFF or BMP files')
    found.sort(key=lambda path: _natural(path.relative_to(root)))
    return [{c.IMAGE: str(path)} for path in found[:limit]]


def _to_try(path: Path) -> bool:
    return not path.name.startswith(".") and path.name.upper() not in ("DICOMDIR", "THUMBS.DB")


def _natural(path: Path) -> list[tuple[list[tuple[int, int, str]], str]]:
    """Return a key that compares runs of digits as numbers, and names that differ in nothing else as text."""
    return [
        ([(0, int(run), "") if run.isdecimal() else (1, 0, run.lower()) for run in re.split(r"(\d+)", part)], part)
        for part in path.parts
    ]


def _refuse(error: OSError) -> None:
    raise DataError(f'folder "{error.filename}" cannot be read: {error.strerror}') from error
