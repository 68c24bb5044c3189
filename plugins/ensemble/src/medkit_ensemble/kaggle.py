"""Kaggle's table of several classes an image: ``Id,Predicted``, the numbers of the classes separated by spaces."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath

from medkit.errors import DataError
from medkit.predictions import PRESENT, PROBABILITY
from medkit.tables import write_csv
from medkit_ensemble.tables import Row, Table, keyed

ID, PREDICTED = "Id", "Predicted"
MOST = 1000
"""As many classes a table without names may have: a mistyped number is no class."""
_BESIDE_ID = re.compile(r"(_(red|green|blue|yellow))?(\.[a-z]\w*)?$", re.IGNORECASE)


def image_id(file: str) -> str:
    """Return the id of an image: its file's name without folder, suffix and the colour of one that has a file a colour.

    ``/data/00070df0_green.png`` is ``00070df0``. What comes after the last point is a suffix where it begins with a
    letter, so ``1.2.840.10`` stays.
    """
    return _BESIDE_ID.sub("", PurePath(file).name, count=1)


def is_kaggle(rows: Sequence[Row]) -> bool:
    """Return whether the rows are of Kaggle's table."""
    return {ID, PREDICTED} <= rows[0].keys()


def highest_class(path: Path, rows: Iterable[Row]) -> int:
    """Return the highest class number of a table without names, 0 where it has none."""
    return max((number for row in rows for number in _numbers(path, row, MOST)), default=0)


def table_of_kaggle(path: Path, rows: Iterable[Row], classes: Sequence[str]) -> Table:
    """Return Kaggle's rows as those of a predictions.csv by id: a class that is given has the probability 1.

    Raises:
        DataError: an id comes twice or is blank, or something is no number of a class.
    """
    return keyed(path, (_row(path, row, classes) for row in rows), lambda row: row["file"])


def write_kaggle(path: Path, images: Iterable[tuple[str, Iterable[int]]]) -> None:
    """Write Kaggle's table whole from ids and their classes."""
    write_csv(path, (ID, PREDICTED), ({ID: key, PREDICTED: " ".join(map(str, given))} for key, given in images))


def _row(path: Path, row: Row, classes: Sequence[str]) -> Row:
    if not row[ID]:
        raise DataError(f"{path} has a row without {ID}: name its image")
    given = _numbers(path, row, len(classes))
    cells = {name: str(int(number in given)) for number, name in enumerate(classes)}
    out = {"file": row[ID], "status": "ok", "reason": ""}
    return out | {f"{group}{name}": cell for group in (PROBABILITY, PRESENT) for name, cell in cells.items()}


def _numbers(path: Path, row: Row, count: int) -> set[int]:
    words = row[PREDICTED].split()
    for word in words:
        if not (word.isascii() and word.isdecimal() and int(word) < count):
            raise DataError(f'{path} gives {row[ID]} the class "{word}": numbers from 0 to {count - 1} were asked for')
    return set(map(int, words))
