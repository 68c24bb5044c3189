"""Proteins of filaments, of what organises them, and of the cell's edge: classes 11 to 19, 21 and 22."""

from __future__ import annotations

import numpy as np

from medkit_phantom_cells.brush import Paths, blur, discs, grow, noise, places, strokes
from medkit_phantom_cells.organelles import cytoplasm
from medkit_phantom_cells.scene import Random, Scene


def intermediate_filaments(rng: Random, scene: Scene) -> np.ndarray:
    """Wavy fibres that wind around the nucleus in a dense basket."""
    reach = 0.3 * scene.cells.radius[scene.nearest]
    start = places(rng, cytoplasm(scene) * np.exp(-scene.beyond / reach), 85 * len(scene.cells.centre))
    out = start - _own(scene, start, scene.cells.nucleus)
    heading = np.angle(out) + np.pi / 2 * rng.choice([-1, 1], len(start)) + rng.normal(0, 0.4, len(start))
    fibres = grow(rng, scene.owner, start, heading, 24, scene.unit, 0.2)
    return strokes(scene.size, fibres, rng.uniform(0.2, 0.85, len(start)), scene.unit) * (1 - 0.6 * scene.nuclei)


def actin_filaments(rng: Random, scene: Scene) -> np.ndarray:
    """Straight parallel stress fibres from edge to edge, over the nucleus too, and a rim."""
    start = places(rng, scene.inside, 14 * len(scene.cells.centre))
    course = rng.uniform(0, np.pi, len(scene.cells.centre))[_cell(scene, start)] + rng.normal(0, 0.07, len(start))
    fibres = np.zeros((scene.size, scene.size), np.float32)
    for heading in (course, course + np.pi):
        half = grow(rng, scene.owner, start, heading, 40, 1.5 * scene.unit, 0.012)
        fibres = np.maximum(fibres, strokes(scene.size, half, rng.uniform(0.4, 1, len(start)), scene.unit))
    return fibres + 0.3 * _rim(scene, 1.0) + 0.05 * scene.inside


def focal_adhesion_sites(rng: Random, scene: Scene) -> np.ndarray:
    """Short thick dashes near the edge of the cell that point inwards."""
    near = scene.edge / scene.unit
    start = places(rng, (near > 2) & (near < 8) & (scene.beyond > 3 * scene.unit), 20 * len(scene.cells.centre))
    inwards = np.angle(_own(scene, start, scene.cells.centre) - start) + rng.normal(0, 0.25, len(start))
    length = rng.uniform(2.5, 5, len(start)) * scene.unit * np.exp(1j * inwards)
    dashes = Paths(np.stack([start - length / 2, start + length / 2], 1), np.full(len(start), 2))
    return strokes(scene.size, dashes, rng.uniform(0.6, 1, len(start)), 1.2 * scene.unit) + 0.08 * scene.inside


def microtubules(rng: Random, scene: Scene) -> np.ndarray:
    """The filaments of the red channel."""
    levels = rng.uniform(0.3, 0.9, len(scene.microtubules.lengths))
    drawn = strokes(scene.size, scene.microtubules, levels, scene.unit) * (1 - 0.55 * scene.nuclei)
    drawn = np.maximum(drawn, 0.9 * strokes(scene.size, scene.spindle, 1.0, scene.unit))
    return np.maximum(drawn, strokes(scene.size, scene.bridge, 0.9, scene.unit))


def microtubule_ends(rng: Random, scene: Scene) -> np.ndarray:
    """Short comets at the outer ends of the microtubules."""
    points, lengths = scene.microtubules.points, scene.microtubules.lengths
    last = np.maximum(lengths, 3)[:, None] - np.array([3, 2, 1])
    tails = Paths(np.take_along_axis(points, last, axis=1), np.where(lengths > 3, 3, 0))
    return strokes(scene.size, tails, rng.uniform(0.6, 1, len(lengths)), 1.3 * scene.unit) + 0.05 * scene.inside


def cytokinetic_bridge(rng: Random, scene: Scene) -> np.ndarray:
    """The thread between two daughter cells, brightest in its middle."""
    thread = strokes(scene.size, scene.bridge, 0.75, 1.2 * scene.unit)
    body = scene.bridge.points[:, 5:7].mean(axis=1)
    return np.maximum(thread, discs(scene.size, body, 1.3 * scene.unit, 1.0)) + 0.06 * scene.inside


def mitotic_spindle(rng: Random, scene: Scene) -> np.ndarray:
    """The spindle of cells in metaphase, from both poles to the plate."""
    levels = rng.uniform(0.6, 1, len(scene.spindle.lengths))
    return strokes(scene.size, scene.spindle, levels, 1.2 * scene.unit) + 0.06 * scene.inside


def organizing_center(rng: Random, scene: Scene) -> np.ndarray:
    """A soft spot at the centrosome from which short filaments spread."""
    where = scene.cells.centrosome[:, 0]
    start = np.repeat(where, 14)
    aster = grow(rng, scene.owner, start, 2 * np.pi * rng.random(len(start)), 6, 1.7 * scene.unit, 0.1)
    spot = blur(discs(scene.size, where, 2.6 * scene.unit, 1.0), 0.9 * scene.unit)
    return np.maximum(spot, strokes(scene.size, aster, 0.4, scene.unit)) + 0.06 * scene.inside


def centrosome(rng: Random, scene: Scene) -> np.ndarray:
    """One sharp dot or two beside the nucleus."""
    levels = np.stack([np.ones(len(scene.cells.centre)), rng.uniform(0.3, 1, len(scene.cells.centre))], 1)
    return discs(scene.size, scene.cells.centrosome.ravel(), 0.95 * scene.unit, levels.ravel()) + 0.05 * scene.inside


def plasma_membrane(rng: Random, scene: Scene) -> np.ndarray:
    """A line around every cell, with ruffles."""
    ruffles = np.clip(0.75 + 0.22 * noise(rng, scene.size, 2.5 * scene.unit), 0.2, 1)
    return _rim(scene, 1.3) * ruffles + 0.12 * scene.inside


def cell_junctions(rng: Random, scene: Scene) -> np.ndarray:
    """A line only where two cells touch, broken here and there."""
    broken = np.clip(0.8 + 0.35 * noise(rng, scene.size, 1.5 * scene.unit), 0, 1)
    return scene.contact * broken + 0.06 * scene.inside


def _rim(scene: Scene, width: float) -> np.ndarray:
    return np.exp(-(((scene.edge / scene.unit - 1) / width) ** 2)) * (scene.inside > 0)


def _cell(scene: Scene, points: np.ndarray) -> np.ndarray:
    """Return the cell that each point is in or nearest to."""
    rows, columns = (np.rint(part).astype(int).clip(0, scene.size - 1) for part in (points.imag, points.real))
    return scene.nearest[rows, columns]


def _own(scene: Scene, points: np.ndarray, of_cells: np.ndarray) -> np.ndarray:
    """Return, of (n,) values a cell, each point's."""
    return of_cells[_cell(scene, points)]
