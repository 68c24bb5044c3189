"""What patterns are drawn with: strokes, discs, rings, noise, and paths that grow in a cell.

A point is a complex number, ``x + iy`` in pixels, whole numbers at the middles of pixels: turning is a multiplication.
A picture is (H,W) float32, 0…1.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

_SHIFT = 4
"""Bits below one pixel, for OpenCV."""


@dataclass(frozen=True)
class Paths:
    """Lines of points.

    Attributes:
        points: (paths, steps) complex.
        lengths: (paths,) int: how many of the steps count.
    """

    points: np.ndarray
    lengths: np.ndarray


def grow(
    rng: np.random.Generator,
    owner: np.ndarray,
    start: np.ndarray,
    heading: np.ndarray,
    steps: int,
    step: float,
    bend: float,
) -> Paths:
    """Return paths that wander off from ``start`` and end where they would leave their cell.

    Args:
        rng: decides the bends.
        owner: (H,W) int: the cell of each pixel, -1 for none.
        start: (paths,) complex.
        heading: (paths,) angle.
        steps: at most.
        step: its length.
        bend: standard deviation of the change of angle at each step.
    """
    drift = rng.normal(0, bend / 2, (len(start), 1)) * np.arange(steps)
    angle = heading[:, None] + drift + np.cumsum(rng.normal(0, bend, (len(start), steps)), axis=1)
    points = start[:, None] + np.cumsum(step * np.exp(1j * angle), axis=1)
    here, first = at(owner, points, -1), at(owner, start, -1)
    return Paths(points, ((here == first[:, None]) & (here >= 0)).cumprod(axis=1).sum(axis=1))


def at(values: np.ndarray, points: np.ndarray, outside: float) -> np.ndarray:
    """Return the values of a (H,W) picture at points of any shape, ``outside`` beyond its edges."""
    columns, rows = np.rint(points.real).astype(int), np.rint(points.imag).astype(int)
    height, width = values.shape
    within = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    return np.where(within, values[rows.clip(0, height - 1), columns.clip(0, width - 1)], outside)


def strokes(size: int, paths: Paths, levels: np.ndarray | float, width: float) -> np.ndarray:
    """Return smooth lines; ``levels`` 0…1, one or one a path; ``width`` in pixels, at least 1."""
    canvas = np.zeros((size, size), np.uint8)
    lines = zip(_corners(paths.points), paths.lengths.tolist(), _shades(levels, len(paths.lengths)), strict=True)
    for line, length, shade in lines:
        if length > 1:
            cv2.polylines(canvas, [line[:length]], False, shade, max(1, round(width)), cv2.LINE_AA, _SHIFT)
    return canvas.astype(np.float32) / 255


def discs(
    size: int, centres: np.ndarray, radii: np.ndarray | float, levels: np.ndarray | float, ring: bool = False
) -> np.ndarray:
    """Return filled circles, or rings one pixel wide; ``radii`` in pixels, ``levels`` 0…1, one or one each."""
    around = np.exp(2j * np.pi * np.arange(14) / 14)
    outlines = centres[:, None] + np.broadcast_to(radii, len(centres))[:, None] * around
    if ring:
        closed = np.append(outlines, outlines[:, :1], axis=1)
        return strokes(size, Paths(closed, np.full(len(closed), closed.shape[1])), levels, 1)
    canvas = np.zeros((size, size), np.uint8)
    for outline, shade in zip(_corners(outlines), _shades(levels, len(outlines)), strict=True):
        cv2.fillConvexPoly(canvas, outline, shade, cv2.LINE_AA, _SHIFT)
    return canvas.astype(np.float32) / 255


def _corners(points: np.ndarray) -> np.ndarray:
    return np.rint(np.stack([points.real, points.imag], -1) * 2**_SHIFT).astype(np.int32)


def _shades(levels: np.ndarray | float, count: int) -> list[float]:
    return np.broadcast_to(np.rint(255 * np.clip(levels, 0, 1)), count).tolist()


def noise(rng: np.random.Generator, size: int, sigma: float) -> np.ndarray:
    """Return (size,size) float32 Gaussian noise of mean 0 and deviation 1, smooth over ``sigma`` pixels."""
    values = blur(rng.standard_normal((size, size), np.float32), sigma)
    return (values - values.mean()) / values.std()


def blur(picture: np.ndarray, sigma: float) -> np.ndarray:
    """Return the picture seen through a Gaussian of ``sigma`` pixels."""
    return cv2.GaussianBlur(picture, (0, 0), sigma)


def places(rng: np.random.Generator, weight: np.ndarray, count: int) -> np.ndarray:
    """Return ``count`` points, drawn with (H,W) weights; none where all weights are 0."""
    total = np.cumsum(weight.ravel(), dtype=np.float64)
    if total[-1] <= 0:
        return np.zeros(0, complex)
    rows, columns = np.divmod(np.searchsorted(total, rng.random(count) * total[-1], side="right"), weight.shape[1])
    jitter = rng.uniform(-0.5, 0.5, (2, count))
    return columns + jitter[0] + 1j * (rows + jitter[1])
