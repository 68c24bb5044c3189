"""NIH ChestX-ray14 in its official layout (Wang et al. 2017, doi:10.1109/CVPR.2017.369)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from medkit.errors import DataError
from medkit_chest_xray.findings import CHESTXRAY14
from medkit_chest_xray.layout import Layout
from medkit_chest_xray.split import TEST, TRAIN_VAL
from medkit_chest_xray.tables import Boxes, listed_findings, read_boxes, read_table

TABLES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017_v2020.csv.gz", "Data_Entry_2017.csv", "Data_Entry_2017.csv.gz")
BOXES = "BBox_List_2017.csv"
LISTS = {TRAIN_VAL: "train_val_list.txt", TEST: "test_list.txt"}
FRAME_SIZE = (1024, 1024)


def find_table(folder: Path) -> Path | None:
    """Return the label table if ``folder`` has NIH's layout."""
    return next((folder / name for name in TABLES if (folder / name).is_file()), None)


def read(folder: Path, table_path: Path) -> Layout:
    """Return the layout with the fourteen findings and the official sections.

    Raises:
        DataError: a table or list is missing or wrong, or an image is in no list, in both, or in two folders.
    """
    table = read_table(table_path)
    images = table.column("Image Index")
    official = _official_sections(folder)
    outside = [image for image in images if image not in official]
    if outside:
        lists = " nor ".join(LISTS.values())
        raise DataError(f"{len(outside)} images of {table_path.name} are in neither {lists}, first {outside[0]}")
    box_path = folder / BOXES
    return Layout(
        table=table_path,
        images=images,
        patients=table.column("Patient ID"),
        sections=[official[image] for image in images],
        names=CHESTXRAY14,
        labels=listed_findings(table, table.column("Finding Labels"), CHESTXRAY14),
        paths=_image_paths(folder),
        boxes=read_boxes(box_path, CHESTXRAY14) if box_path.is_file() else Boxes(),
        frame_size=FRAME_SIZE,
        partial=True,
    )


def _official_sections(folder: Path) -> dict[str, str]:
    sections: dict[str, str] = {}
    for section, name in LISTS.items():
        path = folder / name
        if not path.is_file():
            raise DataError(f"{name} is missing in {folder}: NIH publishes it beside the label table")
        for image in path.read_text().split():
            if sections.setdefault(image, section) != section:
                raise DataError(f"{image} is in both {' and '.join(LISTS.values())}")
    return sections


def _image_paths(folder: Path) -> dict[str, str]:
    """Return the path of every file in ``images/`` and ``images_001/images/`` … ``images_012/images/``, by name.

    Folders are listed, files are not looked at: 112,120 of them on a network disk would take minutes.
    """
    paths: dict[str, str] = {}
    for place in _image_folders(folder):
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.name in paths and not entry.is_dir():
                    raise DataError(
                        f"{entry.name} is in {Path(paths[entry.name]).parent} and {place}: keep one of them"
                    )
                paths[entry.name] = entry.path
    return paths


def _image_folders(folder: Path) -> Iterator[Path]:
    for place in sorted(folder.glob("images*")):
        if place.is_dir():
            yield place
            if (place / "images").is_dir():
                yield place / "images"
