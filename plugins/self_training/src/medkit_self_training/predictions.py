"""A teacher's predictions.csv, read and checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medkit.errors import DataError
from medkit.tables import read_csv


@dataclass(frozen=True)
class Predictions:
    """The rows of a table whose status is ``ok``, by file name.

    Attributes:
        path: the table.
        files: N paths, sorted: equal probabilities are told apart by them, whatever the order of the rows.
        probabilities: (N,K) float64 in 0…1.
        present: (N,K): 1, 0, NaN where the table does not say.
        labels: (N,K): 1, 0, NaN where the table does not say.
    """

    path: Path
    files: list[str]
    probabilities: np.ndarray
    present: np.ndarray
    labels: np.ndarray


def read_predictions(path: str | Path, findings: Sequence[str]) -> Predictions:
    """Return what a predictions.csv says of K findings.

    Raises:
        DataError: it is missing or no such table, has other findings, a file twice, something that is no probability,
            or no row that was assessed.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path} is not there: run the stage that makes it")
    rows = read_csv(path)
    if not rows:
        raise DataError(f"{path} has no row: there is no image to label")
    known = [name.removeprefix("probability_") for name in rows[0] if name.startswith("probability_")]
    if not {"file", "status"} <= rows[0].keys() or set(known) != set(findings):
        found = ", ".join(known) or "none"
        raise DataError(f"{path} has probabilities of {found}; {', '.join(findings)} were asked for")
    twice = [name for name, count in Counter(row["file"] for row in rows).items() if count > 1]
    if twice:
        raise DataError(f"{path} holds {twice[0]} twice: keep one of them")
    assessed = sorted((row for row in rows if row["status"] == "ok"), key=lambda row: row["file"])
    if not assessed:
        raise DataError(f"none of the {len(rows)} images of {path} was assessed: see its reasons")

    def numbers(group: str) -> np.ndarray:
        cells = [[row.get(f"{group}_{name}", "") for name in findings] for row in assessed]
        try:
            values = np.array([[float(cell or "nan") for cell in row] for row in cells])
        except ValueError as error:
            raise DataError(f"{path}, column {group}_…: {error}: run the stage that made it again") from error
        return values

    probabilities = numbers("probability")
    wrong = np.flatnonzero(~((probabilities >= 0) & (probabilities <= 1)).all(axis=1))
    if wrong.size:
        file = assessed[wrong[0]]["file"]
        raise DataError(f"{path} gives {file} something that is no probability: run the stage that made it again")
    return Predictions(path, [row["file"] for row in assessed], probabilities, numbers("present"), numbers("label"))
