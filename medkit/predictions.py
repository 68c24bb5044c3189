"""predictions.csv, read and checked alike by whoever uses one, and its images known again in another folder."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from medkit.contracts import PREDICTIONS_FORMAT
from medkit.errors import DataError
from medkit.tables import read_rows

Row = Mapping[str, str]
GROUPS = PROBABILITY, PRESENT, LABEL = ("probability_", "present_", "label_")
"""What a column's name begins with; the finding follows."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """A table of N images, each file once.

    Attributes:
        path: of the table.
        rows: N, as texts.
    """

    path: Path
    rows: Sequence[Row]

    @property
    def files(self) -> list[str]:
        """N paths, as the run saw them."""
        return [row["file"] for row in self.rows]

    @property
    def assessed(self) -> np.ndarray:
        """(N,) bool: the status is ``ok``."""
        return np.array([row["status"] == "ok" for row in self.rows])

    def findings(self, group: str = PROBABILITY) -> list[str]:
        """Return the findings that have a column of ``group``, in order."""
        return findings_of(self.rows[0], group)

    def numbers(self, group: str, findings: Sequence[str], required: bool = False) -> np.ndarray:
        """Return (N,K) float64: in 0…1 for ``probability_``, else 0 or 1; NaN where blank or not assessed.

        Raises:
            DataError: a column is missing, something else is in it, or it is blank where a number is ``required``.
        """
        if missing := [f"{group}{name}" for name in findings if f"{group}{name}" not in self.rows[0]]:
            raise DataError(f'{self.path} has no column "{missing[0]}": give predictions that have it')
        blank = [math.nan] * len(findings)
        table = [
            [number(self.path, row, f"{group}{name}", required) for name in findings]
            if row["status"] == "ok"
            else blank
            for row in self.rows
        ]
        return np.array(table, np.float64).reshape(len(self.rows), len(findings))


def read_predictions(path: str | Path) -> Predictions:
    """Return a predictions.csv.

    Raises:
        DataError: it is missing, cut off, empty, something else or of a newer version, or holds a file twice.
    """
    return predictions_of(Path(path), read_rows(path))


def predictions_of(path: Path, rows: Sequence[Row]) -> Predictions:
    """Return the rows of ``path``, at least one, as a predictions.csv; raise `DataError` as `read_predictions` does."""
    if missing := [name for name in ("file", "status") if name not in rows[0]]:
        raise DataError(f'{path} has no column "{missing[0]}": give a predictions.csv')
    require_version(path, rows)
    (file, count), *_ = Counter(row["file"] for row in rows).most_common(1)
    if count > 1:
        raise DataError(f"{path} holds {file} twice: keep one of them")
    return Predictions(path, rows)


def require_version(path: str | Path, rows: Iterable[Row]) -> None:
    """Raise `DataError` where a row says that it is of a version that this medkit does not know."""
    for row in rows:
        if (found := row.get("format", PREDICTIONS_FORMAT)) != PREDICTIONS_FORMAT:
            raise DataError(
                f'{path} has the format "{found}", this medkit reads "{PREDICTIONS_FORMAT}": use the medkit that wrote '
                "it, or update this one"
            )


def findings_of(columns: Iterable[str], group: str = PROBABILITY) -> list[str]:
    """Return the findings that have a column of ``group``, in order."""
    return [name.removeprefix(group) for name in columns if name.startswith(group)]


def number(path: str | Path, row: Row, column: str, required: bool = False) -> float:
    """Return a cell as a number, NaN where it is blank; raise `DataError` as `Predictions.numbers` does."""
    text = row[column]
    if not text and not required:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    probability = column.startswith(PROBABILITY)
    if not (0 <= value <= 1 if probability else value in (0, 1)):
        asked = "a number from 0 to 1" if probability else "0 or 1"
        raise DataError(
            f'{path} gives {row["file"]} the {column} "{text}", {asked} was asked for: run the stage that made it again'
        )
    return value


def path_ends(tables: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the shortest ends of paths, equally many parts each, that tell the files of every table apart.

    Tables of the same images have the same ends where every run has its own copy of the data.

    Args:
        tables: paths, each once a table; a backslash separates their parts as a slash does.
    """
    parts = [[PurePosixPath(file.replace("\\", "/")).parts for file in files] for files in tables]
    for count in range(1, max(len(one) for table in parts for one in table) + 1):
        ends = [["/".join(one[-count:]) for one in table] for table in parts]
        if all(len(set(end)) == len(end) for end in ends):
            return ends
    return [list(files) for files in tables]
