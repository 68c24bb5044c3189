"""What a comparison is asked for: its rows, and the run folders that each rests on."""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medkit.errors import ConfigError, DataError, did_you_mean
from medkit_comparison.run_folder import PREDICTIONS

FOUND = ("+", "-", "0")
"""What a report may have found: it helped, it hurt, it made no difference."""
_OPTIONS = ("name", "runs", "predictions", "against", "report", "note")


@dataclass(frozen=True, slots=True)
class Row:
    """One technique.

    Attributes:
        name: shown in the table.
        folders: its runs: seeds, or folds.
        predictions: the file that it rests on, in each folder.
        against: the row that it is compared with; None: the table's.
        report: one of `FOUND`, or None where no report speaks of it.
        note: free text.
    """

    name: str
    folders: tuple[Path, ...]
    predictions: str = PREDICTIONS
    against: str | None = None
    report: str | None = None
    note: str = ""

    @property
    def tables(self) -> list[Path]:
        """The predictions of each run."""
        return [folder / self.predictions for folder in self.folders]


def parse_rows(
    given: Sequence[Mapping[str, Any]], run_dir: Path, partial: bool = False, against: str | None = None
) -> list[Row]:
    """Return the rows with their folders; see `ComparisonTable` for what is given, ``against`` among it.

    With ``partial``, folders without predictions are left out, and so are rows that have no other.

    Raises:
        ConfigError: fewer than two rows, an option is missing or wrong, a name comes twice, or a run's predictions do.
        DataError: a pattern matches no folder.
    """
    asked = [_row(options, run_dir, partial) for options in given]
    for name in filter(None, (against, *(row.against for row in asked))):
        _require_row(asked, name)
    rows = [row for row in asked if row.folders]
    if len(rows) < 2:
        found = f'only "{rows[0].name}"' if rows else "none"
        do = "finish another run" if partial else "name another run"
        raise ConfigError(f"compare: two rows or more are compared, {found} is there: {do}")
    owner: dict[Path, str] = {}
    for row in rows:
        for folder, table in zip(row.folders, row.tables):
            if (real := table.resolve()) in owner:
                where = " and ".join(f'"{name}"' for name in dict.fromkeys((owner[real], row.name)))
                raise ConfigError(f"compare: the run {folder} comes twice, in {where}: name it once")
            owner[real] = row.name
    names = [row.name for row in rows]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(f'compare: two rows are called "{twice}": give each a name of its own')
    return rows


def _require_row(rows: Sequence[Row], name: str) -> None:
    names = [row.name for row in rows]
    if name not in names:
        raise ConfigError(f'compare: against "{name}" is no row.{did_you_mean(name, names)} Rows: {", ".join(names)}')


def _row(given: Mapping[str, Any], run_dir: Path, partial: bool) -> Row:
    for option in given:
        if option not in _OPTIONS:
            raise ConfigError(f'compare: a row has no option "{option}".{did_you_mean(str(option), _OPTIONS)}')
    for option in ("name", "runs"):
        if not given.get(option):
            raise ConfigError(f'compare: a row lacks "{option}": it has {", ".join(given) or "no options"}')
    name, report = str(given["name"]), given.get("report")
    report = None if report is None else str(report)
    if report not in (None, *FOUND):
        raise ConfigError(f'compare: report "{report}" of row "{name}" is none of {", ".join(FOUND)}')
    patterns = [given["runs"]] if isinstance(given["runs"], str) else given["runs"]
    predictions = str(given.get("predictions") or PREDICTIONS)
    holding = predictions if partial else None
    folders = [folder for pattern in patterns for folder in _folders(str(pattern), run_dir, name, holding)]
    return Row(name, tuple(folders), predictions, given.get("against"), report, str(given.get("note") or ""))


def _folders(pattern: str, run_dir: Path, name: str, holding: str | None) -> list[Path]:
    """Return a folder, or those that a pattern matches, each once although ``latest`` links to another.

    With ``holding``, none that lacks this file.
    """
    exact = run_dir / pattern
    if exact.exists() or not glob.has_magic(pattern):  # a folder's name may look like a pattern: "run [1]"
        return [] if holding and not (exact / holding).is_file() else [exact]
    # Path.glob takes no absolute pattern
    matches = sorted(glob.glob(str(Path(glob.escape(str(run_dir))) / pattern)))  # noqa: PTH207
    folders = {path.resolve(): path for path in map(Path, matches) if path.is_dir()}
    if holding:
        return [path for path in folders.values() if (path / holding).is_file()]
    if not folders:
        raise DataError(f'row "{name}": no folder matches {exact}: run what makes it')
    return list(folders.values())
