"""Proteins of the nucleus: classes 0 to 5."""

from __future__ import annotations

import numpy as np

from medkit_phantom_cells.brush import blur, discs, noise
from medkit_phantom_cells.scene import Random, Scene


def nucleoplasm(rng: Random, scene: Scene) -> np.ndarray:
    """All of the nucleus, finely grained, less in the nucleoli."""
    grain = 0.7 + 0.14 * noise(rng, scene.size, 1.3 * scene.unit)
    return scene.nuclei * (1 - 0.75 * scene.nucleolar) * grain


def nuclear_membrane(rng: Random, scene: Scene) -> np.ndarray:
    """A thin rim around the nucleus."""
    rim = np.exp(-((scene.beyond / (1.1 * scene.unit)) ** 2))
    return rim * (0.85 + 0.12 * noise(rng, scene.size, 2 * scene.unit)) + 0.1 * scene.nuclei


def nucleoli(rng: Random, scene: Scene) -> np.ndarray:
    """One to four round bodies in the nucleus, the same that the nucleoplasm leaves out."""
    bodies = discs(scene.size, *scene.nucleoli, rng.uniform(0.75, 1, len(scene.nucleoli[0])))
    return bodies + 0.08 * scene.nuclei


def fibrillar_center(rng: Random, scene: Scene) -> np.ndarray:
    """Small spots in clusters, two to five in each nucleolus."""
    times = rng.integers(2, 6, len(scene.nucleoli[0]))
    centres, radii = (np.repeat(values, times) for values in scene.nucleoli)
    offset = 0.75 * radii * np.sqrt(rng.random(len(radii))) * np.exp(2j * np.pi * rng.random(len(radii)))
    return discs(scene.size, centres + offset, 0.5 * scene.unit, rng.uniform(0.7, 1, len(radii))) + 0.07 * scene.nuclei


def nuclear_speckles(rng: Random, scene: Scene) -> np.ndarray:
    """Ten to twenty uneven spots, between the nucleoli."""
    spots = in_nuclei(rng, scene, 12, 24, 0.85)
    radii, levels = rng.uniform(0.6, 1.5, len(spots)) * scene.unit, rng.uniform(0.4, 1, len(spots))
    drawn = blur(discs(scene.size, spots, radii, levels), 0.4 * scene.unit)
    return (drawn + 0.16 * scene.nuclei) * (1 - 0.85 * scene.nucleolar)


def nuclear_bodies(rng: Random, scene: Scene) -> np.ndarray:
    """Two to six sharp dots."""
    spots = in_nuclei(rng, scene, 2, 7, 0.75)
    return discs(scene.size, spots, rng.uniform(0.8, 1.3, len(spots)) * scene.unit, 1.0) + 0.06 * scene.nuclei


def in_nuclei(rng: Random, scene: Scene, fewest: int, below: int, reach: float) -> np.ndarray:
    """Return points, so many in each nucleus, within ``reach`` half axes of its middle."""
    cells = scene.cells
    cell = np.repeat(np.arange(len(cells.centre)), rng.integers(fewest, below, len(cells.centre)))
    out, turn = reach * np.sqrt(rng.random(len(cell))), 2 * np.pi * rng.random(len(cell))
    return cells.turned(cell, out * np.cos(turn), out * np.sin(turn))
