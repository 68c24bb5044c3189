"""The eight findings, drawn where and as a radiologist would see them.

Each finding is a function ``(rng, anatomy, canvas, layers) -> Effect``. What it changes is zero outside its box, so the
box is known and not estimated. Every finding has an edge or a texture of its own; its mean brightness is kept near that
of the harmless structures of `medkit_phantom.clutter`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from medkit_phantom.anatomy import LEFT, RIGHT, Anatomy, Layers
from medkit_phantom.canvas import Canvas, Field, Points, bounding_box, curve, outline

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Effect:
    """What one finding does to a chest: ``air * air_factor``, ``vessels * vessel_factor``, ``soft + tissue``."""

    box: Box
    air: Field | None = None
    vessels: Field | None = None
    tissue: Field | None = None


_LEVEL = 0.25
"""A mask belongs to the box where it exceeds this: about where an eye sees the edge."""


def _spot(
    rng: np.random.Generator, anatomy: Anatomy, margin: float, low: float, high: float
) -> tuple[int, float, float]:
    """Return a side and a point in that lung, ``margin`` from its edges, between the heights ``low`` and ``high``."""
    side, y = int(rng.choice((RIGHT, LEFT))), float(rng.uniform(low, high))
    inner, outer = anatomy.lung_span(side, y)
    if side == LEFT:
        inner += 0.28 * np.clip((y + 0.15) / 0.4, 0, 1)  # the heart covers the inner part of the left lung
    inner, outer = inner + 0.8 * margin, outer - margin
    return side, side * float(rng.uniform(min(inner, outer), max(inner, outer))), y


def _blob(rng: np.random.Generator, x: float, y: float, across: float, down: float, rough: float, count: int) -> Points:
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False) + rng.uniform(0, 2 * np.pi)
    radius = 1 + rng.normal(0, rough, count)
    tilt = rng.uniform(-0.5, 0.5)
    points = np.stack([across * radius * np.cos(turn), down * radius * np.sin(turn)], axis=1)
    c, s = np.cos(tilt), np.sin(tilt)
    return outline(points @ np.array([[c, s], [-s, c]]) + (x, y))


def atelectasis(rng: np.random.Generator, anatomy: Anatomy, canvas: Canvas, layers: Layers) -> Effect | None:
    """Collapse: crisp parallel bands that fan out from a narrow end, with crowded vessels between them."""
    side, x, y = _spot(rng, anatomy, 0.24, -0.40, 0.42)
    tilt = rng.uniform(-0.5, 0.5)
    length, spread = rng.uniform(0.24, 0.34), rng.uniform(0.09, 0.13)
    along = np.array([np.cos(tilt) * side, np.sin(tilt)])
    across = np.array([-along[1], along[0]])
    wedge = np.array([x, y]) + np.array(
        [-length * along - 0.3 * spread * across, length * along - spread * across, length * along + spread * across,
         -length * along + 0.3 * spread * across]
    )  # fmt: skip
    if canvas.inside(wedge) < 1:
        return None
    bands = []
    for step in np.linspace(-1, 1, int(rng.integers(3, 5))):
        start = np.array([x, y]) - length * along + 0.3 * step * spread * across
        middle = np.array([x, y]) + 0.75 * step * spread * across + rng.normal(0, 0.008, 2)
        bands.append(curve([start, middle, np.array([x, y]) + length * along + step * spread * across]))
    haze = canvas.fill(wedge, blur=0.015)
    lines = canvas.stroke(*bands, width=0.040, blur=0.006)
    box = bounding_box(np.maximum(haze, lines), _LEVEL)
    return box and Effect(box, tissue=0.06 * haze + rng.uniform(0.26, 0.32) * lines)


def cardiomegaly(rng: np.random.Generator, anatomy: Anatomy, canvas: Canvas, layers: Layers) -> Effect | None:
    """Enlarged heart: its transverse diameter is well above half of the chest's inner width."""
    contour = anatomy.heart(rng.uniform(0.60, 0.70))
    if canvas.inside(contour) < 0.97:
        return None
    heart = canvas.fill(contour, blur=0.012)
    box = bounding_box(heart, _LEVEL)
    return box and Effect(box, air=1 - 0.93 * heart, tissue=0.05 * heart)


def effusion(rng: np.random.Generator, anatomy: Anatomy, canvas: Canvas, layers: Layers) -> Effect | None:
    """Fluid: the lung base is filled up to a meniscus that climbs the chest wall."""
    side = int(rng.choice((RIGHT, LEFT)))
    level = anatomy.diaphragm[side] - rng.uniform(0.06, 0.38)
    inner, rise = rng.uniform(0.30, 0.50), rng.uniform(0.16, 0.28)
    meniscus = curve(
        np.array([(inner, level + 0.10), (0.60, level + 0.02), (0.80, level - 0.25 * rise), (1.0, level - rise)])
        * (side, 1)
    )
    region = np.concatenate([meniscus, [(side * 1.0, 0.95), (side * (inner - 0.12), 0.95)]])
    if canvas.inside(meniscus) < 0.95:
        return None
    fluid = canvas.fill(region, blur=0.008) * layers.lungs
    box = bounding_box(fluid, _LEVEL)
    return box and Effect(box, air=1 - 0.97 * fluid, vessels=1 - fluid, tissue=0.02 * fluid)


def infiltration(rng: np.random.Generator, anatomy: Anatomy, canvas: Canvas, layers: Layers) -> Effect | None:
    """Infiltrate: many small fluffy patches without an outer edge."""
    _, x, y = _spot(rng, anatomy, 0.24, -0.55, 0.40)
    shape = _blob(rng, x, y, rng.uniform(0.24, 0.34), rng.uniform(0.26, 0.42), 0.08, 8)
    if canvas.inside(shape) < 1:
        return None
    region = canvas.fill(shape, blur=0.02) * np.minimum(1, 1.3 * layers.lungs)
    patches = np.clip(0.5 + 0.75 * canvas.texture(rng, 0.055), 0, 1)
    box = bounding_box(region * patches, _LEVEL)
    return box and Effect(box, tissue=rng.uniform(0.27, 0.33) * region * patches)


def mass(rng: np.random.Generator, anatomy: Anatomy, canvas: Canvas, layers: Layers) -> Effect | None:
    """Mass: a large lobulated ball with short spikes on its edge."""
    radius = rng.uniform(0.22, 0.31)
    _, x, y = _spot(rng, anatomy, 0.8 * radius, -0.60, 0.42)
    shape = _blob(rng, x, y, radius, radius / anatomy.stretch, 0.07, 9)
    if canvas.inside(shape) < 1:
        return None
    core = canvas.fill(shape, blur=0.010)
    turn = np.linspace(0, 2 * np.pi, 18, endpoint=False) + rng.uniform(0, 0.3, 18)
    rays = np.stack([np.cos(turn), np.sin(turn) / anatomy.stretch], axis=1)
    spikes = [np.array([(x, y) + 0.85 * radius * ray, (x, y) + radius * rng.uniform(1.12, 1.28) * ray]) for ray in rays]
    edge = 0.6 * canvas.stroke(*spikes, width=0.016, blur=0.004)
    ball = np.maximum(core, edge)
    box = bounding_box(ball, _LEVEL)
    return box and Effect(box, tissue=rng.uniform(0.25, 0.31) * ball)


def nodule(rng: np.random.Generator, anatomy: Anatomy, canvas: Canvas, layers: Layers) -> Effect | None:
    """Nodule: a small round smooth ball."""
    radius = rng.uniform(0.135, 0.165)
    _, x, y = _spot(rng, anatomy, radius, -0.72, 0.45)
    shape = _blob(rng, x, y, radius, radius / anatomy.stretch, 0.03, 8)
    if canvas.inside(shape) < 1:
        return None
    ball = canvas.fill(shape, blur=0.006)
    box = bounding_box(ball, _LEVEL)
    return box and Effect(box, tissue=rng.uniform(0.38, 0.46) * ball)


def pneumonia(rng: np.random.Generator, anatomy: Anatomy, canvas: Canvas, layers: Layers) -> Effect | None:
    """Consolidation of part of a lobe: dense, ends straight at a fissure, dark air-filled bronchi branch inside."""
    side, x, y = _spot(rng, anatomy, 0.28, -0.40, 0.30)
    across, down = rng.uniform(0.28, 0.36), rng.uniform(0.30, 0.42)
    above = rng.random() < 0.5
    sign = -1 if above else 1
    slope = rng.uniform(-0.06, 0.06)
    shape = np.concatenate(
        [
            [(x - across, y - slope), (x + across, y + slope)],
            curve([(x + across, y + slope), (x + 0.8 * across, y + 0.75 * sign * down), (x, y + sign * down),
                   (x - 0.8 * across, y + 0.7 * sign * down), (x - across, y - slope)])[1:-1],
        ]
    )  # fmt: skip
    if canvas.inside(shape) < 1:
        return None
    lobe = canvas.fill(shape, blur=0.012) * np.minimum(1, 1.3 * layers.lungs)
    root = np.array([x - side * 0.85 * across, y + 0.45 * sign * down])
    tubes = []
    for heading in (-0.45, 0.0, 0.45):
        steps = np.array([np.cos(heading) * side * across, np.sin(heading) * down * 1.3])
        tubes.append(curve([root, root + 0.5 * steps + rng.normal(0, 0.012, 2), root + 1.5 * steps]))
        fork = root + 0.8 * steps
        tubes.append(fork + np.array([(0, 0), (side * 0.4 * across, rng.choice((-1, 1)) * 0.4 * down)]))
    air_filled = canvas.stroke(*tubes, width=0.034, blur=0.005)
    box = bounding_box(lobe, _LEVEL)
    return box and Effect(
        box, vessels=1 - 0.8 * lobe, tissue=lobe * (rng.uniform(0.27, 0.33) * (1 - 0.95 * air_filled))
    )


def pneumothorax(rng: np.random.Generator, anatomy: Anatomy, canvas: Canvas, layers: Layers) -> Effect | None:
    """Air outside the lung: a rim without vessels between the chest wall and the thin white edge of the lung."""
    side = int(rng.choice((RIGHT, LEFT)))
    lung = anatomy.lungs[side]
    wall = lung[: 4 * 6]  # apex to costophrenic angle, four points a control
    first = int(rng.integers(0, 12))
    rim = wall[first : first + int(rng.integers(9, 12))]
    centre = np.array([side * 0.42, rim[:, 1].mean() + 0.25])
    inward = (centre - rim) / np.linalg.norm(centre - rim, axis=1, keepdims=True)
    depth = rng.uniform(0.24, 0.34) * np.sin(np.linspace(0.12, np.pi - 0.12, len(rim)))[:, None] ** 0.7
    edge = rim + inward * depth
    if canvas.inside(np.concatenate([rim, edge])) < 0.97:
        return None
    gap = canvas.fill(np.concatenate([rim + 0.01 * (rim - centre), edge[::-1]]), blur=0.006) * layers.lungs
    line = canvas.stroke(edge, width=0.028, blur=0.003) * layers.lungs
    box = bounding_box(np.maximum(gap, line), _LEVEL)
    return box and Effect(box, air=1 + 0.30 * gap, vessels=1 - gap, tissue=0.32 * line)


Draw = Callable[[np.random.Generator, Anatomy, Canvas, Layers], Effect | None]
FINDINGS: dict[str, Draw] = {
    "Atelectasis": atelectasis,
    "Cardiomegaly": cardiomegaly,
    "Effusion": effusion,
    "Infiltration": infiltration,
    "Mass": mass,
    "Nodule": nodule,
    "Pneumonia": pneumonia,
    "Pneumothorax": pneumothorax,
}
