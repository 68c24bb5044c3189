"""What lies on a radiograph without being a finding: devices, shadows, physicians' marks and burnt-in letters.

It is there so that brightness alone says little: a model has to look at edges and textures.
"""

from __future__ import annotations

import cv2
import numpy as np

from medkit_phantom.anatomy import Anatomy
from medkit_phantom.canvas import Canvas, Field, curve


def draw_clutter(rng: np.random.Generator, anatomy: Anatomy, canvas: Canvas) -> Field:
    """Return the attenuation of what lies on and in this patient, (H,W)."""
    layer = np.zeros(canvas.shape, np.float32)
    for _ in range(rng.integers(1, 5)):
        # Soft shadows as large as a mass or an infiltrate, but without any edge: folds of skin, tissue, scatter.
        place, size = rng.uniform((-0.85, -0.9), (0.85, 0.75)), rng.uniform(0.14, 0.36, 2)
        layer += rng.choice((-0.7, 1)) * rng.uniform(0.05, 0.14) * canvas.shade(*place, *size)
    if rng.random() < 0.25:
        layer += _electrodes(rng, canvas)
    if rng.random() < 0.10:
        layer += _pacemaker(rng, canvas)
    if rng.random() < 0.20:
        layer += _line(rng, canvas)
    if rng.random() < 0.25:
        layer += _granulomas(rng, canvas)
    if rng.random() < 0.30:
        layer += _nipples(rng, anatomy, canvas)
    return layer


def _ring(x: float, y: float, radius: float) -> np.ndarray:
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn)], axis=1)


def _electrodes(rng: np.random.Generator, canvas: Canvas) -> Field:
    places = rng.uniform((-0.8, -0.8), (0.8, 0.8), (int(rng.integers(1, 4)), 2))
    rings = [_ring(x, y, 0.085) for x, y in places]
    snaps = [_ring(x, y, 0.028) for x, y in places]
    exit_x = rng.uniform(-0.6, 0.6)
    wires = [
        curve([p, (0.5 * (p[0] + exit_x) + rng.normal(0, 0.1), 0.5 * (p[1] + 1.2)), (exit_x, 1.6)]) for p in places
    ]
    return (
        0.05 * canvas.fill(*rings, blur=0.005)
        + 0.10 * canvas.stroke(*rings, width=0.02, closed=True)
        + 0.30 * canvas.fill(*snaps)
        + 0.16 * canvas.stroke(*wires, width=0.014)
    )


def _pacemaker(rng: np.random.Generator, canvas: Canvas) -> Field:
    x, y = rng.uniform((0.50, -0.75), (0.72, -0.5))
    can = canvas.fill(_ring(x, y, 0.16), blur=0.004)
    circuit = canvas.fill(_ring(x + 0.02, y + 0.03, 0.09))
    lead = curve([(x - 0.12, y - 0.08), (0.25, -0.72), (-0.12, -0.45), (-0.16, 0.1), (0.2, 0.45)])
    return 0.34 * can + 0.12 * circuit + 0.20 * canvas.stroke(lead, width=0.018)


def _line(rng: np.random.Generator, canvas: Canvas) -> Field:
    side = rng.choice((-1, 1))
    path = curve([(side * 0.95, -1.1), (side * 0.45, -0.84), (-0.05, -0.62), (-0.14, -0.1 + rng.normal(0, 0.1))])
    return 0.14 * canvas.stroke(path, width=0.016)


def _granulomas(rng: np.random.Generator, canvas: Canvas) -> Field:
    places = rng.uniform((-0.8, -0.8), (0.8, 0.6), (int(rng.integers(1, 4)), 2))
    return 0.30 * canvas.fill(*[_ring(x, y, rng.uniform(0.022, 0.034)) for x, y in places], blur=0.004)


def _nipples(rng: np.random.Generator, anatomy: Anatomy, canvas: Canvas) -> Field:
    across, down = rng.uniform(0.55, 0.72), rng.uniform(0.30, 0.55)
    return 0.07 * canvas.fill(_ring(across, down, 0.055), _ring(-across, down + rng.normal(0, 0.03), 0.055), blur=0.022)


_FONT = cv2.FONT_HERSHEY_SIMPLEX


def burn_in(rng: np.random.Generator, shape: tuple[int, int], projection: str) -> Field:
    """Return the letters and marks of a reading room as a mask (H,W), 0…1.

    Always the word SYNTHETIC; mostly a side marker; sometimes the projection, an arrow or a circle. Marks point
    anywhere: they do not tell where a finding is.
    """
    rows, columns = shape
    sheet = np.zeros(shape, np.uint8)
    corner = int(rng.integers(0, 2))
    size = rows / 230
    left = 5 if corner else columns - int(66 * size)
    cv2.putText(sheet, "SYNTHETIC", (left, rows - 5), _FONT, 0.36 * size, 255, 1, cv2.LINE_AA)
    if rng.random() < 0.85:
        marker_x = int(columns * rng.uniform(0.04, 0.10))
        cv2.putText(sheet, "R", (marker_x, int(rows * rng.uniform(0.10, 0.22))), _FONT, 0.7 * size, 255, 2, cv2.LINE_AA)
    if projection == "AP" and rng.random() < 0.7:
        words = ("AP PORTABLE", "SUPINE", "SEMI-ERECT 07:40")[rng.integers(0, 3)]
        cv2.putText(sheet, words, (int(columns * rng.uniform(0.45, 0.6)), 11), _FONT, 0.32 * size, 255, 1, cv2.LINE_AA)
    if rng.random() < 0.15:
        x, y = (int(n) for n in rng.uniform((0.2 * columns, 0.2 * rows), (0.8 * columns, 0.8 * rows)))
        tip = (x + int(rng.integers(-26, 27)), y + int(rng.integers(-26, 27)))
        if rng.random() < 0.6:
            cv2.arrowedLine(sheet, (x, y), tip, 255, 1, cv2.LINE_AA, tipLength=0.35)
        else:
            cv2.ellipse(
                sheet, (x, y), (int(rng.integers(9, 22)), int(rng.integers(9, 22))), 0, 0, 360, 255, 1, cv2.LINE_AA
            )
    return sheet.astype(np.float32) * np.float32(1 / 255)
