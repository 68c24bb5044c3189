"""The tables of an expansion, as `chest_xray` reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medkit import contracts as c
from medkit.errors import DataError
from medkit.tables import write_csv
from medkit_augmentation.copies import Made, Task
from medkit_augmentation.names import file_name

LABELS, BOXES = "labels.csv", "boxes.csv"
COLUMNS = ("image", "patient_id", "section", "source", "synthetic")
BOX_COLUMNS = ("image", "finding", "x_min", "y_min", "x_max", "y_max")
NIH_BOX_COLUMNS = ("Image Index", "Finding Label", "Bbox [x", "y", "w", "h]")
NIH_SIDE = 1024

Done = Sequence[tuple[Task, list[Made]]]


def write_labels(folder: Path, done: Done, findings: Sequence[str]) -> None:
    """Write labels.csv: a row an image; ``source`` names the original that a copy was made of."""
    rows = (_label_row(task, copy, one, findings) for task, made in done for copy, one in enumerate(made))
    write_csv(folder / LABELS, [*COLUMNS, *findings], rows)


def _label_row(task: Task, copy: int, made: Made, findings: Sequence[str]) -> dict[str, Any]:
    return {
        "image": file_name(task.stem, copy),
        "patient_id": task.sample.get(c.PATIENT) or task.stem,
        "section": task.section,
        "source": file_name(task.stem, 0) if copy else "",
        "synthetic": int(made.synthetic),
        **marks(task.sample, findings),
    }


def marks(sample: c.Sample, findings: Sequence[str]) -> dict[str, Any]:
    """Return 1, 0 or blank for each finding.

    Raises:
        DataError: the label is of other findings, or is neither 1, 0 nor unknown.
    """
    label = np.asarray(sample.get(c.LABEL, [np.nan] * len(findings)), np.float64)
    if len(label) != len(findings):
        raise DataError(f"{sample[c.IMAGE]}: a label of {len(label)} findings, {len(findings)} are named")
    if not np.isin(label[~np.isnan(label)], (0, 1)).all():
        raise DataError(f"{sample[c.IMAGE]}: the label {label.tolist()} is not of 1, 0 and NaN alone")
    return {name: "" if np.isnan(mark) else int(mark) for name, mark in zip(findings, label, strict=True)}


def write_boxes(folder: Path, done: Done, findings: Sequence[str]) -> None:
    """Write boxes.csv where anybody drew boxes, in the pixels of each file.

    Where somebody looked at every image, an image without rows has nothing to box. Else the table is in NIH's form,
    which does not say so: x, y, width and height of images brought to 1024×1024.
    """
    known = [made.boxes is not None for _, files in done for made in files]
    if not any(known):
        return
    columns = BOX_COLUMNS if all(known) else NIH_BOX_COLUMNS
    rows = (
        dict(zip(columns, (file_name(task.stem, copy), findings[int(index)], *edges), strict=True))
        for task, files in done
        for copy, made in enumerate(files)
        for index, *edges in (made.boxes if all(known) else _as_nih(made))
    )
    write_csv(folder / BOXES, columns, rows)


def _as_nih(made: Made) -> Iterator[list[float]]:
    down, across = (NIH_SIDE / side for side in made.size)
    for index, x_min, y_min, x_max, y_max in made.boxes or []:
        yield [index, x_min * across, y_min * down, (x_max - x_min) * across, (y_max - y_min) * down]
