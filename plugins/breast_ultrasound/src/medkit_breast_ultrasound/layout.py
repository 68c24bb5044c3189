"""BUSI's folders and names: ``benign/benign (1).png``, ``benign (1)_mask.png``, ``benign (1)_mask_1.png`` …"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from medkit.errors import DataError

CLASSES = ("benign", "malignant", "normal")
PUBLISHED = "Dataset_BUSI_with_GT"
_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}
_MASK = re.compile(r"(?P<image>.+)_mask(?:_(?P<number>\d+))?", re.IGNORECASE)
_MARK = "SYNTHETIC"


@dataclass(frozen=True, slots=True)
class Item:
    """One image.

    Attributes:
        name: path below the data set's folder, with slashes: ``benign/benign (1).png``.
        path: absolute.
        kind: one of `CLASSES`.
        masks: paths, in the order of their numbers; None where there is no mask file.
        synthetic: the file says that a program made it.
    """

    name: str
    path: str
    kind: str
    masks: tuple[str, ...] | None
    synthetic: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """What is there.

    Attributes:
        root: the folder that holds the classes.
        items: images with masks of their size (or with none), by class and number.
        problems: (name, what is wrong with it) of everything else.
        without_mask: names of the items that have no mask file.
    """

    root: Path
    items: list[Item]
    problems: list[tuple[str, str]]
    without_mask: list[str]


def find_root(folder: Path) -> Path:
    """Return the folder with the classes: ``folder``, its `PUBLISHED`, or its only subfolder that has them.

    Raises:
        DataError: there is none, or more than one.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder: give the path of the data set")
    below = sorted(path for path in folder.iterdir() if path.is_dir())
    for places in ([folder], [folder / PUBLISHED], below):
        found = [place for place in places if _class_folders(place)]
        if len(found) == 1:
            return found[0]
        if found:
            raise DataError(f"{folder} holds several data sets ({', '.join(p.name for p in found)}): name one of them")
    shown = ", ".join(path.name for path in sorted(folder.iterdir())[:8]) or "nothing"
    raise DataError(f"{folder} has no folders {', '.join(CLASSES)}, nor has {PUBLISHED} in it; it holds {shown}")


def read(folder: Path) -> Layout:
    """Return images and masks, matched by name and compared in size by their headers.

    Raises:
        DataError: no class folder is there.
    """
    root = find_root(folder)
    items: list[Item] = []
    problems: list[tuple[str, str]] = []
    for kind, place in _class_folders(root).items():
        images: dict[str, list[Path]] = defaultdict(list)
        masks: dict[str, list[tuple[int, Path]]] = defaultdict(list)
        for path in place.iterdir():
            if path.suffix.lower() not in _SUFFIXES or path.name.startswith(".") or not path.is_file():
                continue
            if match := _MASK.fullmatch(path.stem):
                masks[match["image"]].append((int(match["number"] or 0), path))
            else:
                images[path.stem].append(path)
        for stem in sorted(images, key=_natural):
            first, *more = sorted(images[stem])
            drawn = tuple(str(path) for _, path in sorted(masks.pop(stem, [])))
            size, synthetic = _header(first)
            item = Item(f"{place.name}/{first.name}", str(first), kind, drawn or None, synthetic)
            wrong = [f"{path.name} has the same name" for path in more]
            wrong += [_difference(Path(path), size) for path in drawn]
            if any(wrong):
                problems.append((item.name, "; ".join(filter(None, wrong))))
            else:
                items.append(item)
        for stem in sorted(masks, key=_natural):
            problems += [(f"{place.name}/{path.name}", "mask without an image") for _, path in sorted(masks[stem])]
    return Layout(root, items, problems, [item.name for item in items if item.masks is None])


def _class_folders(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        return {}
    there = {path.name.casefold(): path for path in folder.iterdir() if path.is_dir()}
    return {kind: there[kind] for kind in CLASSES if kind in there}


def _header(path: Path) -> tuple[tuple[int, int] | None, bool]:
    """Return (columns, rows), None where the file is unreadable, and whether the file says it is synthetic."""
    try:
        with Image.open(path) as image:
            return image.size, any(_MARK in text for text in image.info.values() if isinstance(text, str))
    except (OSError, SyntaxError, ValueError):
        return None, False


def _difference(mask: Path, size: tuple[int, int] | None) -> str:
    """Return what is wrong with a mask; an unreadable image or mask is found when it is read, as one bad file."""
    found, _ = _header(mask)
    if found is None or size is None or found == size:
        return ""
    return f"{mask.name} is {found[0]}×{found[1]} pixels, the image {size[0]}×{size[1]}"


def _natural(text: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]
