"""One file of the run as the page shows it."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medkit_report.charts import number
from medkit_report.contours import Outline, draw, outline_of
from medkit_report.pictures import Picture, overlay
from medkit_report.run_folder import RunFolder

# Okabe and Ito's colours without black and the two darkest, which grey swallows; beyond six, dashes tell them apart.
COLOURS = ("#56b4e9", "#f0a000", "#f0e442", "#22c7a0", "#ff8a5c", "#f2a3d0")

_FACTS = {
    "modality": "Modality",
    "body_part": "Body part",
    "view_position": "View",
    "laterality": "Side",
    "window": "Contrast",
    "format": "Format",
}
_NOTABLE = {
    "for_processing": "detector data that was not made for viewing",
    "colour": "a colour image, shown in grey",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What the model says of one finding in one image; ``probability`` is None where it was not assessed."""

    name: str
    index: int
    probability: float | None
    present: bool
    threshold: float | None

    @property
    def colour(self) -> str:
        return COLOURS[self.index % len(COLOURS)]

    @property
    def dashed(self) -> bool:
        return self.index // len(COLOURS) % 2 == 1


@dataclass(frozen=True, slots=True)
class Box:
    """A predicted box in frame pixels; its label's place in per cent of the frame."""

    finding: Finding
    score: float
    x: float
    y: float
    width: float
    height: float
    label_left: float
    label_top: float
    size_mm: str
    spacing_tag: str


@dataclass(frozen=True, slots=True)
class Map:
    """A heat map: its picture and the matrix that takes the unit square to the frame."""

    finding: Finding
    uri: str
    matrix: str
    size: str


@dataclass(slots=True)
class Card:
    """One file.

    Attributes:
        number: its place in the input, from 1.
        name: its path below the folder that all files share, with what cannot be printed replaced.
        outline: the predicted mask; None where nothing was segmented.
        trouble: why there is no picture.
        frame: (rows, columns) that boxes and heat maps refer to.
        aspect: width over height, with the pixels' own aspect where it is known.
    """

    number: int
    name: str
    status: str
    reason: str
    synthetic: bool
    findings: list[Finding]
    boxes: list[Box] = field(default_factory=list)
    maps: list[Map] = field(default_factory=list)
    outline: Outline | None = None
    facts: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    picture: str = ""
    trouble: str = ""
    frame: tuple[float, float] = (1.0, 1.0)
    aspect: float = 1.0
    embedded: bool = False

    @property
    def present(self) -> list[Finding]:
        return sorted((f for f in self.findings if f.present), key=lambda f: -(f.probability or 0))


def printable(text: str) -> str:
    """Return the text with everything that has no shape of its own replaced: control, direction and broken bytes."""
    return "".join(ch if ch.isprintable() else "\N{REPLACEMENT CHARACTER}" for ch in text)


def names_of(files: Sequence[str]) -> list[str]:
    """Return the files' paths below the deepest folder that holds them all; as given where there is none."""
    folders = {os.path.dirname(file) for file in files}  # noqa: PTH120 - paths stay as given
    try:
        common = os.path.commonpath(folders) if folders else ""
    except ValueError:
        common = ""
    return [printable(os.path.relpath(file, common) if common else file) for file in files]


def cards_of(folder: RunFolder, findings: Sequence[str], negative: str | None = None) -> list[Card]:
    """Return a card for every row of predictions.csv, in its order, without pictures.

    The class ``negative`` means that nothing was found, and so is never present.
    """
    names = names_of([row["file"] for row in folder.predictions])
    cards = []
    for index, (row, name) in enumerate(zip(folder.predictions, names)):
        said = [_finding(row, k, finding, folder.thresholds, negative) for k, finding in enumerate(findings)]
        card = Card(index + 1, name, row["status"], printable(row["reason"]), row["synthetic"] == "1", said)
        if row["file"] in folder.segmentation:
            card.outline = outline_of(folder.segmentation[row["file"]])
        cards.append(card)
    return cards


def _finding(
    row: Mapping[str, str], index: int, name: str, thresholds: Mapping[str, float], negative: str | None
) -> Finding:
    probability = number(row[f"probability_{name}"])
    present = row.get(f"present_{name}") == "1" and name != negative
    return Finding(name, index, None if math.isnan(probability) else probability, present, thresholds.get(name))


def illustrate(
    card: Card,
    picture: Picture,
    boxes: Sequence[Mapping[str, str]],
    heatmaps: Sequence[Mapping[str, Any]],
    segmented: Mapping[str, str] | None,
    run_dir: Path,
) -> None:
    """Complete a card with its picture, boxes, heat maps, outline and facts."""
    by_name = {finding.name: finding for finding in card.findings}
    frames = [record["frame_size"] for record in heatmaps]
    frames += [(float(box["frame_rows"]), float(box["frame_columns"])) for box in boxes]
    if card.outline and segmented and not card.outline.reason:
        frames.append(card.outline.frame)
        drawn = run_dir / "masks" / Path(segmented["mask"]).name if segmented["mask"] else None
        draw(card.outline, drawn, picture.source)
    card.picture, card.embedded = picture.uri, True
    card.frame = (float(frames[0][0]), float(frames[0][1])) if frames else (float(picture.rows), float(picture.columns))
    spacing = picture.source.get("spacing_mm") or picture.source.get("aspect") or (1.0, 1.0)
    card.aspect = picture.columns * float(spacing[1]) / (picture.rows * float(spacing[0]))
    card.boxes = _boxes(boxes, by_name, card.frame)
    card.maps = [
        Map(
            by_name[record["finding"]],
            overlay(run_dir / "heatmaps" / Path(record["png"]).name),
            " ".join(f"{value:.6g}" for value in record["unit_square_to_frame"]),
            f"{record['columns']} × {record['rows']}",
        )
        for record in heatmaps
        if record["unit_square_to_frame"] is not None and record["finding"] in by_name
    ]
    card.facts, card.warnings = facts(picture)


def _boxes(rows: Sequence[Mapping[str, str]], by_name: Mapping[str, Finding], frame: tuple[float, float]) -> list[Box]:
    boxes: list[Box] = []
    for row in rows:
        x_min, y_min, x_max, y_max = (float(row[key]) for key in ("x_min", "y_min", "x_max", "y_max"))
        left, top = 100 * max(x_min, 0) / frame[1], 100 * max(y_min, 0) / frame[0]
        top = top - 4.5 if top >= 4.5 else top + 0.5
        while any(abs(top - other.label_top) < 4.5 and abs(left - other.label_left) < 30 for other in boxes):
            top += 4.5  # labels of boxes that begin at one place stand below each other
        size = f"{row['width_mm']} × {row['height_mm']} mm" if row["width_mm"] else ""
        boxes.append(
            Box(
                *(by_name[row["finding"]], number(row["score"])),
                *(x_min, y_min, x_max - x_min, y_max - y_min, min(left, 75), min(top, 95)),
                *(size, row["spacing_tag"]),
            )
        )
    return boxes


def facts(picture: Picture) -> tuple[list[tuple[str, str]], list[str]]:
    """Return (name, value) pairs of what is known about a file, and its warnings."""
    source = picture.source
    told = [(title, source[key]) for key, title in _FACTS.items() if source.get(key)]
    told.append(("Size", f"{picture.columns} × {picture.rows} pixels"))
    if source.get("spacing_mm"):
        row, column = (float(value) for value in source["spacing_mm"])
        size = f"{row:.4g} mm" if math.isclose(row, column) else f"{row:.4g} mm down, {column:.4g} mm across"
        told.append(("Pixel spacing", f"{size} ({source.get('spacing_tag') or 'tag unknown'})"))
    else:
        told.append(("Pixel spacing", "unknown: no sizes in millimetres"))
    notable = [text for key, text in _NOTABLE.items() if source.get(key)]
    warnings = [printable(str(warning)) for warning in (*notable, *(source.get("warnings") or []))]
    return [(name, printable(str(value))) for name, value in told], warnings
