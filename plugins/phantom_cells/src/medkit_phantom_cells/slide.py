"""Cells placed on a slide, some of them dividing, and the pictures of where things are."""

from __future__ import annotations

import cv2
import numpy as np

from medkit_phantom_cells.brush import Paths, discs, grow
from medkit_phantom_cells.scene import Cells, Random, Scene

_TUBULES, _STEPS = 48, 45
"""Microtubules of a cell, and their steps at most, of a unit and a half each."""


def draw_scene(rng: Random, size: int, mitosis: bool, bridge: bool, crowded: bool) -> Scene:
    """Return 3 to 6 cells.

    Args:
        rng: decides everything else.
        size: H and W.
        mitosis: one cell is in metaphase.
        bridge: two cells are daughters that have not quite parted.
        crowded: cells touch, more than they do anyway.
    """
    unit = size / 128
    cells, daughters = _place(rng, size, mitosis, bridge, crowded)
    x, y = np.meshgrid(np.arange(size), np.arange(size))
    offset = (x + 1j * y).astype(np.complex64)[None] - cells.centre[:, None, None].astype(np.complex64)
    stretch = rng.uniform(0.85, 1.18, len(cells.centre))
    stretch[cells.mitotic] = 1
    rho = _shape(rng, offset * np.exp(-1j * rng.uniform(0, np.pi, len(stretch))[:, None, None]), stretch, 0.06)
    rho /= cells.radius[:, None, None]
    order = np.partition(rho, 1, axis=0)
    nearest, depth = rho.argmin(axis=0), order[0]
    radius = cells.radius[nearest].astype(np.float32)
    owner = np.where(depth < 1, nearest, -1)
    parted = np.zeros((size, size), bool)
    parted[:, 1:] |= nearest[:, 1:] != nearest[:, :-1]
    parted[1:] |= nearest[1:] != nearest[:-1]
    edge = cv2.distanceTransform(((owner >= 0) & ~parted).astype(np.uint8), cv2.DIST_L2, 5)
    contact = np.exp(-(((order[1] - depth) * radius / (2 * unit)) ** 2)) * (depth < 1)

    local = (x + 1j * y)[None] - cells.nucleus[:, None, None]
    local = local * np.exp(-1j * cells.angle[:, None, None])
    mean = np.sqrt(cells.axes.prod(axis=1))
    ratio = np.sqrt(cells.axes[:, 0] / cells.axes[:, 1])
    beyond = (_shape(rng, local, ratio, 0.025) / mean[:, None, None] - 1) * cells.axes.min(axis=1)[:, None, None]
    beyond = beyond.min(axis=0).astype(np.float32)

    nucleoli = _nucleoli(rng, cells)
    return Scene(
        size=size,
        unit=unit,
        cells=cells,
        owner=owner,
        nearest=nearest,
        inside=np.clip((1 - depth) * radius + 0.5, 0, 1),
        nuclei=np.clip(0.5 - beyond, 0, 1),
        beyond=beyond,
        edge=edge,
        contact=contact.astype(np.float32),
        nucleoli=nucleoli,
        nucleolar=discs(size, *nucleoli, 1.0),
        microtubules=_microtubules(rng, cells, owner, unit),
        spindle=_spindle(rng, cells),
        bridge=_bridge(rng, cells, daughters, unit),
    )


def _place(rng: Random, size: int, mitosis: bool, bridge: bool, crowded: bool) -> tuple[Cells, np.ndarray]:
    """Return cells, and the numbers of two daughters or of none."""
    count = int(rng.integers(3, 7)) + (mitosis or bridge)
    cover = rng.uniform(1.4, 1.8) if crowded else rng.uniform(0.65, 1.15)
    radius = size * np.sqrt(cover / (count * np.pi)) * np.exp(rng.normal(0, 0.08, count))
    daughters = np.array([0, 1] if bridge else [], int)
    mitotic = np.zeros(count, bool)
    mitotic[len(daughters)] = mitosis
    radius[daughters] *= 0.72
    centre = np.zeros(count, complex)
    placed = 0
    if bridge:
        half = (0.5 * radius[:2].sum() + 0.2 * radius[:2].mean()) * np.exp(1j * rng.uniform(0, 2 * np.pi))
        centre[:2] = size * complex(*rng.uniform(0.35, 0.65, 2)) + half * np.array([1, -1])
        placed = 2
    while placed < count:
        low, high = (0.2, 0.8) if mitotic[placed] else (0.02, 0.98)
        tried = size * (rng.uniform(low, high, 20) + 1j * rng.uniform(low, high, 20))
        apart = np.abs(tried[:, None] - centre[:placed]).min(axis=1, initial=np.inf)
        centre[placed] = tried[apart.argmax()]
        placed += 1
    stretch = rng.uniform(1.0, 1.25, count)[:, None] ** np.array([1, -1])
    axes = (radius * rng.uniform(0.35, 0.44, count))[:, None] * stretch
    axes[mitotic] = radius[mitotic, None] * np.array([0.52, 0.15])
    angle = rng.uniform(0, 2 * np.pi, count)
    nucleus = centre + np.where(mitotic, 0, 0.14 * radius * np.exp(1j * rng.uniform(0, 2 * np.pi, count)))
    turn = rng.uniform(0, 2 * np.pi, count)
    beside = (axes[:, 0] * np.cos(turn) + 1j * axes[:, 1] * np.sin(turn)) * rng.uniform(1.15, 1.35, count)
    beside = beside * np.exp(1j * angle)
    pair = 0.05 * radius * np.exp(1j * rng.uniform(0, 2 * np.pi, count))
    poles = 0.55j * radius * np.exp(1j * angle)
    centrosome = nucleus[:, None] + np.where(
        mitotic[:, None], poles[:, None] * [1, -1], beside[:, None] + pair[:, None] * [1, -1]
    )
    return Cells(centre, radius, nucleus, axes, angle, centrosome, mitotic), daughters


def _shape(rng: Random, local: np.ndarray, ratio: np.ndarray, wobble: float) -> np.ndarray:
    """Return (n,H,W) float32: distance from the middle of uneven ellipses whose half axes are ratio and 1/ratio."""
    ratio = ratio[:, None, None].astype(np.float32)
    flat = local.real / ratio + 1j * local.imag * ratio
    distance = np.abs(flat)
    turn = flat / np.maximum(distance, 1e-6)
    size, wave = np.ones_like(distance), np.ones_like(turn)
    for _ in range(4):
        wave = wave * turn
        amount = rng.normal(0, wobble, (2, len(ratio)))[:, :, None, None]
        size += amount[0] * wave.real + amount[1] * wave.imag
    return (distance / np.maximum(size, 0.5)).astype(np.float32)


def _nucleoli(rng: Random, cells: Cells) -> tuple[np.ndarray, np.ndarray]:
    """Return centres and radii of one to four in each nucleus but metaphase plates."""
    cell = np.repeat(np.arange(len(cells.centre)), np.where(cells.mitotic, 0, rng.integers(1, 5, len(cells.centre))))
    turn, out = 2 * np.pi * rng.random(len(cell)), 0.6 * np.sqrt(rng.random(len(cell)))
    radii = cells.axes.min(axis=1)[cell] * rng.uniform(0.16, 0.3, len(cell))
    return cells.turned(cell, out * np.cos(turn), out * np.sin(turn)), radii


def _microtubules(rng: Random, cells: Cells, owner: np.ndarray, unit: float) -> Paths:
    """Return paths that leave the centrosome or the edge of the nucleus and bend on the way out."""
    cell = np.repeat(np.flatnonzero(~cells.mitotic), _TUBULES)
    turn = 2 * np.pi * rng.random(len(cell))
    start = cells.turned(cell, 1.05 * np.cos(turn), 1.05 * np.sin(turn))
    organised = rng.random(len(cell)) < 0.5
    start = np.where(organised, cells.centrosome[cell, 0], start)
    heading = np.where(organised, turn, np.angle(start - cells.nucleus[cell]) + rng.normal(0, 0.9, len(cell)))
    paths = grow(rng, owner, start, heading, _STEPS, 1.5 * unit, 0.09)
    return Paths(paths.points, np.ceil(paths.lengths * rng.uniform(0.6, 1.05, len(cell)).clip(max=1)).astype(int))


def _spindle(rng: Random, cells: Cells) -> Paths:
    """Return 12 paths from each pole of each cell in metaphase to the plate, as a spindle bulges."""
    cell = np.repeat(np.flatnonzero(cells.mitotic), 24)
    pole = cells.centrosome[cell, np.arange(len(cell)) % 2]
    across = rng.uniform(-0.85, 0.85, len(cell))
    plate = cells.turned(cell, across, np.zeros(len(cell)))
    way = np.linspace(0, 1, 9)
    bulge = (plate - cells.nucleus[cell])[:, None] * (0.9 * way * (1 - way))
    return Paths(pole[:, None] + (plate - pole)[:, None] * way + bulge, np.full(len(cell), len(way)))


def _bridge(rng: Random, cells: Cells, daughters: np.ndarray, unit: float) -> Paths:
    """Return three paths side by side, or none, from one daughter into the other."""
    way = np.linspace(0, 1, 12)
    if not len(daughters):
        return Paths(np.zeros((0, len(way)), complex), np.zeros(0, int))
    one, other = cells.centre[daughters]
    along = (other - one) / abs(other - one)
    ends = one + 0.75 * along * cells.radius[0], other - 0.75 * along * cells.radius[1]
    sag = rng.normal(0, 1.5) + np.array([-0.7, 0, 0.7])[:, None]
    spread = sag * np.sin(np.pi * way) + np.array([-1.5, 0, 1.5])[:, None] * np.abs(2 * way - 1)
    return Paths(ends[0] + (ends[1] - ends[0]) * way + 1j * along * unit * spread, np.full(3, len(way)))
