"""predictions.csv as several models wrote it: found, read, and checked against each other."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medkit.errors import ConfigError, DataError
from medkit.tables import read_csv

PROBABILITY, PRESENT, LABEL = "probability_", "present_", "label_"
Row = dict[str, str]
Table = dict[str, Row]
"""File → row."""


def find_tables(handler: str, files: str | Sequence[str]) -> list[Path]:
    """Return what paths and glob patterns lead to, each file once, in order.

    Raises:
        ConfigError: one leads to nothing, or there are none.
    """
    found: dict[str, None] = {}
    for pattern in [files] if isinstance(files, str) else files:
        # a path may look like a pattern: "run [1]"; and Path.glob takes no absolute pattern
        matches = [pattern] if Path(pattern).is_file() else sorted(glob.glob(pattern))  # noqa: PTH207
        if not matches:
            raise ConfigError(f"{handler}: {pattern} is not there: run the stages that make it")
        found |= dict.fromkeys(matches)
    if not found:
        raise ConfigError(f"{handler}: files is empty: name the tables")
    return [Path(path) for path in found]


def read_table(path: Path) -> Table:
    """Return a table's rows by file, in its order.

    Raises:
        DataError: it is no predictions.csv, or holds a file twice.
    """
    rows = read_csv(path)
    if not rows or not {"file", "status", "reason"} <= rows[0].keys() or not findings_of(rows[0]):
        raise DataError(f"{path} is no predictions.csv: file, status, reason and probability_… were asked for")
    table = {row["file"]: row for row in rows}
    if len(table) < len(rows):
        names = [row["file"] for row in rows]
        twice = next(name for name in table if names.count(name) > 1)
        raise DataError(f"{path} holds {twice} twice: keep one of them")
    return table


def findings_of(columns: Iterable[str]) -> list[str]:
    """Return the findings that a table has probabilities for."""
    return [name.removeprefix(PROBABILITY) for name in columns if name.startswith(PROBABILITY)]


def require_same_files(tables: Mapping[Path, Table]) -> None:
    """Raise `DataError` where a table holds other files than the first."""
    one, first = next(iter(tables.items()))
    for other, second in tables.items():
        for path, has, lacks, table in ((one, first, second, other), (other, second, first, one)):
            if missing := [name for name in has if name not in lacks]:
                some = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
                raise DataError(f"{table} lacks {some}, which {path} has: predict the same files with every model")


def about_image(rows: Sequence[Row]) -> dict[str, Any]:
    """Return what several models' rows of one image say beside findings.

    Status and reason are those of the first row that is not ``ok``; ``synthetic`` and ``synthetic_model`` are 1 where
    they are in any.
    """
    out: dict[str, Any] = {k: v for k, v in rows[0].items() if not k.startswith((PROBABILITY, PRESENT, LABEL))}
    marks = [key for key in ("synthetic", "synthetic_model") if key in out]
    out |= {key: int(any(row.get(key) == "1" for row in rows)) for key in marks}
    failed = next((row for row in rows if row["status"] != "ok"), rows[0])
    return out | {key: failed[key] for key in ("status", "reason")}


def probabilities(row: Row, findings: Sequence[str], path: Path) -> list[float]:
    """Return a row's probabilities; raise `DataError` where one is none."""
    try:
        values = [float(row[f"{PROBABILITY}{name}"]) for name in findings]
    except ValueError:
        values = [np.nan]
    if not all(0 <= value <= 1 for value in values):
        raise DataError(
            f"{path} gives {row['file']} something that is no probability: run the stage that made it again"
        )
    return values
