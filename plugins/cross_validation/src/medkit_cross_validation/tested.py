"""The per-image files of one row, pooled over folds."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medkit.errors import DataError
from medkit.predictions import require_version
from medkit.tables import read_csv
from medkit_cross_validation.groups import Groups
from medkit_cross_validation.measured import Measured, measured, number_columns
from medkit_cross_validation.rows import Row

_SEED = re.compile(r"seed[-_=]?\d+")


@dataclass(frozen=True, slots=True)
class Tested:
    """N images, each tested once by each of S seeds.

    Attributes:
        name: of the row.
        files: what was read, relative to the run's folder.
        seeds: S names; a single empty one where no path names a seed.
        images: sorted.
        patients: the patient or group of each image.
        folds: the folds that were tested, where `Groups` tell.
        measured: what each image scored.
    """

    name: str
    files: list[str]
    seeds: list[str]
    images: list[str]
    patients: list[str]
    folds: list[str]
    measured: Measured

    @property
    def not_measured(self) -> int:
        """Images that could not be read, were not assessed or have no truth."""
        return int(self.measured.missing.sum())


def read_tested(run_dir: Path, row: Row, groups: Groups | None = None) -> Tested:
    """Read a row's files.

    Args:
        run_dir: what the row's patterns are relative to.
        row: which files, and how to read them.
        groups: takes the place of the column ``patient_id``.

    Raises:
        ConfigError: see `measured`.
        DataError: a pattern matches nothing, a file lacks images or a column, an image is tested twice, the seeds
            tested different images, an image has several classes or none, or nothing was measured.
    """
    files = _files(run_dir, row)
    columns: tuple[str, ...] = ()
    tested: dict[str, dict[str, list[float]]] = defaultdict(dict)
    source: dict[tuple[str, str], str] = {}
    patients: dict[str, str] = {}
    folds: set[str] = set()
    for file in files:
        table = read_csv(run_dir / file)
        here = _columns(row, file, table, groups)
        if row.kind != "segmentation":
            require_version(file, table)
        if columns not in ((), here):
            raise DataError(f'row "{row.name}": {file} and {files[0]} are about different classes')
        columns = here
        seed = found[0] if (found := _SEED.search(file)) else ""
        for record in table:
            row_of, image = groups.find(record["file"]) if groups else ("", record["file"])
            if (seed, image) in source:
                raise DataError(
                    f'row "{row.name}": {image} is tested twice, in {source[seed, image]} and {file}: name each fold '
                    "once (several seeds are told apart by seed0, seed1 … in the path)"
                )
            source[seed, image] = file
            patients[image] = groups.group[row_of] if groups else record["patient_id"]
            folds |= {groups.fold[row_of]} if groups else set()
            cells = [record[name] if record["status"] == "ok" else "" for name in columns]
            tested[seed][image] = [_number(cell, file, name) for cell, name in zip(cells, columns)]
    seeds, images = sorted(tested), sorted(patients)
    for seed in seeds:
        require_same(f'row "{row.name}", {seed or "no seed"}', tested[seed], "another seed", images)
    numbers = np.array([[tested[seed][image] for image in images] for seed in seeds])
    groups_of = [patients[image] for image in images]
    fold = np.array([_numbered([source[seed, image] for image in images]) for seed in seeds])
    result = Tested(row.name, files, seeds, images, groups_of, sorted(folds), measured(row, columns, numbers, fold))
    if result.not_measured == len(images):
        raise DataError(f'row "{row.name}": none of its {len(images)} images could be measured')
    return result


def require_same(what: str, images: Collection[str], other: str, others: Collection[str]) -> None:
    """Compare the images of two tests.

    Raises:
        DataError: they differ; names some.
    """
    for here, there, missing in ((what, other, set(others) - set(images)), (other, what, set(images) - set(others))):
        if missing:
            some = ", ".join(sorted(missing)[:3]) + (", …" if len(missing) > 3 else "")
            raise DataError(
                f"{here} lacks {len(missing)} images that {there} has ({some}): test the same folds in both"
            )


def _files(run_dir: Path, row: Row) -> list[str]:
    """Return what the row's patterns match, each file once."""
    found: list[str] = []
    for pattern in row.files:
        matches = sorted(path.relative_to(run_dir).as_posix() for path in run_dir.glob(pattern) if path.is_file())
        if not matches:
            raise DataError(f'row "{row.name}": no file matches {pattern} in {run_dir}: run the stage that makes it')
        found += matches
    return list(dict.fromkeys(found))


def _numbered(files: list[str]) -> list[int]:
    """Return the number of each file, by its first place in the list: equal for equal divisions."""
    order = {file: number for number, file in enumerate(dict.fromkeys(files))}
    return [order[file] for file in files]


def _columns(row: Row, file: str, table: list[dict[str, str]], groups: Groups | None) -> tuple[str, ...]:
    """Return the columns of numbers; raise `DataError` where the table has no image or lacks a column."""
    if not table:
        raise DataError(f'row "{row.name}": {file} holds no image: run the stage that makes it again')
    columns = number_columns(row, table[0])
    for name in ("file", "status", *columns, *(() if groups else ("patient_id",))):
        if name not in table[0]:
            hint = "give groups, the path of folds.csv" if name == "patient_id" else f"is it a table of {row.kind}?"
            raise DataError(f'row "{row.name}": {file} has no column "{name}": {hint}')
    return columns


def _number(cell: str, file: str, column: str) -> float:
    try:
        return float(cell or "nan")
    except ValueError as error:
        raise DataError(f'{file}: "{cell}" in column "{column}" is not a number') from error
