"""A head: its outline, folds and ventricles, and which tissue is where on an axial slice of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import cv2
import numpy as np

BRAIN_EDGE = 0.845
"""Where the skull ends, as a share of the head's radius."""
_KNOTS = 4
_NOISE_SIDE = 256
TOP = 0.9
"""The highest level that still shows brain; level 0 is at the basal ganglia."""


class Tissue(IntEnum):
    """What a pixel shows."""

    AIR = 0
    SCALP = 1
    BONE = 2
    FLUID = 3
    GREY = 4
    WHITE = 5
    VESSEL = 6


@dataclass(frozen=True)
class Head:
    """One patient's anatomy. Lengths are shares of the image's side, unless said otherwise.

    Attributes:
        half_width: of the head at level 0, left to right.
        half_length: front to back.
        angle: of the head in the image, radians.
        centre: (x, y) of the head.
        lobes: (harmonic, amplitude, phase) of the outline's deviation from an ellipse.
        folds: (4,256,256) float32 noise, whose zero lines are the furrows at four levels.
        furrow: how wide they are: wider with age.
        ventricles: half their width, in head radii.
        tilt: how much more the ventricles fill on the left.
        scalp: where it ends and the skull begins, as a share of the radius.
    """

    half_width: float
    half_length: float
    angle: float
    centre: tuple[float, float]
    lobes: tuple[tuple[int, float, float], ...]
    folds: np.ndarray
    furrow: float
    ventricles: float
    tilt: float
    scalp: float


def draw_head(rng: np.random.Generator) -> Head:
    """Return a patient's head."""
    half_length = rng.uniform(0.32, 0.47)
    return Head(
        half_width=half_length * rng.uniform(0.70, 0.96),
        half_length=half_length,
        angle=rng.normal(0, 0.12),
        centre=(0.5 + rng.normal(0, 0.025), 0.5 + rng.normal(0, 0.025)),
        lobes=tuple((n, rng.normal(0, 0.03 / n), rng.uniform(0, 2 * np.pi)) for n in (2, 3, 4, 5)),
        folds=np.stack([band_noise(rng, _NOISE_SIDE, 14.7, 26.7) for _ in range(_KNOTS)]),
        furrow=rng.uniform(0.12, 0.38),
        ventricles=rng.uniform(0.025, 0.09),
        tilt=rng.normal(0, 0.2),
        scalp=rng.uniform(0.90, 0.96),
    )


def band_noise(rng: np.random.Generator, side: int, shortest: float, longest: float) -> np.ndarray:
    """Return (side,side) float32 noise of mean 0 and deviation 1, of wavelengths between the two, in pixels."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    spectrum = np.fft.rfft2(rng.standard_normal((side, side), np.float32))
    spectrum[(frequency < 1 / longest) | (frequency > 1 / shortest)] = 0
    noise = np.fft.irfft2(spectrum, s=(side, side))
    return (noise / noise.std()).astype(np.float32)


def head_grid(head: Head, level: float, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x (right −1 … left 1), y (front −1 … back 1) and the radius (skin 1), each (side,side) float32."""
    rows, columns = np.mgrid[0:side, 0:side].astype(np.float32)
    across = (columns + 0.5) / side - head.centre[0]
    down = (rows + 0.5) / side - head.centre[1]
    cos, sin = np.cos(head.angle), np.sin(head.angle)
    taper = np.sqrt(max(1 - (0.85 * level) ** 2, 0.05))
    x = (across * cos + down * sin) / (head.half_width * taper)
    y = (down * cos - across * sin) / (head.half_length * taper)
    theta = np.arctan2(y, x)
    outline = 1 + sum(amplitude * np.sin(n * theta + phase) for n, amplitude, phase in head.lobes)
    egg = 1 - 0.05 * np.sin(theta)  # narrower in front
    return x.astype(np.float32), y.astype(np.float32), (np.hypot(x, y) / (outline / egg)).astype(np.float32)


def tissues(head: Head, level: float, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the slice's `Tissue` (side,side) uint8 and the radius (side,side) float32, 1 at the skin.

    Args:
        head: the patient.
        level: 0 at the basal ganglia, `TOP` near the vertex.
        side: pixels.
    """
    x, y, radius = head_grid(head, level, side)
    out = np.zeros((side, side), np.uint8)
    out[radius < 1] = Tissue.SCALP
    out[radius < head.scalp] = Tissue.BONE
    inside = radius < BRAIN_EDGE
    out[inside] = Tissue.FLUID
    depth = BRAIN_EDGE - 0.02 - radius
    cortex_fluid = ~inside | (depth < 0) | _furrows(head, level, x, y, depth) | _fissures(level, x, y, head)
    brain = ~cortex_fluid
    distance = cv2.distanceTransform(brain.astype(np.uint8), cv2.DIST_L2, 5) / (head.half_width * side)
    out[brain] = Tissue.WHITE
    out[brain & (distance < 0.055)] = Tissue.GREY
    if level < 0.28:
        for sign in (-1, 1):
            thalamus = ((x - sign * 0.12) / 0.10) ** 2 + ((y - 0.10) / 0.14) ** 2 < 1
            lentiform = ((x - sign * (0.27 + 0.1 * y)) / 0.075) ** 2 + ((y + 0.08) / 0.17) ** 2 < 1
            caudate = ((x - sign * 0.14) / 0.05) ** 2 + ((y + 0.26) / 0.1) ** 2 < 1
            out[brain & (thalamus | lentiform | caudate)] = Tissue.GREY
    out[inside & _ventricles(head, level, x, y)] = Tissue.FLUID
    return out, radius


def _furrows(head: Head, level: float, x: np.ndarray, y: np.ndarray, depth: np.ndarray) -> np.ndarray:
    place = np.clip((level + 0.3) / (TOP + 0.3), 0, 1) * (_KNOTS - 1)
    lower = min(int(place), _KNOTS - 2)
    share = place - lower
    noise = (1 - share) * head.folds[lower] + share * head.folds[lower + 1]
    noise = noise / np.sqrt((1 - share) ** 2 + share**2)
    scale = np.float32(_NOISE_SIDE / 2.3)
    sampled = cv2.remap(noise, x * scale + _NOISE_SIDE / 2, y * scale + _NOISE_SIDE / 2, cv2.INTER_LINEAR)
    width = head.furrow * np.exp(-np.maximum(depth, 0) / 0.13) * (depth < 0.30)
    return np.abs(sampled) < width


def _fissures(level: float, x: np.ndarray, y: np.ndarray, head: Head) -> np.ndarray:
    wobble = 0.012 * np.sin(7 * y + 9 * head.tilt)
    reach = 0.40 if level < 0.5 else 0.0
    between = (np.abs(x - wobble) < 0.012 + 0.02 * head.furrow) & (np.abs(y) > reach)
    if level > 0.3:
        return between
    side = np.abs(np.abs(y + 0.16 + 0.5 * (np.abs(x) - 0.62)) < 0.018 + 0.03 * head.furrow)
    return between | (side & (np.abs(x) > 0.44))


def _ventricles(head: Head, level: float, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if level > 0.55:
        return np.zeros(x.shape, bool)
    size = head.ventricles * np.sqrt(max(1 - (level / 0.55) ** 4, 0))
    size = size * (1 + head.tilt * np.sign(x))
    back = np.clip((y - 0.05) / 0.4, 0, 1)
    middle = 0.085 + 0.05 * np.clip((-0.15 - y) / 0.2, 0, 1) + 0.22 * back**1.3
    ends = np.clip(1 - np.abs((y - 0.05) / 0.43) ** 6, 0, 1)
    waist = 1.0 if level > 0.25 else 1 - 0.85 * np.exp(-(((y - 0.08) / 0.13) ** 2))
    out = np.abs(np.abs(x) - middle) < size * np.sqrt(ends) * waist
    if level < 0.2:
        out |= (np.abs(x) < 0.3 * head.ventricles) & (np.abs(y - 0.08) < 0.14)
    return out
