"""Which group an image belongs to, and in which fold it is tested, as folds.csv says."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from medkit.errors import DataError
from medkit.tables import read_csv

_SLICE = re.compile(r"#[a-z]+:\d+$")


class Groups:
    """The images of a folds.csv, found by the end of a path, on whatever machine the path was written.

    A slice of a volume, ``scan.nii.gz#axial:10``, belongs to the volume's row.

    Args:
        path: CSV with the columns ``image``, ``group`` and ``fold``, as `medkit.folds.Folds.write` gives it.

    Raises:
        DataError: the file is missing or lacks a column.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path
        rows = read_csv(path)
        for column in ("image", "group", "fold"):
            if not rows or column not in rows[0]:
                found = f'has no column "{column}"' if rows else "is missing or empty"
                raise DataError(f"groups {path} {found}: name the folds.csv of the data set's division")
        self.group = {row["image"]: row["group"] for row in rows}
        self.fold = {row["image"]: row["fold"] for row in rows}

    def find(self, file: str) -> tuple[str, str]:
        """Return the name that folds.csv has for a file, and the same with the slice that the file names.

        Raises:
            DataError: it has none.
        """
        found = _SLICE.search(file)
        part = found[0] if found else ""
        parts = PurePosixPath(file.removesuffix(part).replace("\\", "/")).parts
        names = ("/".join(parts[start:]) for start in range(len(parts)))
        for name in names:
            if name in self.group:
                return name, name + part
        raise DataError(f"{file} is not in {self.path}: name the folds.csv that this cross-validation used")
