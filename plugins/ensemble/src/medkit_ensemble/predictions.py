"""predictions.csv as models write it: read and written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from medkit.contracts import PREDICTIONS_FORMAT
from medkit.errors import DataError
from medkit.predictions import GROUPS, Predictions, findings_of, path_ends, predictions_of
from medkit.tables import write_csv
from medkit_ensemble.tables import Row, Table

FORMAT = "format"


def table_of(path: Path, rows: Sequence[Row]) -> Predictions:
    """Return the rows of a predictions.csv.

    Raises:
        DataError: they are of something else or of another version, or hold a file twice.
    """
    if not {"file", "status", "reason"} <= rows[0].keys() or not findings_of(rows[0]):
        raise DataError(f"{path} is no predictions.csv: file, status, reason and probability_… were asked for")
    return predictions_of(path, rows)


def by_ends(tables: Sequence[Predictions]) -> dict[Path, Table]:
    """Return the rows of each table by the end of their files' paths (see `medkit.predictions.path_ends`)."""
    ends = path_ends([table.files for table in tables])
    return {table.path: dict(zip(names, map(dict, table.rows))) for table, names in zip(tables, ends)}


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


def write_predictions(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a predictions.csv whole, its version last."""
    columns = [*(name for name in columns if name != FORMAT), FORMAT]
    write_csv(path, columns, ({**row, FORMAT: PREDICTIONS_FORMAT} for row in rows))
