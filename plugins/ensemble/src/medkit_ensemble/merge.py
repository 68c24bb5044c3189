"""Several models' predictions.csv to one."""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from medkit.errors import ConfigError, DataError, did_you_mean
from medkit.tables import read_csv, write_csv

LABEL_MODES = ("multilabel", "multiclass")
_PROBABILITY, _LABEL = "probability_", "label_"
Table = dict[str, dict[str, str]]
"""File → row."""


class MergePredictions:
    """Writer of one predictions.csv from those of several models: the mean of their probabilities.

    Rows are joined by ``file``; the first table's columns and order are kept. A row that is not ``ok`` in one of the
    tables has no probabilities, and the status and reason that it has in the first such table. ``synthetic`` and
    ``synthetic_model`` are 1 where they are in any.

    Args:
        files: paths or glob patterns of the tables, at least two in all.
        output: the table to write.
        label_mode: ``multiclass``: ``present`` is the most probable finding; ``multilabel``: each from 0.5 on.

    Raises:
        ConfigError: an option is wrong, or fewer than two tables were found.
        DataError: tables differ in their files, findings or labels, or hold something that is no probability.

    Example:
        ```yaml
        merge:
          _target_: medkit.handler
          component: merge_predictions
          files: ["$@output_dir + '/model*/predictions.csv'"]
          output: "$@output_dir + '/merged/predictions.csv'"
        run: ["$@merge.run()"]
        ```
    """

    def __init__(
        self, files: Sequence[str], output: str, *, label_mode: Literal["multilabel", "multiclass"] = "multilabel"
    ) -> None:
        if label_mode not in LABEL_MODES:
            hint = did_you_mean(str(label_mode), LABEL_MODES)
            raise ConfigError(f'merge_predictions: label_mode "{label_mode}" is not one of {LABEL_MODES}.{hint}')
        self.files = [files] if isinstance(files, str) else list(files)
        self.output = Path(output)
        self.label_mode = label_mode

    def run(self) -> Path:
        """Write the table and return its path."""
        paths = self._paths()
        tables = [_read(path) for path in paths]
        first, columns = tables[0], list(next(iter(tables[0].values())))
        for path, table in zip(paths[1:], tables[1:]):
            _require_same_files(paths[0], first, path, table)
            if (found := _named(next(iter(table.values())), _PROBABILITY)) != _named(columns, _PROBABILITY):
                raise DataError(f"{path} has the findings {found}, {paths[0]} has {_named(columns, _PROBABILITY)}")
        rows = [self._merged([table[file] for table in tables], paths) for file in first]
        write_csv(self.output, columns, rows)
        return self.output

    def _paths(self) -> list[Path]:
        found: dict[str, None] = {}
        for pattern in self.files:
            # a path may look like a pattern: "run [1]"; and Path.glob takes no absolute pattern
            matches = [pattern] if Path(pattern).is_file() else sorted(glob.glob(pattern))  # noqa: PTH207
            if not matches:
                raise ConfigError(f"merge_predictions: {pattern} is not there: run the stages that make it")
            found |= dict.fromkeys(matches)
        if len(found) < 2:
            raise ConfigError(f"merge_predictions: two tables or more were asked for, found {', '.join(found)}")
        return [Path(path) for path in found]

    def _merged(self, rows: Sequence[Mapping[str, str]], paths: Sequence[Path]) -> dict[str, Any]:
        """Return one file's row from those of all tables."""
        out: dict[str, Any] = {k: v for k, v in rows[0].items() if not k.startswith((_PROBABILITY, "present_"))}
        for row, path in zip(rows, paths):
            if any(row.get(k) != v for k, v in out.items() if k.startswith(_LABEL)):
                raise DataError(f"{row['file']} has other labels in {path} than in {paths[0]}")
        marks = [key for key in ("synthetic", "synthetic_model") if key in out]
        out |= {key: int(any(row.get(key) == "1" for row in rows)) for key in marks}
        failed = next((row for row in rows if row["status"] != "ok"), None)
        if failed is not None:
            return out | {"status": failed["status"], "reason": failed["reason"]}
        findings = _named(rows[0], _PROBABILITY)
        mean = np.mean([_probabilities(row, findings, path) for row, path in zip(rows, paths)], axis=0)
        present = mean >= 0.5 if self.label_mode == "multilabel" else np.arange(len(mean)) == mean.argmax()
        out |= {f"{_PROBABILITY}{name}": f"{value:.6g}" for name, value in zip(findings, mean)}
        return out | {f"present_{name}": int(value) for name, value in zip(findings, present)}


def _read(path: Path) -> Table:
    rows = read_csv(path)
    if not rows or not {"file", "status", "reason"} <= rows[0].keys() or not _named(rows[0], _PROBABILITY):
        raise DataError(f"{path} is no predictions.csv: file, status, reason and probability_… were asked for")
    table = {row["file"]: row for row in rows}
    if len(table) < len(rows):
        names = [row["file"] for row in rows]
        twice = next(name for name in table if names.count(name) > 1)
        raise DataError(f"{path} holds {twice} twice: keep one of them")
    return table


def _named(columns: Any, prefix: str) -> list[str]:
    return [name.removeprefix(prefix) for name in columns if name.startswith(prefix)]


def _require_same_files(one: Path, first: Table, other: Path, second: Table) -> None:
    for path, has, lacks, table in ((one, first, second, other), (other, second, first, one)):
        if missing := [name for name in has if name not in lacks]:
            some = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
            raise DataError(f"{table} lacks {some}, which {path} has: predict the same files with every model")


def _probabilities(row: Mapping[str, str], findings: Sequence[str], path: Path) -> list[float]:
    try:
        values = [float(row[f"{_PROBABILITY}{name}"]) for name in findings]
    except ValueError:
        values = [np.nan]
    if not all(0 <= value <= 1 for value in values):
        raise DataError(
            f"{path} gives {row['file']} something that is no probability: run the stage that made it again"
        )
    return values
