"""Read CSV tables: columns by name, findings as a matrix, boxes as rows."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from medkit.errors import DataError, did_you_mean
from medkit_chest_xray.findings import NO_FINDING, spelling

IMAGE_COLUMNS = ("image", "Image Index", "file", "filename")
_MARKS = {"1": 1.0, "1.0": 1.0, "0": 0.0, "0.0": 0.0, "": np.nan, "nan": np.nan}


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file in memory, by columns.

    Attributes:
        path: the file.
        columns: its columns by name, all of one length, as they stand in the file.
    """

    path: Path
    columns: dict[str, list[str]]

    def __getitem__(self, name: str) -> list[str]:
        """Return a column without the blanks around its fields."""
        return [text.strip() for text in self.columns[name]]

    def column(self, *names: str) -> list[str]:
        """Return the first column that has one of ``names``.

        Raises:
            DataError: none is there; the message names the columns that are.
        """
        for name in names:
            if name in self.columns:
                return self[name]
        hint = did_you_mean(names[0], self.columns)
        there = ", ".join(name for name in self.columns if name)
        raise DataError(f'{self.path.name} has no column "{names[0]}".{hint} Columns: {there or "none"}.')


@dataclass(frozen=True, slots=True)
class Boxes:
    """Boxes by image.

    Attributes:
        rows: for each image with a box: finding, x_min, y_min, x_max, y_max.
        complete: an image without rows has no finding to box, rather than nobody having looked.
        frame_size: (rows, columns) that the coordinates refer to; None means each file's own size.
    """

    rows: dict[str, list[tuple[str, float, float, float, float]]] = field(default_factory=dict)
    complete: bool = False
    frame_size: tuple[int, int] | None = None


def read_table(path: Path, may_be_empty: bool = False) -> Table:
    """Return a CSV file, gzip-compressed where its name ends in ``.gz``.

    Blank fields at the end of a line are dropped: NIH's tables have some in the header, some in the rows.

    Raises:
        DataError: not readable as CSV, no rows (unless they ``may_be_empty``), one column name twice, or a row with
            fewer or more fields than the header.
    """
    names: list[str] = []
    fields: list[str] = []  # flat: a list for each of 112,120 rows would keep the garbage collector busy
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        # utf-8-sig, because spreadsheet programs begin a CSV file with a byte order mark
        lines = csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""))
        names = [name.strip() for name in next(lines, [])]
        while names and not names[-1]:
            names.pop()
        width = len(names)
        for number, row in enumerate(filter(None, lines), start=2):
            if len(row) != width and (len(row) < width or any(row[width:])):
                raise DataError(f"{path.name} row {number} has {len(row)} fields where the header has {width}")
            fields += row[:width]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path.name} cannot be read as a CSV table: {error}") from error
    if not names:
        raise DataError(f"{path.name} is empty: a header line and one line an image are expected")
    if len(set(names)) < width:
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f'{path.name} has two columns "{twice}": rename or remove one')
    if not fields and not may_be_empty:
        raise DataError(f"{path.name} has a header and no rows")
    return Table(path, {name: fields[k::width] for k, name in enumerate(names)})


def listed_findings(table: Table, column: list[str], known: Sequence[str]) -> np.ndarray:
    """Return (N, len(known)) float32 from a column such as ``Mass|Nodule``; an empty field is a row of NaN.

    Raises:
        DataError: a name that is neither in ``known`` nor ``No Finding``, or ``No Finding`` beside a finding.
    """
    index = {spelling(name): k for k, name in enumerate(known)}
    rows: dict[str, np.ndarray] = {}  # few distinct texts, many images
    for number, text in enumerate(column, start=2):
        if text in rows:
            continue
        names = [name.strip() for name in text.split("|") if name.strip()]
        row = np.full(len(known), 0.0 if names else np.nan, np.float32)
        for name in names:
            if spelling(name) in index:
                row[index[spelling(name)]] = 1.0
            elif spelling(name) != spelling(NO_FINDING):
                hint = did_you_mean(name, known)
                raise DataError(
                    f'{table.path.name} row {number}: unknown label "{name}".{hint} '
                    f"Correct it or add it to findings; known: {', '.join(known)}."
                )
            elif len(names) > 1:
                raise DataError(f'{table.path.name} row {number}: "{text}" says both "{NO_FINDING}" and a finding')
        rows[text] = row
    return np.stack([rows[text] for text in column])


def marked_findings(table: Table, columns: Sequence[str]) -> np.ndarray:
    """Return (N, len(columns)) float32 from columns of 1, 0 and blank, which becomes NaN.

    Raises:
        DataError: another value; the message names row and column.
    """
    matrix = np.empty((len(table.columns[columns[0]]), len(columns)), np.float32)
    for k, name in enumerate(columns):
        for n, text in enumerate(table[name]):
            mark = _MARKS.get(text.casefold())
            if mark is None:
                raise DataError(
                    f'{table.path.name} row {n + 2}, column "{name}": "{text}" is not 1 (present), 0 (absent) or blank'
                )
            matrix[n, k] = mark
    return matrix


def read_boxes(path: Path, known: Sequence[str]) -> Boxes:
    """Return the boxes of a table, in NIH's form or as ``image, finding, x_min, y_min, x_max, y_max``.

    NIH's header ``Image Index,Finding Label,Bbox [x,y,w,h],,,`` names one column for four numbers, its boxes refer to
    1024×1024, and only some images were shown to the radiologist: absence says nothing.

    Raises:
        DataError: a missing column, a number that is none, an empty box, or a finding that is not in ``known``.
    """
    names = {spelling(name): name for name in known}
    table = read_table(path, may_be_empty=True)
    nih = "Bbox [x" in table.columns  # the commas inside its brackets separate columns as well
    corners_of = ("Bbox [x", "y", "w", "h]") if nih else ("x_min", "y_min", "x_max", "y_max")
    wanted = [table.column(*IMAGE_COLUMNS), table.column("finding", "Finding Label")]
    records = zip(*wanted, *(table.column(name) for name in corners_of))
    rows: dict[str, list[tuple[str, float, float, float, float]]] = {}
    for number, (image, finding, *corners) in enumerate(records, start=2):
        try:
            x, y, right, bottom = (float(text) for text in corners)
        except ValueError as error:
            raise DataError(f"{path.name} row {number}: four numbers expected, found {', '.join(corners)}") from error
        if nih:
            right, bottom = x + right, y + bottom
        if not (np.isfinite([x, y, right, bottom]).all() and x < right and y < bottom):
            raise DataError(f"{path.name} row {number}: the box {x:g}, {y:g}, {right:g}, {bottom:g} is empty")
        if spelling(finding) not in names:
            hint = did_you_mean(finding, known)
            raise DataError(f'{path.name} row {number}: unknown finding "{finding}".{hint} Known: {", ".join(known)}.')
        rows.setdefault(image, []).append((names[spelling(finding)], x, y, right, bottom))
    return Boxes(rows, complete=not nih, frame_size=(1024, 1024) if nih else None)
