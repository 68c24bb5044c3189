"""Models of one finding each to one predictions.csv of all findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medkit.errors import ConfigError, DataError, did_you_mean
from medkit.predictions import GROUPS, LABEL, PRESENT, PROBABILITY, findings_of, number
from medkit.tables import read_rows
from medkit_ensemble.predictions import about_image, by_ends, table_of, write_predictions
from medkit_ensemble.tables import Row, find_tables, require_same_files


class JoinFindings:
    """Writer of one predictions.csv from those of models that each know one finding, or a few.

    Each finding keeps the probability, the label and the decision (``present_…``, at its own model's operating point)
    that its table gives, to the character. Rows are joined by the ends of ``file`` that tell all of every table apart,
    in the first table's order. A row that is not ``ok`` in one of the tables has neither probabilities nor decisions,
    and the status and reason that it has in the first such table. ``synthetic`` and ``synthetic_model`` are 1 where
    they are in any.

    Args:
        files: paths or glob patterns of the tables.
        findings: all of them, in the order of the columns that are written.
        output: the table to write.

    Raises:
        ConfigError: a finding is asked for twice, or a pattern leads to nothing.
        DataError: a finding is in two tables, in none, or was not asked for; tables hold different files, or
            something that is no probability.

    Example:
        ```yaml
        join:
          _target_: medkit.handler
          component: join_findings
          files: "$@output_dir + '/findings/*/predictions.csv'"
          findings: "@findings"
          output: "$@output_dir + '/evaluation/predictions.csv'"
        run: ["$@join.run()"]
        ```
    """

    def __init__(self, files: str | Sequence[str], findings: Sequence[str], output: str) -> None:
        self.files = files
        self.findings = list(findings)
        self.output = Path(output)
        if twice := [name for name in self.findings if self.findings.count(name) > 1]:
            raise ConfigError(f"join_findings: findings has {twice[0]} twice: name each once")

    def run(self) -> Path:
        """Write the table and return its path."""
        paths = find_tables("join_findings", self.files)
        tables = by_ends([table_of(path, read_rows(path)) for path in paths])
        require_same_files(tables)
        first = tables[paths[0]]
        headers = {path: list(next(iter(table.values()))) for path, table in tables.items()}
        source = self._sources(headers)
        known = {column for header in headers.values() for column in header}
        columns = [name for name in headers[paths[0]] if not name.startswith(GROUPS)]
        columns += [f"{group}{name}" for group in GROUPS for name in self.findings if f"{group}{name}" in known]
        rows = [self._joined({path: tables[path][key] for path in paths}, source) for key in first]
        write_predictions(self.output, columns, rows)
        return self.output

    def _sources(self, headers: Mapping[Path, Sequence[str]]) -> dict[str, Path]:
        """Return the one table that each finding is in."""
        source: dict[str, Path] = {}
        for path, header in headers.items():
            for name in findings_of(header):
                if name not in self.findings:
                    hint = did_you_mean(name, self.findings)
                    raise DataError(
                        f'{path} has "{name}", which findings does not name.{hint} Name it, or leave it out'
                    )
                if name in source:
                    raise DataError(f"{name} is in {source[name]} and in {path}: give one model a finding")
                source[name] = path
        if missing := [name for name in self.findings if name not in source]:
            raise DataError(f"none of {len(headers)} tables has {', '.join(missing)}: run the stages that make them")
        return source

    def _joined(self, rows: Mapping[Path, Row], source: Mapping[str, Path]) -> dict[str, Any]:
        """Return one file's row from those of all tables."""
        out = about_image(list(rows.values()))
        for name, path in source.items():
            row, groups = rows[path], [LABEL]
            if out["status"] == "ok":
                number(path, row, f"{PROBABILITY}{name}", required=True)
                groups += [PROBABILITY, PRESENT]
            out |= {f"{group}{name}": row.get(f"{group}{name}", "") for group in groups}
        return out
