"""One radiograph: a view of a patient, with findings, clutter, exposure and noise."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from medkit_phantom.anatomy import Anatomy, draw_chest, draw_patient
from medkit_phantom.canvas import Canvas, Field
from medkit_phantom.clutter import burn_in, draw_clutter
from medkit_phantom.findings import FINDINGS, Box, Effect

_PATIENT, _VIEW, _FINDING, _CLUTTER, _NOISE, _TRY = range(6)


@dataclass(frozen=True)
class Radiograph:
    """A drawn image.

    Attributes:
        pixels: (H,W) float32, what a viewer shows: 0 black to 1 white.
        boxes: finding → its box in pixel edges.
        canvas: where the body lies.
        projection: ``PA`` or ``AP``.
        anatomy: whose chest it is.
    """

    pixels: Field
    boxes: dict[str, Box]
    canvas: Canvas
    projection: str
    anatomy: Anatomy


def draw_radiograph(
    seed: int, patient: int, image: int, findings: Sequence[str], hidden: Collection[str] = (), zoom: float = 1.0
) -> Radiograph:
    """Return image number ``image``, of ``patient``, with ``findings``.

    Each ingredient has a random stream of its own, so that an image without one of its findings is the same image
    otherwise.

    Args:
        seed: of the whole set.
        patient: number of the patient: the same number has the same anatomy.
        image: number of the image in the set.
        findings: names, keys of `FINDINGS`.
        hidden: findings that keep their place and box but are left out of the pixels.
        zoom: size of the body in the image; below 1 for a child.
    """
    anatomy = _patient(seed, patient)
    for attempt in range(20):
        view = np.random.default_rng([seed, _VIEW, image, attempt])
        projection = "PA" if view.random() < 0.6 else "AP"
        canvas = _place(view, anatomy, projection, zoom)
        heart = anatomy.heart(anatomy.cardiothoracic_ratio * (1.0 if projection == "PA" else 1.06))
        layers = draw_chest(anatomy, canvas, heart)
        effects = _draw_findings(seed, image, attempt, findings, anatomy, canvas, layers)
        if effects is not None:
            break
    else:
        raise RuntimeError(f"no room for {', '.join(findings)} in image {image} of seed {seed}")
    air, vessels, tissue = layers.air, layers.vessels, layers.soft
    for name, effect in effects.items():
        if name not in hidden:
            air = air if effect.air is None else air * effect.air
            vessels = vessels if effect.vessels is None else vessels * effect.vessels
            tissue = tissue if effect.tissue is None else tissue + effect.tissue
    clutter = draw_clutter(np.random.default_rng([seed, _CLUTTER, image]), anatomy, canvas)
    attenuation = layers.body * (0.74 - 0.46 * air + layers.bones + vessels + tissue + clutter)
    pixels = _expose(np.random.default_rng([seed, _NOISE, image]), attenuation, canvas)
    pixels += burn_in(view, canvas.shape, projection) * (np.float32(0.97) - pixels)
    return Radiograph(pixels, {name: effect.box for name, effect in effects.items()}, canvas, projection, anatomy)


@lru_cache(maxsize=64)
def _patient(seed: int, patient: int) -> Anatomy:
    return draw_patient(np.random.default_rng([seed, _PATIENT, patient]))


def _place(rng: np.random.Generator, anatomy: Anatomy, projection: str, zoom: float) -> Canvas:
    rows, columns = (int(n) for n in rng.integers(168, 257, 2))
    if abs(rows - columns) < 8:
        rows += 16
    unit = 0.44 * min(columns, 1.05 * rows / anatomy.stretch) * rng.uniform(0.86, 1.10) * zoom
    centre = (columns * (0.5 + rng.uniform(-0.06, 0.06)), rows * (0.5 + rng.uniform(-0.06, 0.06)) + 0.10 * unit)
    angle = rng.normal(0, 0.05 if projection == "PA" else 0.09)
    return Canvas((rows, columns), centre, unit, float(np.clip(angle, -0.2, 0.2)), anatomy.stretch)


def _draw_findings(seed, image, attempt, findings, anatomy, canvas, layers) -> dict[str, Effect] | None:
    """Return the findings, each in view and none upon another; None where this view has no room for one."""
    effects: dict[str, Effect] = {}
    for name in findings:
        for again in range(6):
            key = [seed, _FINDING, image, list(FINDINGS).index(name), 100 * attempt + again]
            effect = FINDINGS[name](np.random.default_rng(key), anatomy, canvas, layers)
            if effect and all(
                "Cardiomegaly" in (name, other) or _overlap(effect.box, placed.box) < 0.2
                for other, placed in effects.items()
            ):
                effects[name] = effect
                break
        else:
            return None
    return effects


def _overlap(a: Box, b: Box) -> float:
    """Return the shared area as a fraction of the smaller box."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return max(width, 0) * max(height, 0) / smaller


def _expose(rng: np.random.Generator, attenuation: Field, canvas: Canvas) -> Field:
    """Return display values 0…1: a smooth uneven exposure, contrast, gamma, sharpness and quantum noise."""
    rows, columns = canvas.shape
    across = np.linspace(-1, 1, columns, dtype=np.float32)
    down = np.linspace(-1, 1, rows, dtype=np.float32)[:, None]
    tilt_x, tilt_y, bend = rng.normal(0, 0.07, 3).astype(np.float32)
    low, high = rng.uniform(0.08, 0.22), rng.uniform(0.98, 1.16)
    noise = rng.uniform(0.008, 0.022)
    grain = rng.standard_normal(canvas.shape, dtype=np.float32)
    if rng.random() < 0.4:
        grain = 1.6 * cv2.GaussianBlur(grain, (3, 3), 0.7)
    value = attenuation + tilt_x * across + tilt_y * down + bend * across * down
    value = (value - np.float32(low)) / np.float32(high - low)
    value = cv2.pow(np.maximum(value, 0), float(rng.uniform(0.75, 1.35)))
    value += np.float32(noise) * grain
    return np.clip(value, 0, 1)
