"""What a table is asked for: its rows and its learning curve, as a bundle writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import PurePath
from typing import Any

from medkit.errors import ConfigError, did_you_mean

KINDS = ("segmentation", "classification", "multilabel")
COLUMNS = ("plain", "gated")


@dataclass(frozen=True, slots=True)
class Row:
    """One method in the table.

    Attributes:
        name: shown in the table.
        kind: one of `KINDS`: what its files are, segmentation.csv, or predictions.csv with one class or with any
            findings an image.
        files: glob patterns relative to the run's folder.
        column: one of `COLUMNS`: which masks of segmentation.csv.
        negative: the class of predictions.csv that means "nothing there".
        against: name of the row that it is compared with.
    """

    name: str
    kind: str
    files: tuple[str, ...]
    column: str = "plain"
    negative: str | None = None
    against: str | None = None


def parse_rows(given: Sequence[Mapping[str, Any]], baseline: str | None = None) -> list[Row]:
    """Return the rows, each with the row that it is compared with: its own ``against``, else ``baseline``.

    Raises:
        ConfigError: an option is missing, unknown or has no such value, or a name is unknown or there twice.
    """
    rows = [_row(row) for row in given]
    if not rows:
        raise ConfigError("fold_table: there are no rows: give at least one with name, kind and files")
    kinds = {row.name: row.kind for row in rows}
    if len(kinds) < len(rows):
        twice = next(name for name in kinds if [row.name for row in rows].count(name) > 1)
        raise ConfigError(f'fold_table: two rows are called "{twice}": give each a name of its own')
    for option, name in [("baseline", baseline), *(("against", row.against) for row in rows)]:
        if name is not None and name not in kinds:
            raise ConfigError(f'fold_table: {option} "{name}" is no row.{did_you_mean(name, kinds)}')
    for row in rows:
        if row.against is not None and kinds[row.against] != row.kind:
            raise ConfigError(
                f'fold_table: "{row.name}" and "{row.against}" are of different kinds: compare like with like'
            )
    also = {name for name, kind in kinds.items() if baseline is not None and kind == kinds[baseline]} - {baseline}
    return [replace(row, against=row.against or (baseline if row.name in also else None)) for row in rows]


def parse_curve(given: Mapping[str, Any]) -> tuple[Row, dict[float, Row]]:
    """Return what the learning curve is of, and for each training-set size, ascending, the row of its files.

    Raises:
        ConfigError: as `parse_rows`, or a training-set size is not a positive number or there twice.
    """
    _require_options("the learning curve", [given], ("name", "kind", "points"), ("column", "negative"))
    points = given["points"]
    _require_options("a point of the learning curve", points, ("images", "files"))
    patterns = {point["images"]: _list(point["files"]) for point in points}
    if not all(isinstance(size, int | float) and size > 0 for size in patterns) or len(patterns) < len(points):
        found = [point["images"] for point in points]
        raise ConfigError(f"fold_table: the learning curve's images are {found}: give different numbers above 0")
    options = {key: value for key, value in given.items() if key != "points"}
    row = _row({**options, "files": [pattern for files in patterns.values() for pattern in files]})
    return row, {
        size: replace(row, name=f"{row.name}, {size} images", files=tuple(patterns[size])) for size in sorted(patterns)
    }


def _row(given: Mapping[str, Any]) -> Row:
    names = [field.name for field in fields(Row)]
    _require_options("a row", [given], names[:3], names[3:])
    row = Row(**{**given, "name": str(given["name"]), "files": tuple(_list(given["files"]))})
    about = f'of row "{row.name}"'
    for option, value, known in (("kind", row.kind, KINDS), ("column", row.column, COLUMNS)):
        if value not in known:
            hint = did_you_mean(str(value), known)
            raise ConfigError(f'fold_table: {option} "{value}" {about} is not one of {", ".join(known)}.{hint}')
    if not row.files or not all(pattern and not PurePath(pattern).is_absolute() for pattern in row.files):
        raise ConfigError(f"fold_table: files {about} are {list(row.files)}: give patterns relative to run_dir")
    return row


def _require_options(
    what: str, given: Sequence[Mapping[str, Any]], required: Sequence[str], others: Sequence[str] = ()
) -> None:
    known = (*required, *others)
    for options in given:
        for name in options:
            if name not in known:
                raise ConfigError(f'fold_table: {what} has no option "{name}".{did_you_mean(name, known)}')
        for name in required:
            if name not in options:
                raise ConfigError(f'fold_table: {what} lacks "{name}": it has {", ".join(options) or "no options"}')


def _list(patterns: str | Sequence[str]) -> list[str]:
    return [patterns] if isinstance(patterns, str) else [str(pattern) for pattern in patterns]
