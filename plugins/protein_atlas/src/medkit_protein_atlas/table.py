"""The label table: ``Id,Target``, where a target is the numbers of the classes, in any order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medkit.errors import DataError
from medkit.tables import read_csv

TABLE = "train.csv"
_ID, _TARGET, _SYNTHETIC = "Id", "Target", "synthetic"


@dataclass(frozen=True, slots=True)
class Table:
    """N images.

    Attributes:
        path: the file.
        ids: each once.
        labels: (N,K) float32: 1 where the target has the class, else 0.
        synthetic: the table says that a program made the image.
    """

    path: Path
    ids: list[str]
    labels: np.ndarray
    synthetic: list[bool]


def read_table(path: Path, classes: int) -> Table:
    """Return the table; targets are numbers from 0 to ``classes - 1``, with spaces between them.

    Raises:
        DataError: no rows, a column that is missing, an id that is blank or there twice, or a target that is empty or
            no such number; the message names the row, the header being row 1.
    """
    rows = [{name.strip("\ufeff "): text.strip() for name, text in row.items()} for row in read_csv(path)]
    if not rows:
        raise DataError(f"{path} has no rows: a header {_ID},{_TARGET} and one line an image are expected")
    if missing := [name for name in (_ID, _TARGET) if name not in rows[0]]:
        raise DataError(f'{path.name} has no column "{missing[0]}"; its columns: {", ".join(rows[0])}')
    labels = np.zeros((len(rows), classes), np.float32)
    columns = {str(k): k for k in range(classes)}
    first: dict[str, int] = {}
    for n, row in enumerate(rows):
        place, name = f"{path.name} row {n + 2}", row[_ID]
        if not name:
            raise DataError(f"{place} has no {_ID}")
        if first.setdefault(name, n) != n:
            raise DataError(f"{place}: {name} is in the table twice, first in row {first[name] + 2}: remove one")
        numbers = row[_TARGET].split()
        if not numbers:
            raise DataError(f"{place}: {name} has an empty target: give at least one class, 0 to {classes - 1}")
        for text in numbers:
            if text not in columns:
                raise DataError(f'{place}: {name} has the target "{text}", which is no class: 0 to {classes - 1}')
            labels[n, columns[text]] = 1
    return Table(path, list(first), labels, [row.get(_SYNTHETIC) == "1" for row in rows])
