"""predictions.csv as models write it: read and written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from medkit.contracts import PREDICTIONS_FORMAT
from medkit.errors import DataError
from medkit.tables import write_csv
from medkit_ensemble.tables import Row, Table, keyed

PROBABILITY, PRESENT, LABEL = GROUPS = ("probability_", "present_", "label_")
FORMAT = "format"


def table_of(path: Path, rows: Sequence[Row]) -> Table:
    """Return the rows of a predictions.csv by file, in their order.

    Raises:
        DataError: they are of something else or of another version, or hold a file twice.
    """
    if not {"file", "status", "reason"} <= rows[0].keys() or not findings_of(rows[0]):
        raise DataError(f"{path} is no predictions.csv: file, status, reason and probability_… were asked for")
    for row in rows:
        if row.get(FORMAT, PREDICTIONS_FORMAT) != PREDICTIONS_FORMAT:
            raise DataError(
                f'{path} has the format "{row[FORMAT]}", this medkit reads "{PREDICTIONS_FORMAT}": use the medkit that '
                "wrote it, or update this one"
            )
    return keyed(path, rows, lambda row: row["file"])


def findings_of(columns: Iterable[str]) -> list[str]:
    """Return the findings that a table has probabilities for."""
    return [name.removeprefix(PROBABILITY) for name in columns if name.startswith(PROBABILITY)]


def about_image(rows: Sequence[Row]) -> dict[str, Any]:
    """Return what several models' rows of one image say beside findings.

    Status and reason are those of the first row that is not ``ok``; ``synthetic`` and ``synthetic_model`` are 1 where
    they are in any.
    """
    out: dict[str, Any] = {k: v for k, v in rows[0].items() if not k.startswith(GROUPS)}
    marks = [key for key in ("synthetic", "synthetic_model") if key in out]
    out |= {key: int(any(row.get(key) == "1" for row in rows)) for key in marks}
    failed = next((row for row in rows if row["status"] != "ok"), rows[0])
    return out | {key: failed[key] for key in ("status", "reason")}


def probabilities(row: Row, findings: Sequence[str], path: Path) -> list[float]:
    """Return a row's probabilities; raise `DataError` where one is none."""
    try:
        values = [float(row[f"{PROBABILITY}{name}"]) for name in findings]
    except ValueError:
        values = [-1.0]
    if not all(0 <= value <= 1 for value in values):
        raise DataError(
            f"{path} gives {row['file']} something that is no probability: run the stage that made it again"
        )
    return values


def write_predictions(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a predictions.csv whole, its version last."""
    columns = [*(name for name in columns if name != FORMAT), FORMAT]
    write_csv(path, columns, ({**row, FORMAT: PREDICTIONS_FORMAT} for row in rows))
