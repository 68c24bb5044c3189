"""Proteins of the cytoplasm: classes 6 to 10, 20 and 23 to 27."""

from __future__ import annotations

import numpy as np

from medkit_phantom_cells.brush import Paths, blur, discs, grow, noise, places, strokes
from medkit_phantom_cells.scene import Random, Scene


def endoplasmic_reticulum(rng: Random, scene: Scene) -> np.ndarray:
    """A haze with a net in it, densest around the nucleus and absent in it."""
    net = np.exp(-((noise(rng, scene.size, 1.6 * scene.unit) / 0.45) ** 2))
    reach = 0.45 * scene.cells.radius[scene.nearest]
    fade = 0.15 + 0.85 * np.exp(-np.maximum(scene.beyond, 0) / reach)
    return cytoplasm(scene) * fade * (0.45 + 0.5 * net)


def golgi_apparatus(rng: Random, scene: Scene) -> np.ndarray:
    """A ribbon of short arcs on one side of the nucleus, where the centrosome is."""
    cell = np.repeat(np.arange(len(scene.cells.centre)), 10)
    out = scene.cells.centrosome.mean(axis=1)[cell] - scene.cells.nucleus[cell]
    turn = rng.normal(0, 0.38, len(cell))
    start = scene.cells.nucleus[cell] + out * rng.uniform(0.95, 1.25, len(cell)) * np.exp(1j * turn)
    heading = np.angle(start - scene.cells.nucleus[cell]) + np.pi / 2 * rng.choice([-1, 1], len(cell))
    ribbon = grow(rng, scene.owner, start, heading, 6, scene.unit, 0.25)
    drawn = strokes(scene.size, ribbon, rng.uniform(0.6, 1, len(cell)), 1.3 * scene.unit)
    return blur(drawn, 0.5 * scene.unit) * (1 - 0.8 * scene.nuclei)


def peroxisomes(rng: Random, scene: Scene) -> np.ndarray:
    """Many small dots of one size, all over the cytoplasm."""
    return _dots(rng, scene, 60, np.inf, (0.45, 0.55), (0.6, 1.0))


def endosomes(rng: Random, scene: Scene) -> np.ndarray:
    """Fewer dots of several sizes and levels, all over the cytoplasm."""
    return _dots(rng, scene, 20, 0.9, (0.7, 1.5), (0.35, 1.0))


def lysosomes(rng: Random, scene: Scene) -> np.ndarray:
    """Large blobs, crowded beside the nucleus."""
    return blur(_dots(rng, scene, 16, 0.2, (1.1, 2.1), (0.55, 1.0)), 0.5 * scene.unit)


def lipid_droplets(rng: Random, scene: Scene) -> np.ndarray:
    """Rings: proteins are on the surface of a droplet."""
    return _dots(rng, scene, 15, 0.4, (1.3, 2.6), (0.7, 1.0), ring=True)


def mitochondria(rng: Random, scene: Scene) -> np.ndarray:
    """Worms of uneven length, densest around the nucleus."""
    start = places(rng, cytoplasm(scene) * np.exp(-scene.beyond / (0.45 * _reach(scene))), 55 * len(scene.cells.centre))
    worms = grow(rng, scene.owner, start, 2 * np.pi * rng.random(len(start)), 9, scene.unit, 0.45)
    worms = Paths(worms.points, np.minimum(worms.lengths, rng.integers(3, 10, len(start))))
    return strokes(scene.size, worms, rng.uniform(0.45, 1, len(start)), 1.2 * scene.unit) * (1 - 0.9 * scene.nuclei)


def aggresome(rng: Random, scene: Scene) -> np.ndarray:
    """One large clump beside the nucleus."""
    middle = np.repeat(scene.cells.centrosome.mean(axis=1), 4)
    middle = middle + scene.unit * (rng.normal(0, 1.1, len(middle)) + 1j * rng.normal(0, 1.1, len(middle)))
    clump = discs(scene.size, middle, rng.uniform(1.6, 2.8, len(middle)) * scene.unit, 1.0)
    return blur(clump, 0.6 * scene.unit) + 0.08 * cytoplasm(scene)


def cytosol(rng: Random, scene: Scene) -> np.ndarray:
    """Even in the cytoplasm, with a few holes, little in the nucleus."""
    thick = 1 - np.exp(-scene.edge / (3 * scene.unit))
    holes = np.clip(noise(rng, scene.size, 1.2 * scene.unit) - 1.4, 0, 1)
    even = 0.72 + 0.08 * noise(rng, scene.size, 4 * scene.unit) - 0.5 * holes
    return cytoplasm(scene) * thick * even + 0.16 * scene.nuclei


def cytoplasmic_bodies(rng: Random, scene: Scene) -> np.ndarray:
    """A few distinct bright dots."""
    return _dots(rng, scene, 5, 0.8, (1.0, 1.6), (0.9, 1.0)) + 0.07 * cytoplasm(scene)


def rods_and_rings(rng: Random, scene: Scene) -> np.ndarray:
    """One to three straight rods or small rings a cell."""
    spots = places(rng, cytoplasm(scene) * (scene.edge > 3 * scene.unit), 2 * len(scene.cells.centre))
    rings = rng.random(len(spots)) < 0.5
    turn = np.exp(2j * np.pi * rng.random(len(spots))) * rng.uniform(3, 5, len(spots)) * scene.unit
    rods = Paths(np.stack([spots - turn, spots + turn], 1)[~rings], np.full(int((~rings).sum()), 2))
    drawn = strokes(scene.size, rods, 1.0, 1.4 * scene.unit)
    radii = rng.uniform(2.2, 3.4, int(rings.sum())) * scene.unit
    return np.maximum(drawn, discs(scene.size, spots[rings], radii, 1.0, ring=True)) + 0.05 * cytoplasm(scene)


def cytoplasm(scene: Scene) -> np.ndarray:
    """Return 0…1: in the cell and not in the nucleus."""
    return scene.inside * (1 - scene.nuclei)


def _reach(scene: Scene) -> np.ndarray:
    return scene.cells.radius[scene.nearest].astype(np.float32)


def _dots(
    rng: Random,
    scene: Scene,
    count: int,
    reach: float,
    radii: tuple[float, float],
    levels: tuple[float, float],
    ring: bool = False,
) -> np.ndarray:
    """Return ``count`` dots a cell, on average, rarer with the distance from the nucleus in cell radii."""
    weight = cytoplasm(scene) * np.exp(-np.maximum(scene.beyond, 0) / (reach * _reach(scene)))
    spots = places(rng, weight, count * len(scene.cells.centre))
    return discs(
        scene.size, spots, rng.uniform(*radii, len(spots)) * scene.unit, rng.uniform(*levels, len(spots)), ring
    )
