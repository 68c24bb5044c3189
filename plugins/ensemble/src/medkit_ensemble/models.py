"""What several models say of the same images, joined."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from medkit.errors import ConfigError, DataError
from medkit.predictions import GROUPS, LABEL, PRESENT, PROBABILITY, findings_of, number, path_ends
from medkit.tables import read_rows
from medkit_ensemble.kaggle import highest_class, image_id, is_kaggle, table_of_kaggle
from medkit_ensemble.predictions import about_image, by_ends, table_of
from medkit_ensemble.tables import Row, Table, keyed, require_same_files


class Models:
    """M models' tables of the same N images; K findings; n ≤ N images that all could assess.

    Args:
        tables: path → image → row, M of them.
        labels_alone: those of the paths whose probabilities are but decisions.
        by_id: images are ids, not the ends of their paths.

    Attributes:
        paths: of the tables.
        columns: of what is made of them: the first table's.
        findings: K names.
        images: image → its row without probabilities and decisions, in the first table's order.
        assessed: the n images whose status is ``ok``.

    Raises:
        DataError: tables differ in their images, findings or labels.
    """

    def __init__(self, tables: Mapping[Path, Table], labels_alone: Sequence[Path] = (), by_id: bool = False) -> None:
        require_same_files(tables)
        self._by_id = by_id
        self.paths, self.labels_alone = list(tables), labels_alone
        (first, table), *_ = tables.items()
        header = list(next(iter(table.values())))
        self.findings = findings_of(header)
        self.columns = [name for name in header if not name.startswith(GROUPS)]
        self.columns += [f"{group}{name}" for group in (PROBABILITY, PRESENT) for name in self.findings]
        self.columns += [name for name in header if name.startswith(LABEL)]
        for path, other in tables.items():
            if (found := findings_of(next(iter(other.values())))) != self.findings:
                raise DataError(f"{path} has the findings {found}, {first} has {self.findings}")
        self._tables = tables
        self.images = {key: self._image(key) for key in table}
        self.assessed = [key for key, row in self.images.items() if row["status"] == "ok"]

    def _image(self, key: str) -> dict[str, Any]:
        (one, first), *others = ((path, table[key]) for path, table in self._tables.items())
        labels = {k: v for k, v in first.items() if k.startswith(LABEL)}
        for path, row in others:
            if any(row.get(k, v) != v for k, v in labels.items()):
                raise DataError(f"{key} has other labels in {path} than in {one}")
        return about_image([first, *(row for _, row in others)]) | labels

    def shared(self, other: Models) -> list[str]:
        """Return the images that are in ``other`` too, which is of as many models.

        They are told by the ends of their paths, long enough to tell all that a model has in both: ``test/1.png`` and
        ``validation/1.png`` of one folder are two images.
        """
        mine, others = self._files(), other._files()
        both = [list(dict.fromkeys(one + two)) for one, two in zip(mine, others)]
        ends = path_ends([*mine, *others, *both])
        known = set().union(*ends[: len(mine)])
        return [name for name in dict.fromkeys(chain(*ends[len(mine) : 2 * len(mine)])) if name in known]

    def _files(self) -> list[list[str]]:
        tables = self._tables.values()
        return [list(table) if self._by_id else [row["file"] for row in table.values()] for table in tables]

    def probabilities(self) -> np.ndarray:
        """Return (M,n,K) float64 in 0…1; raise `DataError` where one is none."""
        columns = [f"{PROBABILITY}{name}" for name in self.findings]
        return self._array(lambda path, row: [number(path, row, column, required=True) for column in columns])

    def present(self) -> np.ndarray:
        """Return (M,n,K) bool, each model's own decisions; raise `DataError` where one is missing."""
        return self._array(self._decisions).astype(bool)

    def labels(self) -> np.ndarray:
        """Return (n,K) float64: 1 present, 0 absent, NaN unknown; raise `DataError` where none is known."""
        cells = [[self.images[key].get(f"{LABEL}{name}", "") for name in self.findings] for key in self.assessed]
        said = {cell for row in cells for cell in row}
        if wrong := said - {"0", "1", ""}:
            raise DataError(f'{self.paths[0]} has the label "{min(wrong)}": 0, 1 or a blank were asked for')
        if not said & {"0", "1"}:
            raise DataError(f"{self.paths[0]} has no labels: give predictions of labelled images")
        return np.array([[float(cell or "nan") for cell in row] for row in cells])

    def rows(self, probabilities: np.ndarray, present: np.ndarray) -> Iterator[dict[str, Any]]:
        """Yield the images' rows with what was made of the models' probabilities and decisions, (n,K) both."""
        merged = dict(zip(self.assessed, zip(probabilities, present)))
        for key, row in self.images.items():
            numbers, decisions = merged.get(key, ((), ()))
            row = row | {f"{PROBABILITY}{name}": f"{value:.6g}" for name, value in zip(self.findings, numbers)}
            yield row | {f"{PRESENT}{name}": int(value) for name, value in zip(self.findings, decisions)}

    def _array(self, values: Any) -> np.ndarray:
        cells = [[values(path, table[key]) for key in self.assessed] for path, table in self._tables.items()]
        return np.array(cells, np.float64).reshape(len(self._tables), -1, len(self.findings))

    def _decisions(self, path: Path, row: Row) -> list[int]:
        cells = [row.get(f"{PRESENT}{name}", "") for name in self.findings]
        if not {"0", "1"}.issuperset(cells):
            raise DataError(f"{path} does not say what is present in {row['file']}: merge it by another method")
        return list(map(int, cells))


def read_models(paths: Sequence[Path], classes: Sequence[str] | None = None, by_id: bool = False) -> Models:
    """Return the tables joined: by ends of paths, or by `image_id` where ``by_id`` or one is in Kaggle's format.

    Kaggle's classes are named by ``classes``, else by the first predictions.csv, else by their numbers. Its tables come
    last, so that rows and columns are those of the first predictions.csv.

    Raises:
        ConfigError: there are ``classes`` and no table in Kaggle's format.
        DataError: a table cannot be read or does not fit the others.
    """
    rows = {path: read_rows(path) for path in paths}
    kaggle = [path for path in paths if is_kaggle(rows[path])]
    read = [table_of(path, rows[path]) for path in paths if path not in kaggle]
    if kaggle or by_id:
        tables = {table.path: keyed(table.path, table.rows, lambda row: image_id(row["file"])) for table in read}
    else:
        tables = by_ends(read)
    if classes is not None and not kaggle:
        raise ConfigError(f"classes name Kaggle's numbers, and {paths[0]} has names: leave classes out")
    if kaggle and classes is None:
        highest = max(highest_class(path, rows[path]) for path in kaggle)
        named = next((findings_of(rows[path][0]) for path in tables), None)
        classes = named or [str(number) for number in range(highest + 1)]
    tables |= {path: table_of_kaggle(path, rows[path], classes or ()) for path in kaggle}
    return Models(tables, kaggle, by_id=bool(kaggle) or by_id)
