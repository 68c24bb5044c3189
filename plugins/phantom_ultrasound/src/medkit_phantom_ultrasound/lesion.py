"""Outlines of lesions, and what they do to sound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

BENIGN, MALIGNANT, NORMAL = CLASSES = ("benign", "malignant", "normal")


@dataclass(frozen=True)
class Lesion:
    """One lesion on a canvas of (rows, columns).

    Attributes:
        mask: (rows, columns) bool.
        echo: (rows, columns) float, dB added to the tissue's echo.
        attenuation: (rows, columns) float, dB lost in each row on the way down; negative: less than around it.
    """

    mask: np.ndarray
    echo: np.ndarray
    attenuation: np.ndarray


def draw_lesion(
    rng: np.random.Generator, kind: str, shape: tuple[int, int], centre: tuple[float, float], unit: float
) -> Lesion:
    """Return a lesion; sizes in units of ``unit`` pixels (the image's width).

    Benign: a smooth ellipse, wider than tall, with a thin bright capsule, and the sound less attenuated in it, so that
    it is brighter below. Malignant: irregular with spikes, taller than wide, with a blurred edge and a bright halo, and
    a shadow below. One in five of either leaves the sound as it is.

    Args:
        rng: decides everything else.
        kind: `BENIGN` or `MALIGNANT`.
        shape: (rows, columns) of the canvas.
        centre: (row, column) in pixels.
        unit: pixels.
    """
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    down, across = rows - centre[0], columns - centre[1]
    turn = rng.normal(0, 0.15)
    down, across = down * np.cos(turn) - across * np.sin(turn), across * np.cos(turn) + down * np.sin(turn)
    size = unit * float(np.exp(rng.uniform(np.log(0.055), np.log(0.14))))
    stretch = rng.uniform(1.25, 2.0) if kind == BENIGN else rng.uniform(0.68, 0.95)
    half_width, half_height = size * np.sqrt(stretch), size / np.sqrt(stretch)
    angle = np.linspace(-np.pi, np.pi, 1024, endpoint=False)
    edge = np.ones_like(angle)
    for waves in (2, 3, 4):
        edge += rng.normal(0, 0.035 if kind == BENIGN else 0.12) * np.cos(waves * angle + rng.uniform(0, 2 * np.pi))
    if kind == MALIGNANT:
        for tip in np.linspace(0, 2 * np.pi, int(rng.integers(9, 15)), endpoint=False) + rng.uniform(0, 2 * np.pi):
            away = np.angle(np.exp(1j * (angle - tip - rng.normal(0, 0.25))))
            edge += rng.uniform(0.0, 0.5) * np.exp(-((away / rng.uniform(0.07, 0.2)) ** 2))
    seen_at = np.arctan2(down / half_height, across / half_width)
    mask = np.hypot(down / half_height, across / half_width) < np.interp(seen_at, angle, edge, period=2 * np.pi)
    soft = gaussian_filter(mask.astype(np.float32), 0.7 if kind == BENIGN else 1.8)
    rim = gaussian_filter(mask.astype(np.float32), 1.5 if kind == BENIGN else 6.0) * (1 - soft)
    inside = gaussian_filter(rng.standard_normal(shape).astype(np.float32), 3) * 3 * 3.5
    quiet = rng.random() < 0.2
    if kind == BENIGN:
        echo = soft * (rng.uniform(-20, -13) + 0.35 * inside) + rim * rng.uniform(4, 16)
        across_it = rng.uniform(-9, -4)
    else:
        echo = soft * (rng.uniform(-20, -13) + inside) + rim * rng.uniform(6, 14)
        specks = gaussian_filter((rng.random(shape) < 0.006 * rng.random()).astype(np.float32), 0.7)
        echo += soft * specks * 60
        across_it = rng.uniform(8, 18)
    lost = 0.0 if quiet else across_it / (2 * half_height)
    return Lesion(mask, echo, soft * lost)
