"""A chest without findings: what all images of one patient share.

Everything is drawn as attenuation: ``air`` makes dark, soft tissue, bone and vessels make bright. Findings then change
the air, hide the vessels or add tissue, as they do in a patient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medkit_phantom.canvas import Canvas, Field, Points, curve, outline

RIGHT, LEFT = -1, 1
"""The patient's sides, by the sign of x in the image."""

# Contour of the lung on the image's right: apex, lateral wall, costophrenic angle, diaphragm, heart side, hilum.
_LUNG = np.array(
    [
        (0.34, -0.98), (0.55, -0.88), (0.72, -0.62), (0.85, -0.22), (0.92, 0.22), (0.95, 0.60), (0.94, 0.76),
        (0.88, 0.72), (0.72, 0.58), (0.50, 0.53), (0.28, 0.60), (0.15, 0.66), (0.13, 0.40), (0.14, 0.02),
        (0.16, -0.36), (0.19, -0.76),
    ]
)  # fmt: skip
_DIAPHRAGM = slice(6, 12)
# Heart for a transverse diameter of 1, centred on 0: right atrium left, apex at the lower right.
_HEART = np.array(
    [
        (-0.18, -0.52), (-0.30, -0.30), (-0.42, 0.02), (-0.41, 0.34), (-0.26, 0.50), (0.08, 0.55), (0.40, 0.52),
        (0.58, 0.36), (0.55, 0.08), (0.36, -0.20), (0.16, -0.44), (0.02, -0.58),
    ]
)  # fmt: skip


@dataclass(frozen=True)
class Anatomy:
    """The shape of one patient's chest, in body coordinates."""

    stretch: float
    lungs: dict[int, Points]
    diaphragm: dict[int, float]
    heart_centre: tuple[float, float]
    cardiothoracic_ratio: float
    spine: Points
    ribs: list[Points]
    anterior_ribs: list[Points]
    clavicles: list[Points]
    vessels: tuple[list[Points], list[Points], list[Points]]
    hila: dict[int, tuple[float, float]]
    aorta: tuple[float, float, float]
    body_width: float
    breasts: tuple[float, float, float] | None
    female: bool
    age: int

    def heart(self, ratio: float) -> Points:
        """Return the heart's contour at a transverse diameter of ``ratio`` of the chest's inner width."""
        growth = ratio / self.cardiothoracic_ratio
        width, normal_height = 1.86 * ratio, 1.86 * self.cardiothoracic_ratio
        height = normal_height * (0.4 + 0.6 * growth)
        x, y = self.heart_centre
        # A large heart grows to its own left and keeps resting on the diaphragm.
        return outline(_HEART * (width, height) + (x + 0.08 * (growth - 1), y - 0.5 * (height - normal_height)))

    def lung_span(self, side: int, y: float) -> tuple[float, float]:
        """Return |x| of the inner and the outer edge of a lung at height ``y``."""
        points = self.lungs[side]
        x = np.abs(points[np.abs(points[:, 1] - y) < 0.07, 0])
        return (float(x.min()), float(x.max())) if len(x) else (0.3, 0.6)


def draw_patient(rng: np.random.Generator) -> Anatomy:
    """Return a patient drawn by chance; the same generator state gives the same patient."""
    age, female = int(rng.integers(22, 88)), bool(rng.random() < 0.48)
    deep = rng.normal(0, 0.06)
    lungs, diaphragm, hila = {}, {}, {}
    for side in (RIGHT, LEFT):
        points = _LUNG + rng.normal(0, 0.014, _LUNG.shape)
        lift = deep + rng.normal(0, 0.02) + (-0.04 if side == RIGHT else 0.02)  # the liver lifts the right dome
        points[_DIAPHRAGM, 1] += lift
        lungs[side] = outline(points * (side, 1))
        diaphragm[side] = 0.55 + lift
        hila[side] = (side * rng.uniform(0.20, 0.25), rng.uniform(-0.14, -0.02) - (0.04 if side == LEFT else 0))
    bend = rng.normal(0, 0.03)
    y = np.linspace(-1.5, 1.6, 8)
    spine = curve(np.stack([bend * np.sin(1.8 * y + rng.uniform(0, 6)), y], axis=1))
    first, gap, slope = rng.uniform(-0.98, -0.90), rng.uniform(0.165, 0.195), rng.uniform(0.10, 0.22)
    ratio = float(rng.uniform(0.40, 0.48))
    return Anatomy(
        stretch=float(rng.uniform(0.94, 1.14)),
        lungs=lungs,
        diaphragm=diaphragm,
        heart_centre=(float(rng.uniform(0.04, 0.14)), float(0.21 + deep + rng.normal(0, 0.02))),
        cardiothoracic_ratio=ratio,
        spine=spine,
        ribs=[_posterior_rib(side, first + gap * k, slope) for k in range(10) for side in (RIGHT, LEFT)],
        anterior_ribs=[_anterior_rib(side, first + gap * k + 0.1) for k in range(1, 7) for side in (RIGHT, LEFT)],
        clavicles=[_clavicle(side, rng.normal(0, 0.05)) for side in (RIGHT, LEFT)],
        vessels=_vessels(rng, hila),
        hila=hila,
        aorta=(float(rng.uniform(0.10, 0.17)), float(rng.uniform(-0.46, -0.36)), float(rng.uniform(0.11, 0.16))),
        body_width=float(rng.uniform(1.06, 1.26)),
        breasts=tuple(rng.uniform((0.50, 0.34, 0.34), (0.62, 0.62, 0.46))) if female else None,
        female=female,
        age=age,
    )


def _posterior_rib(side: int, y: float, slope: float) -> Points:
    t = np.linspace(0, 1, 7)
    width = np.clip(0.66 + 0.45 * (y + 0.95), 0.5, 0.99)
    x = 0.08 + (width - 0.08) * np.sin(0.5 * np.pi * t)
    return curve(np.stack([side * x, y - 0.07 * np.sin(np.pi * np.minimum(1, 1.6 * t)) + slope * t**3 * 1.6], axis=1))


def _anterior_rib(side: int, y: float) -> Points:
    t = np.linspace(0, 1, 5)
    width = np.clip(0.68 + 0.45 * (y + 0.95), 0.5, 0.99)
    return curve(np.stack([side * (width - (width - 0.34) * t), y + 0.20 + 0.26 * t - 0.10 * t**2], axis=1))


def _clavicle(side: int, tilt: float) -> Points:
    return curve(np.array([(0.10, -0.76), (0.35, -0.84), (0.62, -0.86 - tilt), (0.98, -1.02 - 2 * tilt)]) * (side, 1))


def _vessels(
    rng: np.random.Generator, hila: dict[int, tuple[float, float]]
) -> tuple[list[Points], list[Points], list[Points]]:
    """Return thick, middle and thin branches that fan out from each hilum."""
    count, thick, middle, thin = 11, [], [], []
    for side, hilum in hila.items():
        headings = np.linspace(-1.35, 1.45, count) + rng.normal(0, 0.10, count)
        angles = headings[:, None] + np.cumsum(rng.normal(0, 0.16, (count, 6)), axis=1)
        steps = rng.uniform(0.10, 0.15, (count, 1, 1)) * _direction(side, angles)
        paths = np.concatenate([np.zeros((count, 1, 2)), np.cumsum(steps, axis=1)], axis=1) + hilum
        thick += list(paths[:, :3])
        middle += list(paths[:, 2:5])
        thin += list(paths[:, 4:])
        for start in (1, 2, 3, 4, 5):
            turn = rng.choice((-1, 1), (count, 1)) * rng.uniform(0.4, 0.9, (count, 1))
            fork = angles[:, start, None] + turn + np.cumsum(rng.normal(0, 0.15, (count, 3)), axis=1)
            twigs = paths[:, start, None] + 0.08 * np.cumsum(_direction(side, fork), axis=1)
            thin += list(np.concatenate([paths[:, start, None], twigs], axis=1))
    return thick, middle, thin


def _direction(side: int, angle: np.ndarray) -> np.ndarray:
    return np.stack([side * np.cos(angle), 1.15 * np.sin(angle)], axis=-1)


@dataclass
class Layers:
    """What a view of a chest is made of, each (H,W) float32 from 0 to about 1."""

    body: Field
    lungs: Field
    air: Field
    soft: Field
    bones: Field
    vessels: Field


def draw_chest(anatomy: Anatomy, canvas: Canvas, heart: Points) -> Layers:
    """Return the layers of a healthy chest with the given heart."""
    shoulders = [
        (0.24, -1.75),
        (0.27, -1.28),
        (0.55, -1.12),
        (1.15, -1.02),
        (1.35, -0.75),
        (anatomy.body_width + 0.05, -0.2),
    ]
    flank = [(anatomy.body_width, 0.5), (anatomy.body_width - 0.03, 2.2)]
    side = np.array(shoulders + flank)
    body = canvas.fill(np.concatenate([side, side[::-1] * (-1, 1)]), blur=0.04)
    lungs = canvas.fill(*anatomy.lungs.values(), blur=0.018)
    heart_mask = canvas.fill(heart, blur=0.02)
    knob_x, knob_y, knob = anatomy.aorta
    mediastinum = canvas.fill(
        outline(
            [
                (-0.17, -1.1),
                (-0.19, -0.3),
                (-0.16, 0.7),
                (0.18, 0.7),
                (0.20, -0.1),
                (knob_x + knob, knob_y),
                (0.16, -0.7),
            ]
        ),
        blur=0.02,
    )
    soft = 0.04 * heart_mask + 0.04 * mediastinum
    if anatomy.breasts:
        *centre, size = anatomy.breasts
        turn = np.linspace(-0.35 * np.pi, 1.35 * np.pi, 20)
        arc = np.stack([np.cos(turn), np.sin(turn) * 1.1], axis=1) * size
        soft += 0.07 * canvas.fill(centre + arc, (centre + arc) * (-1, 1), blur=0.05)
    trachea, bronchi = (
        [curve([(0, -1.5), (0.01, -0.9), (-0.02, -0.45)])],
        [[(-0.16, -0.28), (-0.02, -0.5), (0.19, -0.25)]],
    )
    soft -= 0.12 * canvas.strokes((bronchi, 0.05, 0.5), (trachea, 0.10, 1.0), blur=0.015)
    stomach = anatomy.diaphragm[LEFT] + 0.17
    soft -= 0.16 * canvas.fill(outline(_oval(0.48, stomach, 0.17, 0.09)), blur=0.03)
    height = canvas.grid[1][:, canvas.shape[1] // 2, None]  # the spine is narrow: its own tilt does not show
    vertebrae = 0.75 + 0.25 * np.tanh(3 * np.cos(2 * np.pi / 0.19 * height))
    bones = 0.10 * vertebrae * canvas.stroke(anatomy.spine, width=0.24, blur=0.015)
    # A bone is brighter along its rim, where the beam meets more of its hard shell.
    bones += 0.13 * canvas.strokes(
        (anatomy.anterior_ribs, 0.075, 0.28),
        (anatomy.ribs, 0.074, 0.80),
        (anatomy.ribs, 0.040, 0.42),
        (anatomy.clavicles, 0.090, 0.95),
        (anatomy.clavicles, 0.045, 0.60),
        blur=0.008,
    )
    thick, middle, thin = anatomy.vessels
    air = lungs * (1 - 0.93 * heart_mask) * (1 - 0.9 * mediastinum)
    vessels = canvas.strokes((thin, 0.010, 0.40), (middle, 0.022, 0.65), (thick, 0.036, 0.9), blur=0.004)
    return Layers(body=body, lungs=lungs, air=air, soft=soft, bones=bones, vessels=0.15 * vessels * air)


def _oval(x: float, y: float, across: float, down: float, count: int = 10) -> Points:
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([x + across * np.cos(turn), y + down * np.sin(turn)], axis=1)
