"""A teacher's predictions.csv, read and checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medkit import predictions as core
from medkit.errors import DataError


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
    table = core.read_predictions(path)
    known = table.findings()
    if set(known) != set(findings):
        found = ", ".join(known) or "none"
        raise DataError(f"{path} has probabilities of {found}; {', '.join(findings)} were asked for")
    files = table.files
    assessed = sorted(np.flatnonzero(table.assessed), key=files.__getitem__)
    if not assessed:
        raise DataError(f"none of the {len(files)} images of {path} was assessed: see its reasons")

    def numbers(group: str, required: bool = False) -> np.ndarray:
        known = [k for k, name in enumerate(findings) if name in table.findings(group)]
        values = np.full((len(assessed), len(findings)), np.nan)
        values[:, known] = table.numbers(group, [findings[k] for k in known], required)[assessed]
        return values

    probabilities = numbers(core.PROBABILITY, required=True)
    return Predictions(
        table.path, [files[n] for n in assessed], probabilities, numbers(core.PRESENT), numbers(core.LABEL)
    )
