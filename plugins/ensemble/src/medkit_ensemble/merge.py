"""Several models' predictions.csv to one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from medkit.errors import ConfigError, DataError, did_you_mean
from medkit.tables import write_csv
from medkit_ensemble.predictions import (
    LABEL,
    PRESENT,
    PROBABILITY,
    Row,
    about_image,
    find_tables,
    findings_of,
    probabilities,
    read_table,
    require_same_files,
)

LABEL_MODES = ("multilabel", "multiclass")


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
        self.files = files
        self.output = Path(output)
        self.label_mode = label_mode

    def run(self) -> Path:
        """Write the table and return its path."""
        paths = find_tables("merge_predictions", self.files)
        if len(paths) < 2:
            raise ConfigError(f"merge_predictions: two tables or more were asked for, found {paths[0]}")
        tables = {path: read_table(path) for path in paths}
        require_same_files(tables)
        columns = list(next(iter(tables[paths[0]].values())))
        findings = findings_of(columns)
        for path, table in tables.items():
            if (found := findings_of(next(iter(table.values())))) != findings:
                raise DataError(f"{path} has the findings {found}, {paths[0]} has {findings}")
        rows = [self._merged({path: tables[path][file] for path in paths}, findings) for file in tables[paths[0]]]
        write_csv(self.output, columns, rows)
        return self.output

    def _merged(self, rows: Mapping[Path, Row], findings: Sequence[str]) -> dict[str, Any]:
        """Return one file's row from those of all tables."""
        (one, first), *others = rows.items()
        labels = {k: v for k, v in first.items() if k.startswith(LABEL)}
        for path, row in others:
            if any(row.get(k) != v for k, v in labels.items()):
                raise DataError(f"{row['file']} has other labels in {path} than in {one}")
        out = about_image(list(rows.values())) | labels
        if out["status"] != "ok":
            return out
        mean = np.mean([probabilities(row, findings, path) for path, row in rows.items()], axis=0)
        present = mean >= 0.5 if self.label_mode == "multilabel" else np.arange(len(mean)) == mean.argmax()
        out |= {f"{PROBABILITY}{name}": f"{value:.6g}" for name, value in zip(findings, mean)}
        return out | {f"{PRESENT}{name}": int(value) for name, value in zip(findings, present)}
