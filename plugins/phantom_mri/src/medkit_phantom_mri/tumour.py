"""Tumours: what they are, where they sit, and how they push the brain aside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from medkit_phantom_mri.head import BRAIN_EDGE, TOP, Head, Tissue, band_noise

Kind = Literal["ring", "diffuse", "solid"]
_RAGGED_SIDE = 128


@dataclass(frozen=True)
class Tumour:
    """One mass. Lengths are in head radii (about half a head's width).

    Attributes:
        kind: ``ring`` (a bright rim around a dead core), ``diffuse`` (no edge, little contrast) or ``solid`` (round
            and even, at the surface).
        centre: (x, y) on the slice.
        level: of its middle.
        size: its radius.
        rim: thickness of the bright rim, as a share of the radius.
        oedema: how far the swelling around it reaches, in radii.
        push: how far it displaces what is beside it, as a share of the radius.
        conspicuity: 1 as bright as its kind gets, lower is fainter.
        ragged: (128,128) float32 noise that makes its outline irregular.
        raggedness: how much.
    """

    kind: Kind
    centre: tuple[float, float]
    level: float
    size: float
    rim: float
    oedema: float
    push: float
    conspicuity: float
    ragged: np.ndarray
    raggedness: float


def draw_tumour(rng: np.random.Generator, level: float) -> Tumour:
    """Return a tumour that the slice at ``level`` shows."""
    kind: Kind = ("ring", "diffuse", "solid")[rng.choice(3, p=[0.4, 0.35, 0.25])]
    size = float(np.exp(rng.uniform(np.log(0.13), np.log(0.32))))
    theta = rng.uniform(0, 2 * np.pi)
    if kind == "solid":
        distance = (BRAIN_EDGE - 0.03) - size * rng.uniform(0.6, 0.9)
    else:
        distance = rng.uniform(0.22, 0.62 - 0.3 * size)
    return Tumour(
        kind=kind,
        centre=(distance * np.cos(theta), distance * np.sin(theta)),
        level=level,
        size=size,
        rim=rng.uniform(0.14, 0.4),
        oedema=rng.uniform(1.15, 2.2) if kind != "diffuse" else 1.0,
        push=rng.uniform(0.1, 0.6),
        conspicuity=rng.uniform(0.7, 1.0),
        ragged=band_noise(rng, _RAGGED_SIDE, 16, 80),
        raggedness=rng.uniform(0.04, 0.16) * (2 if kind == "diffuse" else 1),
    )


def shares(tumour: Tumour, x: np.ndarray, y: np.ndarray, level: float) -> dict[str, np.ndarray]:
    """Return how much of each pixel is ``core``, ``rim``, ``mass`` (diffuse or solid) and ``oedema``, (H,W) 0…1.

    Away from its own level a tumour shrinks as a ball does; nothing is left where it ends.
    """
    height = abs(level - tumour.level) * 1.3
    if height >= tumour.size:
        return {}
    size = tumour.size * np.sqrt(1 - (height / tumour.size) ** 2)
    dx, dy = x - np.float32(tumour.centre[0]), y - np.float32(tumour.centre[1])
    scale = np.float32(_RAGGED_SIDE / (5 * tumour.size))
    at = (dx * scale + _RAGGED_SIDE / 2, dy * scale + _RAGGED_SIDE / 2)
    bumps = cv2.remap(tumour.ragged, *(a.astype(np.float32) for a in at), cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    distance = np.hypot(dx, dy) / size + tumour.raggedness * bumps
    fingers = np.hypot(dx, dy) / size + 0.35 * bumps
    if tumour.kind == "diffuse":
        return {"mass": _below(distance, 1.0, 0.45)}
    oedema = _below(fingers, tumour.oedema, 0.25)
    if tumour.kind == "solid":
        return {"oedema": oedema, "mass": _below(distance, 1.0, 0.08)}
    core = _below(distance, 1 - tumour.rim * (1 + 0.25 * bumps), 0.10)
    return {"oedema": oedema, "rim": _below(distance, 1.0, 0.08), "core": core}


def displaced(tumour: Tumour, head: Head, tissue: np.ndarray, x: np.ndarray, y: np.ndarray, radius: np.ndarray):
    """Return the tissues (H,W) uint8 with the brain pushed away from the tumour, and pressed against the skull."""
    side = len(tissue)
    dx, dy = x - tumour.centre[0], y - tumour.centre[1]
    distance = np.hypot(dx, dy) + 1e-6
    reach = 2.2 * tumour.size
    room = np.clip((BRAIN_EDGE - radius) / 0.15, 0, 1)
    amount = tumour.push * tumour.size * np.exp(-((distance / reach) ** 2)) * (1 - np.exp(-distance / 0.05)) * room
    step_x = -amount * dx / distance * head.half_width * side
    step_y = -amount * dy / distance * head.half_length * side
    cos, sin = np.cos(head.angle), np.sin(head.angle)
    rows, columns = np.mgrid[0:side, 0:side].astype(np.float32)
    from_x = (columns + step_x * cos - step_y * sin).astype(np.float32)
    from_y = (rows + step_x * sin + step_y * cos).astype(np.float32)
    moved = cv2.remap(tissue, from_x, from_y, cv2.INTER_NEAREST)
    return np.where(radius < BRAIN_EDGE, moved, tissue)


def is_brain(tissue: np.ndarray) -> np.ndarray:
    """Return where the brain is, (H,W) bool."""
    return (tissue == Tissue.GREY) | (tissue == Tissue.WHITE)


def _below(distance: np.ndarray, edge: float | np.ndarray, softness: float) -> np.ndarray:
    return np.clip((edge - distance) / softness + 0.5, 0, 1).astype(np.float32)


LEVELS = (-0.05, TOP - 0.2)
"""Between these levels slices are drawn: below are eyes and base, above is little brain."""
