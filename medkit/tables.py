"""CSV files that survive any text: formulas stay text, and file names that are not UTF-8 come back as they were."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from medkit.errors import DataError
from medkit.files import whole

_ERRORS = "surrogateescape"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "'")


def guarded(text: str) -> str:
    """Return ``text`` so that no spreadsheet runs it as a formula; `unguarded` takes it back exactly."""
    return f"'{text}" if text.startswith(_FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def unguarded(text: str) -> str:
    """Return what `guarded` was given."""
    return text[1:] if text[:1] == "'" and text[1:].startswith(_FORMULA) else text


def write_csv(path: str | Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Write a CSV file whole: texts guarded, numbers as they are, what a row lacks left blank."""
    with whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8", errors=_ERRORS) as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(guarded(name) for name in columns)
        for row in rows:
            cells = (row.get(name, "") for name in columns)
            table.writerow(guarded(cell) if isinstance(cell, str) else cell for cell in cells)


def read_csv(path: str | Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file as texts, in order; none where there is no such file."""
    if not Path(path).is_file():
        return []
    with Path(path).open(newline="", encoding="utf-8", errors=_ERRORS) as stream:
        rows = csv.DictReader(stream)
        return [{unguarded(k): unguarded(v or "") for k, v in row.items() if k is not None} for row in rows]


def read_rows(path: str | Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file that must be there and whole; at least one.

    Raises:
        DataError: it is missing, is no CSV, has no rows, or ends in the middle of a line.
    """
    try:
        end = Path(path).read_bytes()[-1:]
        if end not in (b"", b"\n", b"\r"):
            raise DataError(f"{path} is cut off in its last line: make it again, or end that line where it is complete")
        rows = read_csv(path)
    except FileNotFoundError as error:
        raise DataError(f"{path} is not there: run the stage that makes it") from error
    except (OSError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as CSV ({error}): run the stage that makes it again") from error
    if not rows:
        raise DataError(f"{path} has no rows: run the stage that makes it again")
    return rows
