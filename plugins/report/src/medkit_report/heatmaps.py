"""Heat maps as small grey PNG files, with the way back to the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from medkit import contracts as c
from medkit_report.rows import array


def shown_maps(sample: Mapping[str, Any], findings: Sequence[str]) -> list[tuple[str, np.ndarray]]:
    """Return (finding, map (h,w) float64) of each present finding, most probable first; of the top one if none is.

    A localizer that gives boxes in place of maps has nothing to show here, nor has a network with a mask of its own.
    """
    maps = sample.get(c.MAPS)
    if maps is None or maps.ndim != 3 or len(maps) != len(findings):
        return []
    order = np.argsort(-array(sample[c.PROBABILITIES]), kind="stable")
    present = array(sample.get(c.PRESENT, np.zeros(len(findings))), bool)
    shown = [k for k in order if present[k]] or order[:1]
    return [(findings[k], array(maps[k])) for k in shown]


def grey(heatmap: np.ndarray) -> Image.Image:
    """Return the map at its own resolution: 0 is no evidence (or evidence against), 255 its own maximum."""
    evidence = np.clip(np.nan_to_num(heatmap), 0, None)
    return Image.fromarray(np.rint(255 * evidence / (evidence.max() or 1)).astype(np.uint8))


def unit_square_to_frame(sample: Mapping[str, Any]) -> list[float] | None:
    """Return ``[a, b, c, d, e, f]``: ``x' = a·x + c·y + e``, ``y' = b·x + d·y + f`` (SVG's order), or None.

    A map covers the network's input edge to edge, so the unit square, stretched to the input and taken through
    `FRAME_AFFINE`, is where the map lies in the frame; flips and quarter turns included.
    """
    affine = array(sample[c.FRAME_AFFINE])
    rows, columns = sample[c.IMAGE].shape[-2:]
    (a, cc, e), (b, d, f) = (affine @ np.diag([columns, rows, 1.0]))[:2]
    matrix = [float(v) for v in (a, b, cc, d, e, f)]
    return matrix if np.isfinite(matrix).all() else None


def heatmap_record(sample: Mapping[str, Any], finding: str, heatmap: np.ndarray) -> dict[str, Any]:
    """Return what heatmaps.json says of one map, without its row and file name."""
    return {
        "file": str(sample[c.FILE]),
        "finding": finding,
        "rows": heatmap.shape[0],
        "columns": heatmap.shape[1],
        "maximum": float(np.nan_to_num(heatmap).max()),
        "frame_size": [float(n) for n in array(sample[c.FRAME_SIZE])],
        "unit_square_to_frame": unit_square_to_frame(sample),
    }
