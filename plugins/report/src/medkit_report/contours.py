"""A predicted mask as the page shows it: its outline, its size, and what the gate said."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from skimage.measure import approximate_polygon, find_contours

from medkit_report.charts import number
from medkit_report.rows import frame_spacing


@dataclass(slots=True)
class Outline:
    """What segmentation.csv says of one file, and, once there is a picture, the outline to draw.

    Attributes:
        reason: why nothing was segmented, else empty.
        pixels: inside the mask, after the gate.
        plain_pixels: the same before the gate.
        gate: the probability that there is a lesion; None where the classifier said nothing.
        open: the gate let the mask through.
        frame: (rows, columns).
        path: SVG path data in frame pixels.
        size_mm2: area with its unit; empty without a pixel spacing.
        spacing_tag: where the spacing comes from.
    """

    reason: str
    pixels: int
    plain_pixels: int
    gate: float | None
    open: bool
    frame: tuple[float, float]
    path: str = ""
    size_mm2: str = ""
    spacing_tag: str = ""

    @property
    def share(self) -> float:
        """Per cent of the frame that the mask covers."""
        return 100 * self.pixels / (self.frame[0] * self.frame[1])


def outline_of(row: Mapping[str, str]) -> Outline:
    """Return a row of segmentation.csv without its path."""
    if row["status"] != "ok":
        return Outline(row["reason"] or row["status"], 0, 0, None, True, (1.0, 1.0))
    gate = number(row["gate"])
    return Outline(
        *("", int(row["gated_pixels"]), int(row["predicted_pixels"])),
        *(None if math.isnan(gate) else gate, row["open"] == "1"),
        (float(row["frame_rows"]), float(row["frame_columns"])),
    )


def draw(outline: Outline, png: Path | None, source: Mapping[str, Any]) -> None:
    """Complete an outline with its path and, where the file states a spacing, its area.

    Args:
        outline: of one file.
        png: its mask; None where none was written.
        source: facts about the file, as its reader gives them.
    """
    if png is not None and outline.pixels:
        with Image.open(png) as image:
            outline.path = svg_path(np.asarray(image) > 0)
    spacing, outline.spacing_tag = frame_spacing(source, np.array(outline.frame))
    if spacing is not None:
        outline.size_mm2 = f"{outline.pixels * spacing.prod():.4g} mm²"


def svg_path(mask: np.ndarray, tolerance: float = 0.6) -> str:
    """Return the edges of a mask (H,W) bool, holes included, as SVG path data in pixel edges.

    Args:
        mask: what is inside.
        tolerance: how far the line may leave the edge, in pixels; from 0.5 on, slants lose their steps.
    """
    lines = []
    for contour in find_contours(np.pad(mask, 1).astype(np.float32), 0.5):
        simple = approximate_polygon(contour, tolerance)
        points = (simple if len(simple) > 3 else contour)[:-1] - 0.5  # the padding is 1, a pixel's centre at 0.5
        lines.append("M" + " ".join(f"{x:.5g},{y:.5g}" for y, x in points) + "Z")
    return "".join(lines)
