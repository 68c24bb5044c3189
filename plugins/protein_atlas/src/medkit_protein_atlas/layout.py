"""Kaggle's layout: ``train.csv``, and in ``train/`` one file a colour, ``<id>_red.png`` and so on."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from medkit.errors import DataError
from medkit_protein_atlas.table import TABLE

COLOURS = ("red", "green", "blue", "yellow")
"""Microtubules, the protein of interest, the nucleus, the endoplasmic reticulum."""
ANCHOR = "green"
"""The file that stands for the image."""
SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
IMAGES = "train"
_FILE = re.compile(rf"(.+)_({'|'.join(COLOURS)})(?i:({'|'.join(map(re.escape, SUFFIXES))}))")


class Parts(NamedTuple):
    """The name of one image's files without ``_colour``, and what they end in."""

    stem: str
    suffix: str


def parts_of(name: str) -> tuple[Parts, str] | None:
    """Return what a file belongs to and its colour; None where its name does not end in ``_colour.suffix``."""
    found = _FILE.fullmatch(name)
    return (Parts(found[1], found[3]), found[2]) if found else None


def file_name(parts: Parts, colour: str) -> str:
    """Return the name of the file of one colour."""
    return f"{parts.stem}_{colour}{parts.suffix}"


def find_table(folder: Path) -> Path:
    """Return the label table: in ``folder``, else in the folder that it lies in.

    Raises:
        DataError: neither has one.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder: give the path of the data set")
    for place in (folder, folder.parent):
        if (place / TABLE).is_file():
            return place / TABLE
    shown = ", ".join(sorted(entry.name for entry in folder.iterdir())[:8]) or "nothing"
    raise DataError(f"{folder} has no {TABLE}, nor is there one above it; it holds {shown}")


def find_images(folder: Path) -> tuple[Path, dict[str, tuple[Parts, set[str]]]]:
    """Return the folder of the images, and for each id its parts and the colours that are there.

    The images lie in ``train/``, else in ``folder`` itself. The folder is listed, no file is looked at. Of an id with
    files of several kinds, the kind with the most colours counts, the first of `SUFFIXES` where they are equal.

    Raises:
        DataError: the folder has no image.
    """
    place = folder / IMAGES if (folder / IMAGES).is_dir() else folder
    found: dict[str, dict[Parts, set[str]]] = defaultdict(lambda: defaultdict(set))
    with os.scandir(place) as entries:
        for entry in entries:
            if known := parts_of(entry.name):
                parts, colour = known
                found[parts.stem][parts].add(colour)
    if not found:
        raise DataError(f"{place} has no image: files such as ID_{ANCHOR}.png are expected, one a colour")
    best = {}
    for name, kinds in found.items():
        parts = min(kinds, key=lambda kind: (-len(kinds[kind]), SUFFIXES.index(kind.suffix.lower())))
        best[name] = parts, kinds[parts]
    return place, best
