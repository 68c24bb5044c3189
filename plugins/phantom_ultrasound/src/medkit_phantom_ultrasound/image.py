"""One ultrasound image: tissue and lesions, seen through a beam."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from medkit_phantom_ultrasound.lesion import BENIGN, NORMAL, Lesion, draw_lesion
from medkit_phantom_ultrasound.tissue import draw_tissue

_SCENE, _FRAME = 1, 2
"""Streams of random numbers: what a patient has, and how one image of it is taken."""
_MARGIN = 12


@dataclass(frozen=True)
class Scan:
    """One image and its lesions.

    Attributes:
        pixels: (size, size) uint8.
        masks: a (size, size) bool each.
    """

    pixels: np.ndarray
    masks: list[np.ndarray]


def draw_scan(seed: int, patient: int, frame: int, kind: str, size: int) -> Scan:
    """Return frame number ``frame`` of a patient.

    Frames of one patient show the same tissue, a few pixels along, at another gain, with speckle that is largely the
    same: they look alike, as neighbouring frames of a sweep do.

    Args:
        seed: of the whole set.
        patient: number; with ``seed`` decides what is seen.
        frame: number; decides shift, gain, callipers and noise.
        kind: ``benign``, ``malignant`` or ``normal``.
        size: rows and columns.
    """
    scene = np.random.default_rng([seed, _SCENE, patient])
    shape = (size, size + 2 * _MARGIN)
    tissue = draw_tissue(scene, shape, size)
    lesions = _draw_lesions(scene, kind, shape, size, tissue.gland)
    echo = tissue.echo + sum((lesion.echo for lesion in lesions), np.float32(0))
    attenuation = tissue.attenuation + sum((lesion.attenuation for lesion in lesions), np.float32(0))
    lost = gaussian_filter1d(np.cumsum(attenuation, axis=0), 2.0, axis=1)

    rng = np.random.default_rng([seed, _FRAME, patient, frame])
    shift = _MARGIN + (int(rng.integers(-5, 6)) if frame else 0)
    window = slice(shift, shift + size)
    looks, blur = int(scene.integers(1, 4)), scene.uniform(0.8, 1.3)
    level = (echo - lost)[:, window] + 20 * np.log10(_speckle(scene, rng, shape, looks, blur)[:, window] + 1e-3)
    depth = np.linspace(-1, 1, size)[:, None]
    level += scene.normal(0, 2.5) * depth + scene.normal(0, 2) * np.cos(np.pi * depth)  # the depth gain, as set by hand
    shades = np.clip((level + 34 + scene.normal(0, 5) + rng.normal(0, 1)) / scene.uniform(48, 62), 0, 1)
    pixels = np.round(255 * shades ** scene.uniform(0.85, 1.25)).astype(np.uint8)
    masks = [lesion.mask[:, window] for lesion in lesions]
    row, column, half = tissue.lobule
    spot = (
        _extent(masks[0]) if masks else (row - half / 2, column - shift - half, row + half / 2, column - shift + half)
    )
    return Scan(_annotated(rng, pixels, spot), masks)


def _draw_lesions(
    rng: np.random.Generator, kind: str, shape: tuple[int, int], size: int, gland: np.ndarray
) -> list[Lesion]:
    """Return none, one, or of the benign ones now and then two that lie apart."""
    if kind == NORMAL:
        return []
    places = [rng.uniform(0.2, 0.8)]
    if kind == BENIGN and rng.random() < 0.08:
        places = [rng.uniform(0.15, 0.28), rng.uniform(0.72, 0.85)]
    lesions = []
    for place in places:
        column = _MARGIN + place * size
        top, bottom = gland[:, int(column)]
        row = np.clip(rng.uniform(top, bottom), 0.16 * size, 0.72 * size)
        lesions.append(draw_lesion(rng, kind, shape, (row, column), size))
    return lesions


def _speckle(
    scene: np.random.Generator, frame: np.random.Generator, shape: tuple[int, int], looks: int, blur: float
) -> np.ndarray:
    """Return amplitudes with a mean power of 1: Rayleigh for one look, smoother for several averaged ones.

    The echoes of many scatterers add up to complex Gaussian noise, smeared by the beam: short along it, and wider
    across the deeper it goes.
    """
    power = np.zeros(shape, np.float32)
    wide = np.linspace(0, 1, shape[0], dtype=np.float32)[:, None]
    for _ in range(2 * looks):  # the real and the imaginary part
        noise = 0.9 * scene.standard_normal(shape, np.float32) + 0.44 * frame.standard_normal(shape, np.float32)
        near, far = (gaussian_filter(noise, (0.75 * blur, across * blur), truncate=3) for across in (1.0, 2.2))
        mixed = near / near.std() * (1 - wide) + far / far.std() * wide
        power += mixed**2 / ((1 - wide) ** 2 + wide**2 + 1.6 * wide * (1 - wide))
    return np.sqrt(power / power.mean())


def _extent(mask: np.ndarray) -> tuple[float, float, float, float]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return float(rows[0]), float(columns[0]), float(rows[-1]), float(columns[-1])


def _annotated(rng: np.random.Generator, pixels: np.ndarray, spot: tuple[float, float, float, float]) -> np.ndarray:
    """Return the pixels with the word SYNTHETIC and, in one of five whatever the class, callipers around a spot."""
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    size = len(pixels)
    draw.text(
        (4 + int(rng.integers(0, 6)), size - 14 - int(rng.integers(0, 4))),
        "SYNTHETIC",
        fill=220,
        stroke_width=1,
        stroke_fill=0,
    )
    if rng.random() < 0.2:
        top, left, bottom, right = (float(np.clip(edge, 3, size - 4)) for edge in spot)
        middle = ((left + right) / 2, (top + bottom) / 2)
        for x, y in ((left, middle[1]), (right, middle[1]), (middle[0], top), (middle[0], bottom)):
            draw.line((x - 3, y, x + 3, y), fill=235)
            draw.line((x, y - 3, x, y + 3), fill=235)
    return np.asarray(picture)
