"""What a trial is measured by: a column of the table that its training writes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from medkit.errors import ConfigError, did_you_mean
from medkit.tables import read_csv


@dataclass(frozen=True, slots=True)
class Objective:
    """The best value of a column over the epochs.

    Attributes:
        column: of the table.
        direction: ``maximize`` or ``minimize``.
        file: the table, relative to the run's folder, with a row an epoch.
    """

    column: str
    direction: str
    file: str = "history.csv"

    def values(self, folder: Path) -> dict[int, float]:
        """Return epoch → value, of the epochs that have one so far: none before the first, nor where it is NaN.

        Raises:
            ConfigError: the table has no such column, or one of words.
        """
        rows = read_csv(folder / self.file)
        if rows and self.column not in rows[0]:
            columns = ", ".join(rows[0])
            raise ConfigError(
                f'{folder / self.file} has no column "{self.column}".{did_you_mean(self.column, rows[0])} Columns: '
                f"{columns}. Mend objective in configs/tune.yaml and start anew with another -o"
            )
        try:
            numbers = {int(row.get("epoch", n)): float(row[self.column] or "nan") for n, row in enumerate(rows, 1)}
        except ValueError as error:
            raise ConfigError(
                f'{folder / self.file}: column "{self.column}" is no column of numbers: {error}'
            ) from error
        return {epoch: number for epoch, number in numbers.items() if math.isfinite(number)}

    def best(self, values: Iterable[float]) -> float | None:
        """Return the best of some values, None of none."""
        return (max if self.direction == "maximize" else min)(values, default=None)
