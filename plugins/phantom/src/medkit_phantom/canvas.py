"""The sheet that a phantom is drawn on: body coordinates in, soft masks out.

Body coordinates: the origin lies on the midline between the lungs, x grows towards the right of the *image* (the
patient's left), y downwards; the inner half-width of the chest is 1. A view places, scales, turns and stretches them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

import cv2
import numpy as np

Points = np.ndarray
"""(N,2) float, rows x, y in body coordinates."""
Field = np.ndarray
"""(H,W) float32 over the pixels of an image."""

_SUBPIXEL = 4
_STEPS = np.linspace(0, 1, 4, endpoint=False)
# Catmull-Rom: a smooth curve through every control point, so that a contour can be written down as what it touches.
_CATMULL_ROM = (
    0.5
    * np.stack([np.ones_like(_STEPS), _STEPS, _STEPS**2, _STEPS**3], axis=1)
    @ np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1.0]])
)


def outline(controls: Sequence[Sequence[float]] | np.ndarray) -> Points:
    """Return a smooth closed curve through the control points, (4·N,2)."""
    points = np.asarray(controls, float)
    neighbours = np.stack([np.roll(points, shift, axis=0) for shift in (1, 0, -1, -2)])
    return np.einsum("tk,knd->ntd", _CATMULL_ROM, neighbours).reshape(-1, 2)


def curve(controls: Sequence[Sequence[float]] | np.ndarray) -> Points:
    """Return a smooth open curve through the control points."""
    points = np.asarray(controls, float)
    padded = np.concatenate([points[:1], points, points[-1:]])
    neighbours = np.stack([padded[k : k + len(points) - 1] for k in range(4)])
    return np.concatenate([np.einsum("tk,knd->ntd", _CATMULL_ROM, neighbours).reshape(-1, 2), points[-1:]])


@dataclass(frozen=True)
class Canvas:
    """An image of ``shape`` (rows, columns) with a body in it.

    Args:
        shape: rows and columns in pixels.
        centre: where the body's origin lies, x and y in pixel edges.
        unit: pixels a unit of body coordinates.
        angle: rotation in radians, clockwise as seen.
        stretch: height of a body unit over its width.
    """

    shape: tuple[int, int]
    centre: tuple[float, float]
    unit: float
    angle: float = 0.0
    stretch: float = 1.0

    @cached_property
    def _matrix(self) -> np.ndarray:
        c, s = np.cos(self.angle), np.sin(self.angle)
        return self.unit * np.array([[c, -s], [s, c]]) @ np.diag([1.0, self.stretch])

    def pixels(self, points: Points) -> np.ndarray:
        """Return (N,2) x, y in pixel edges."""
        return np.asarray(points) @ self._matrix.T + np.asarray(self.centre)

    @cached_property
    def grid(self) -> tuple[Field, Field]:
        """Body coordinates x and y of every pixel centre."""
        rows, columns = self.shape
        across = np.arange(columns, dtype=np.float32) + np.float32(0.5 - self.centre[0])
        down = (np.arange(rows, dtype=np.float32) + np.float32(0.5 - self.centre[1]))[:, None]
        (a, b), (c, d) = np.linalg.inv(self._matrix).astype(np.float32)
        return a * across + b * down, c * across + d * down

    def _fixed_point(self, points: Points) -> np.ndarray:
        return np.round((self.pixels(points) - 0.5) * (1 << _SUBPIXEL)).astype(np.int32)

    def _soften(self, mask: np.ndarray, blur: float) -> Field:
        sigma = blur * self.unit
        if sigma >= 1:
            # Two box filters have a Gaussian's spread, end sharply, and cost the same for any width.
            side = 2 * round((np.sqrt(6 * sigma**2 + 1) - 1) / 2) + 1
            mask = cv2.blur(cv2.blur(mask, (side, side)), (side, side))
        elif sigma > 0.3:
            mask = cv2.GaussianBlur(mask, (5, 5), sigma)
        return mask.astype(np.float32) * np.float32(1 / 255)

    def fill(self, *shapes: Points, blur: float = 0.0) -> Field:
        """Return a mask 0…1 that is 1 inside the shapes, its edge softened by ``blur`` body units."""
        mask = np.zeros(self.shape, np.uint8)
        for shape in shapes:
            cv2.fillPoly(mask, [self._fixed_point(shape)], 255, cv2.LINE_AA, _SUBPIXEL)
        return self._soften(mask, blur)

    def stroke(self, *curves: Points, width: float, blur: float = 0.0, closed: bool = False) -> Field:
        """Return a mask 0…1 of lines, ``width`` body units wide (at least one pixel)."""
        return self.strokes((curves, width, 1.0), blur=blur, closed=closed)

    def strokes(self, *passes: tuple[Sequence[Points], float, float], blur: float = 0.0, closed: bool = False) -> Field:
        """Return a mask 0…1 of lines drawn in several passes ``(curves, width, value)``, later ones on top."""
        mask = np.zeros(self.shape, np.uint8)
        kind = cv2.LINE_8 if blur else cv2.LINE_AA  # the blur smooths the steps of the quicker kind
        for curves, width, value in passes:
            thickness = max(1, round(width * self.unit))
            ends = [0, *accumulate(len(points) for points in curves)]
            points = self._fixed_point(np.concatenate(curves))
            lines = [points[start:end] for start, end in pairwise(ends)]
            cv2.polylines(mask, lines, closed, round(255 * value), thickness, kind, _SUBPIXEL)
        return self._soften(mask, blur)

    def shade(self, x: float, y: float, across: float, down: float) -> Field:
        """Return a smooth round shadow 0…1 without an edge: a Gaussian along the image's own axes."""
        (px, py), (sx, sy) = self.pixels(np.array([x, y])), self.unit * np.array([across, down])
        columns = np.exp(-0.5 * ((np.arange(self.shape[1]) + 0.5 - px) / sx) ** 2)
        rows = np.exp(-0.5 * ((np.arange(self.shape[0]) + 0.5 - py) / sy) ** 2)
        return np.outer(rows, columns).astype(np.float32)

    def texture(self, rng: np.random.Generator, length: float) -> Field:
        """Return smooth noise with mean 0, deviation about 1 and a correlation length in body units."""
        step = max(length * self.unit, 1.0)
        rows, columns = (int(np.ceil(n / step)) + 3 for n in self.shape)
        coarse = rng.standard_normal((rows, columns), dtype=np.float32)
        across = cv2.resize(coarse, (int(columns * step), int(rows * step)), interpolation=cv2.INTER_CUBIC)
        top, left = (int(rng.random() * step) for _ in range(2))
        return across[top : top + self.shape[0], left : left + self.shape[1]] * np.float32(1.35)

    def inside(self, points: Points) -> float:
        """Return the fraction of the points that lie in the image."""
        x, y = self.pixels(points).T
        return float(np.mean((x > 0) & (y > 0) & (x < self.shape[1]) & (y < self.shape[0])))


def bounding_box(mask: Field, level: float) -> tuple[float, float, float, float] | None:
    """Return ``x_min, y_min, x_max, y_max`` (half-open pixel edges) of where the mask exceeds ``level``."""
    x, y, width, height = cv2.boundingRect((mask > level).view(np.uint8))
    return (float(x), float(y), float(x + width), float(y + height)) if width else None
