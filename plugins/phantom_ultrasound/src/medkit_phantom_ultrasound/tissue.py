"""Skin, fat, gland and muscle, and what is in them that is no lesion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, gaussian_filter1d


@dataclass
class Tissue:
    """What sound meets, before any lesion.

    Attributes:
        echo: (rows, columns) float32, dB relative to gland.
        attenuation: (rows, columns) float32, dB lost in each row on the way down.
        gland: (2, columns) float: first and last row of the gland.
        lobule: (row, column, half width) of a fat lobule in the gland, which looks like a lesion at first glance.
    """

    echo: np.ndarray
    attenuation: np.ndarray
    gland: np.ndarray
    lobule: tuple[float, float, float]


def draw_tissue(rng: np.random.Generator, shape: tuple[int, int], unit: float) -> Tissue:
    """Return layered tissue with septa, lobules, ducts, and shadows that no lesion casts.

    Args:
        rng: decides everything else.
        shape: (rows, columns) of the canvas.
        unit: pixels in the image's width.
    """
    rows, columns = shape
    down = np.arange(rows, dtype=np.float32)[:, None]
    depth = rng.uniform(0.75, 1.3)  # a deeper setting shows the same layers smaller
    skin = rows * 0.035 * depth + _wave(rng, columns, 0.004 * rows)
    fat = skin + rows * rng.uniform(0.06, 0.22) * depth + _wave(rng, columns, 0.03 * rows)
    gland = fat + rows * rng.uniform(0.32, 0.5) * depth + _wave(rng, columns, 0.04 * rows)
    muscle = gland + rows * rng.uniform(0.1, 0.2) * depth + _wave(rng, columns, 0.02 * rows)
    levels = rng.normal([7, -9, 0, -7, -3], [1, 1.5, 1, 1.5, 2])
    echo = np.full(shape, levels[0], np.float32)
    for edge, level in zip((skin, fat, gland, muscle), levels[1:], strict=True):
        echo += (level - echo) / (1 + np.exp(-np.clip((down - edge) / 1.2, -30, 30)))
    in_gland = (down > fat) & (down < gland)
    echo += np.where(in_gland, 1.0, 0.4) * (_field(rng, shape, 5, 9) * 2.2 + _field(rng, shape, 14, 30) * 2.5)
    septa = np.maximum(_field(rng, shape, 1.3, rng.uniform(14, 28)) - 0.8, 0)
    echo += np.minimum(septa * 6, 9) * np.where(in_gland, 0.6, 1.0)
    attenuation = np.full(shape, rng.uniform(2, 8) / rows, np.float32)

    lobule = _ellipse(rng, shape, unit, fat, gland)
    for row, column, half in (lobule, *(_ellipse(rng, shape, unit, skin, gland) for _ in range(rng.integers(0, 4)))):
        flat = rng.uniform(1.6, 2.6)
        inside = np.hypot((down - row) * flat, np.arange(columns) - column) < half
        echo += gaussian_filter(inside.astype(np.float32), 2.5) * rng.uniform(-8, -4)
    for _ in range(rng.integers(0, 3)):  # ducts
        course = rng.uniform(fat.mean(), gland.mean()) + _wave(rng, columns, 0.06 * rows)
        there = gaussian_filter1d((np.abs(np.arange(columns) - rng.uniform(0, columns)) < 0.12 * unit) * 1.0, 4)
        echo -= 10 * there * np.exp(-(((down - course) / rng.uniform(1.2, 2.2)) ** 2))
    _add_shadows(rng, echo, attenuation, fat, gland, unit)
    return Tissue(echo, attenuation, np.stack([fat, gland]), lobule)


def _add_shadows(
    rng: np.random.Generator, echo: np.ndarray, attenuation: np.ndarray, fat: np.ndarray, gland: np.ndarray, unit: float
) -> None:
    """Add bands that are darker (poor contact, a ligament, a calcification) or brighter all the way down, and ribs."""
    rows, columns = echo.shape
    for _ in range(rng.integers(1, 4)):
        column, half = int(rng.integers(0, columns)), unit * rng.uniform(0.02, 0.1)
        band = np.exp(-(((np.arange(columns) - column) / half) ** 2))
        start = int(rng.choice([0, fat[column], rng.uniform(fat[column], gland[column])]))
        height = max(int(unit * 0.03), 2)
        attenuation[start : start + height] += band * rng.choice([rng.uniform(4, 14), rng.uniform(-7, -3)]) / height
        if start and rng.random() < 0.6:
            echo[start : start + 3] += 9 * np.exp(-(((np.arange(columns) - column) / (0.5 * half)) ** 2))
    if rng.random() < 0.3:  # a rib
        column, half = int(rng.integers(0, columns)), unit * rng.uniform(0.08, 0.16)
        arc = gland.max() + 0.06 * rows + 0.5 * half * ((np.arange(columns) - column) / half) ** 2
        near = gaussian_filter1d((np.abs(np.arange(columns) - column) < half) * 1.0, 3)
        line = np.exp(-(((np.arange(rows)[:, None] - arc) / 2) ** 2)) * near
        echo += 14 * line
        attenuation += line * 6


def _wave(rng: np.random.Generator, columns: int, height: float) -> np.ndarray:
    """Return a smooth curve (columns,) with a standard deviation of ``height``."""
    curve = gaussian_filter1d(rng.standard_normal(3 * columns), columns / 6)[columns : 2 * columns]
    return (curve - curve.mean()) * height / max(float(curve.std()), 1e-6) + rng.normal(0, 0.3 * height)


def _field(rng: np.random.Generator, shape: tuple[int, int], down: float, across: float) -> np.ndarray:
    """Return a smooth random field with a standard deviation of 1, bent as tissue is."""
    step = max(1, int(min(down, across) / 2.5))  # a smooth field needs few points
    coarse = rng.standard_normal([-(-n // step) for n in shape]).astype(np.float32)
    coarse = gaussian_filter(coarse, (down / step, across / step), truncate=3)
    field = np.asarray(Image.fromarray(coarse).resize(shape[::-1], Image.Resampling.BICUBIC))
    bend = (_wave(rng, shape[1], 0.03 * shape[0]) + np.arange(shape[1]) * rng.uniform(-0.1, 0.1)).astype(int)
    field = field[(np.arange(shape[0])[:, None] + bend) % shape[0], np.arange(shape[1])]
    return field / field.std()


def _ellipse(
    rng: np.random.Generator, shape: tuple[int, int], unit: float, top: np.ndarray, bottom: np.ndarray
) -> tuple[float, float, float]:
    column = float(rng.uniform(0.1, 0.9)) * shape[1]
    place = int(column)
    row = float(rng.uniform(top[place], bottom[place]))
    return row, column, float(unit * rng.uniform(0.06, 0.15))
