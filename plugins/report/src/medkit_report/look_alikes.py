"""Images of the data set that look alike, as the page lists them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medkit.tables import read_csv
from medkit_report.pictures import Picture, photograph

_LISTED, _DRAWN, _SIDE = 50, 6, 224


@dataclass(frozen=True, slots=True)
class LookAlikes:
    """What `medkit.lookalikes.Groups.write` wrote.

    Attributes:
        images: compared.
        alike: images that look like another one.
        groups: of such images.
        largest: images in the largest group.
        total: pairs.
        pairs: the first rows of look_alikes.csv, nearest first and identical files before all.
        pictures: small pictures of the first pairs, as far as both can be read.
    """

    images: int
    alike: int
    groups: int
    largest: int
    total: int
    pairs: Sequence[Mapping[str, str]]
    pictures: Sequence[tuple[Mapping[str, str], Picture, Picture]]


def look_alikes(folder: Path, data_dir: Path | None, reader: Any) -> LookAlikes | None:
    """Return what the folder's two tables say, or None where they are not there.

    Args:
        folder: with ``look_alikes.csv`` and ``look_alike_groups.csv``.
        data_dir: the folder that their paths are relative to; without it there are no pictures.
        reader: see `medkit_report.html_report.HtmlReport`.
    """
    images = read_csv(folder / "look_alike_groups.csv")
    if not images:
        return None
    pairs = read_csv(folder / "look_alikes.csv")
    pairs.sort(key=lambda pair: (pair["same_bytes"] != "1", int(pair["distance"])))
    sizes = {row["group"]: int(row["size"]) for row in images if int(row["size"]) > 1}
    pictures = [] if data_dir is None else [_drawn(pair, data_dir, reader) for pair in pairs[:_DRAWN]]
    return LookAlikes(
        *(len(images), sum(sizes.values()), len(sizes), max(sizes.values(), default=0), len(pairs)),
        *(pairs[:_LISTED], [drawn for drawn in pictures if drawn is not None]),
    )


def _drawn(pair: Mapping[str, str], data_dir: Path, reader: Any) -> tuple[Mapping[str, str], Picture, Picture] | None:
    try:
        first, second = (photograph(reader, str(data_dir / pair[key]), _SIDE) for key in ("path_a", "path_b"))
    except Exception:  # a reader may raise anything, and the table names the pair all the same
        return None
    return pair, first, second
