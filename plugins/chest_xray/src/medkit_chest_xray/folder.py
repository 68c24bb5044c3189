"""A folder of images with a label table of one's own."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medkit.errors import ConfigError, DataError, did_you_mean
from medkit_chest_xray.findings import CHESTXRAY14, checked, spelling
from medkit_chest_xray.layout import Layout
from medkit_chest_xray.nih import BOXES as NIH_BOXES
from medkit_chest_xray.split import GIVEN_SECTIONS
from medkit_chest_xray.tables import (
    IMAGE_COLUMNS,
    Boxes,
    Table,
    listed_findings,
    marked_findings,
    read_boxes,
    read_table,
)

LABELS = "labels.csv"
BOXES = "boxes.csv"
LISTS, PATIENTS = ("Finding Labels", "labels"), ("patient_id", "Patient ID")
SECTIONS = ("section", "split", "official_split")
_NO_FINDINGS = {*IMAGE_COLUMNS, *LISTS, *PATIENTS, *SECTIONS, "synthetic", "source"}
"""Columns that say something else of an image."""


def read(folder: Path, findings: Sequence[str], labels_csv: str | None, boxes_csv: str | None) -> Layout:
    """Return the layout of ``folder``; its findings are ``findings`` and those of ChestX-ray14 that the table has.

    Raises:
        DataError: a table is missing or wrong, a row names no image, or a box is for an image that
            the label table lacks.
    """
    table_path = _label_table(folder, labels_csv)
    table = read_table(table_path)
    images = table.column(*IMAGE_COLUMNS)
    if "" in images:
        raise DataError(f"{table_path.name} row {images.index('') + 2} names no image")
    names, labels = _labels(table, findings)
    paths = _image_paths(folder, images)
    boxes = Boxes()
    if box_path := _box_table(folder, boxes_csv):
        boxes = read_boxes(box_path, tuple(dict.fromkeys((*names, *CHESTXRAY14))))
        unknown = sorted(set(boxes.rows) - set(images)) if boxes.complete else []
        if unknown:
            raise DataError(f"{box_path.name} has boxes for {unknown[0]}, which is not in {table_path.name}")
    return Layout(
        table=table_path,
        images=images,
        patients=_patients(table, images, paths),
        sections=_sections(table),
        names=names,
        labels=labels,
        paths=paths,
        boxes=boxes,
        frame_size=boxes.frame_size,
        partial=False,
        synthetic=[text == "1" for text in table.columns.get("synthetic", ())],
    )


def _label_table(folder: Path, name: str | None) -> Path:
    path = folder / (name or LABELS)
    if path.is_file():
        return path
    there = sorted(entry.name for entry in folder.iterdir())
    if not there:
        raise DataError(f"{folder} is empty: a label table and images are expected")
    shown = ", ".join(there[:8]) + (", …" if len(there) > 8 else "")
    if name:
        raise DataError(f"{folder} has no {name}{did_you_mean(name, there)}; it holds {shown}")
    raise DataError(
        f"{folder} has neither {LABELS} nor NIH's Data_Entry_2017_v2020.csv; it holds {shown}. "
        f"Add {LABELS} with the columns image and one a finding, or name your table: labels_csv."
    )


def _box_table(folder: Path, name: str | None) -> Path | None:
    if name and not (folder / name).is_file():
        raise DataError(f"{folder} has no {name}: leave boxes_csv out where nobody drew boxes")
    return next((folder / n for n in ([name] if name else [BOXES, NIH_BOXES]) if (folder / n).is_file()), None)


def _labels(table: Table, findings: Sequence[str]) -> tuple[tuple[str, ...], np.ndarray]:
    wanted = tuple(dict.fromkeys((*findings, *CHESTXRAY14)))
    wanted = tuple({spelling(name): name for name in reversed(wanted)}.values())[::-1]
    own = {spelling(name): name for name in table.columns}
    lists = [name for name in LISTS if name in table.columns]
    if lists and not all(spelling(name) in own for name in findings):
        return wanted, listed_findings(table, table[lists[0]], wanted)
    try:
        checked(findings, [name for name in table.columns if name not in _NO_FINDINGS])
    except ConfigError as error:
        raise DataError(
            f"{table.path.name}: {error} A finding needs a column of its own or one in Finding Labels."
        ) from error
    there = tuple(name for name in wanted if spelling(name) in own)
    return there, marked_findings(table, [own[spelling(name)] for name in there])


def _image_paths(folder: Path, images: Sequence[str]) -> dict[str, str]:
    """Return the path of every image that is there: beside the table, else under ``images/``.

    Each folder is listed once; no file is looked at.
    """
    listings: dict[Path, set[str]] = {}
    paths: dict[str, str] = {}
    for image in images:
        for path in (folder / image, folder / "images" / image):
            if path.parent not in listings:
                listings[path.parent] = _names_in(path.parent)
            if path.name in listings[path.parent]:
                paths[image] = str(path)
                break
    return paths


def _names_in(place: Path) -> set[str]:
    return {entry.name for entry in place.iterdir()} if place.is_dir() else set()


def _patients(table: Table, images: Sequence[str], paths: dict[str, str]) -> list[str]:
    """Return ``patient_id``; an image without one is its own patient, together with its exact duplicates."""
    column = next((table[name] for name in PATIENTS if name in table.columns), None)
    if column is not None and all(column):
        return column
    by_size: dict[int, list[str]] = defaultdict(list)
    for image in images:
        if image in paths:
            by_size[Path(paths[image]).stat().st_size].append(image)
    first_of: dict[bytes, str] = {}
    twin: dict[str, str] = {}
    for group in by_size.values():
        if len(group) > 1:  # files of different sizes differ
            for image in group:
                with Path(paths[image]).open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").digest()
                twin[image] = first_of.setdefault(digest, image)
    return [(column[n] if column else "") or twin.get(image, image) for n, image in enumerate(images)]


def _sections(table: Table) -> list[str]:
    name = next((name for name in SECTIONS if name in table.columns), None)
    if name is None:
        return [""] * len(next(iter(table.columns.values())))
    sections = []
    for number, text in enumerate(table[name], start=2):
        if text.casefold() not in GIVEN_SECTIONS:
            hint = did_you_mean(text, GIVEN_SECTIONS)
            raise DataError(
                f'{table.path.name} row {number}, column "{name}": "{text}" is no section.{hint} '
                "Sections: training, validation, test, train_val (divided by validation_fraction)."
            )
        sections.append(GIVEN_SECTIONS[text.casefold()])
    return sections
