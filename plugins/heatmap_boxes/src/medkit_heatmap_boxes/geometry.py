"""Boxes between the network's input and the frame of the original image."""

from __future__ import annotations

import numpy as np


def moved(boxes: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return the smallest upright boxes (…,4) around the images of the four corners of each box under ``affine``.

    Args:
        boxes: (…,4) rows ``x_min, y_min, x_max, y_max`` in pixel edges.
        affine: (3,3), applied to ``(x, y, 1)``.
    """
    corners = np.stack([boxes[..., [0, 1]], boxes[..., [2, 1]], boxes[..., [0, 3]], boxes[..., [2, 3]]], axis=-2)
    there = corners @ affine[:2, :2].T + affine[:2, 2]
    return np.concatenate([there.min(axis=-2), there.max(axis=-2)], axis=-1)


def to_frame(boxes: np.ndarray, affine: np.ndarray, frame_size: np.ndarray) -> np.ndarray:
    """Return boxes (…,4) in input pixels as boxes in the frame, cut off at its edges.

    Args:
        boxes: (…,4).
        affine: (3,3) from input pixel edges to frame pixel edges.
        frame_size: (rows, columns) of the frame.
    """
    columns_rows = np.tile(frame_size[::-1], 2)
    return np.clip(moved(boxes, affine), 0, columns_rows)
