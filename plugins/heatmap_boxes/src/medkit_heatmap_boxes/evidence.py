"""Where a heat map's evidence lies: boxes around its connected regions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy import ndimage

GRID = 128
"""Cells that the longer side of a map is refined to, at least: boxes finer than the map's own cells."""


def region_boxes(heatmap: torch.Tensor, fractions: Sequence[float] | np.ndarray, count: int = 1) -> np.ndarray:
    """Return the boxes of the strongest regions at each threshold, (F,count,5), NaN where there are fewer.

    The map is interpolated to a finer grid (its cells share the input edge to edge) and scaled to 0…1; a region is
    connected and at or above the threshold; the strongest has the highest peak and comes first. Rows are
    ``x_min, y_min, x_max, y_max`` as fractions of the input's width and height, and the peak, 1 for the first.

    A map without contrast, all zero for instance, shows nothing: all NaN.

    Args:
        heatmap: (h,w).
        fractions: F thresholds between 0 and 1.
        count: regions wanted at each.
    """
    boxes = np.full((len(fractions), count, 5), np.nan)
    factor = max(1, -(-GRID // max(heatmap.shape)))
    cells = heatmap.float()[None, None]
    fine = torch.nn.functional.interpolate(cells, scale_factor=factor, mode="bilinear")[0, 0].numpy()
    low, high = fine.min(), fine.max()
    if not (high > low and np.isfinite(high - low)):
        return boxes
    relative = (fine - low) / (high - low)
    rows, columns = relative.shape
    summit = np.unravel_index(relative.argmax(), relative.shape)
    for per_threshold, fraction in zip(boxes, fractions):
        regions, found = ndimage.label(relative >= fraction)
        slices = ndimage.find_objects(regions)
        if count == 1:
            strongest, peaks = [regions[summit] - 1], [1.0]
        else:
            peaks = ndimage.maximum(relative, regions, np.arange(1, found + 1))
            strongest = np.argsort(-peaks, kind="stable")[:count]
            peaks = peaks[strongest]
        for row, region, peak in zip(per_threshold, strongest, peaks):
            y, x = slices[region]
            row[:] = x.start / columns, y.start / rows, x.stop / columns, y.stop / rows, peak
    return boxes
