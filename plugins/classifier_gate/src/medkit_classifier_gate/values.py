"""What a classifier said of each image, read from its prediction tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any, Literal

import numpy as np
from monai.transforms import Transform

from medkit import contracts as c
from medkit.errors import ConfigError, DataError, did_you_mean
from medkit.predictions import require_version
from medkit.tables import read_csv


class GateValues(Transform):
    """Dictionary transform: adds ``gate``, float32 in 0…1, ``1 − probability of the negative class``.

    The row is found by the image's path: ``image`` before it is read, ``file`` afterwards; where the images have moved
    since, by the end of the path, which must then be one row's alone. An image whose row has no
    probability (it was not assessed, or could not be read) has the gate NaN, which is open. The tables are read when
    the first sample comes, once.

    Goes first in `medkit.SafeCompose`: the gate is written into the sample that is given, not into a copy, so that the
    record of an image that fails later has it too, and batches can be stacked.

    Args:
        predictions: path or paths of ``predictions.csv`` files, of which each image is in one; a folder stands for
            all of them in its sub-folders.
        negative: the class that means that there is nothing to segment.
        missing: what becomes of an image that is in no table: an ``error``, or an ``open`` gate, NaN.

    Raises:
        ConfigError: ``missing`` is neither; while running: an image is in no table.
        DataError: while running: a table is missing, has no such class or a value that is no probability; an image is
            in two rows.

    Example:
        ```yaml
        - {_target_: medkit.transform, component: gate_values, predictions: "$@output_dir + '/predictions.csv'"}
        ```
    """

    def __init__(
        self,
        predictions: Sequence[str] | str,
        *,
        negative: str = "normal",
        missing: Literal["error", "open"] = "error",
    ) -> None:
        if missing not in ("error", "open"):
            raise ConfigError(f'gate_values: missing "{missing}" is unknown: choose error or open')
        self.predictions = [predictions] if isinstance(predictions, str | Path) else list(predictions)
        self.negative = negative
        self.missing = missing

    def __call__(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return the same sample with its gate."""
        data[c.GATE] = np.float32(np.nan)
        image = data[c.IMAGE]
        file = str(image) if isinstance(image, str | Path) else str(data[c.FILE])
        file = self._known_as(file)
        if file not in self.gates and self.missing == "error":
            tables = ", ".join(map(str, self.predictions))
            raise ConfigError(
                f"gate_values: {file} is not in {tables}: run the stage in which the classifier predicts it, "
                "or set missing: open"
            )
        data[c.GATE] = self.gates.get(file, data[c.GATE])
        return data

    def _tables(self) -> Iterator[Path]:
        for place in map(Path, self.predictions):
            yield from sorted(place.glob("*/predictions.csv")) if place.is_dir() else [place]

    def _known_as(self, file: str) -> str:
        """Return the file as the tables name it."""
        return file if file in self.gates else self._by_end.get(PurePath(file).parts[-2:], file)

    @cached_property
    def _by_end(self) -> dict[tuple[str, ...], str]:
        """The one file that ends in a folder and a name, for those that are alone in it."""
        ends = Counter(PurePath(file).parts[-2:] for file in self.gates)
        return {end: file for file in self.gates if ends[end := PurePath(file).parts[-2:]] == 1}

    @cached_property
    def gates(self) -> dict[str, np.float32]:
        """Every image's gate."""
        gates: dict[str, np.float32] = {}
        origin: dict[str, Path] = {}
        for table in self._tables():
            for file, gate in _rows(table, self.negative):
                if file in gates:
                    raise DataError(f"gate_values: {file} is in {origin[file]} and again in {table}: keep one of them")
                gates[file], origin[file] = gate, table
        return gates


def _rows(table: Path, negative: str) -> Iterator[tuple[str, np.float32]]:
    """Yield file and gate of each row."""
    if not Path(table).is_file():
        raise DataError(f"gate_values: {table} is not there: run the stage in which the classifier writes it")
    column = f"probability_{negative}"
    rows = read_csv(table)
    require_version(f"gate_values: {table}", rows)
    for row in rows:
        if "file" not in row or column not in row:
            classes = [name.removeprefix("probability_") for name in row if name.startswith("probability_")]
            hint = did_you_mean(negative, classes)
            found = ", ".join(classes) or "none"
            raise DataError(f'gate_values: {table} has no class "{negative}".{hint} Its classes: {found}.')
        try:
            probability = np.float32(row[column] or np.nan)
        except ValueError:
            probability = np.float32(np.inf)
        if probability < 0 or probability > 1:
            raise DataError(f"gate_values: {table} gives {row['file']} the {column} {row[column]}: expected 0 to 1")
        yield row["file"], 1 - probability
