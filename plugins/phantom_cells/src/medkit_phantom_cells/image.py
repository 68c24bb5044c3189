"""One image: the four channels of a slide, as a microscope shows them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from medkit_phantom_cells import filaments, nuclear, organelles
from medkit_phantom_cells.brush import blur, noise
from medkit_phantom_cells.classes import CLASSES
from medkit_phantom_cells.scene import Random, Scene
from medkit_phantom_cells.slide import draw_scene

CHANNELS = ("red", "green", "blue", "yellow")
PATTERNS: tuple[Callable[[Random, Scene], np.ndarray], ...] = (
    nuclear.nucleoplasm,
    nuclear.nuclear_membrane,
    nuclear.nucleoli,
    nuclear.fibrillar_center,
    nuclear.nuclear_speckles,
    nuclear.nuclear_bodies,
    organelles.endoplasmic_reticulum,
    organelles.golgi_apparatus,
    organelles.peroxisomes,
    organelles.endosomes,
    organelles.lysosomes,
    filaments.intermediate_filaments,
    filaments.actin_filaments,
    filaments.focal_adhesion_sites,
    filaments.microtubules,
    filaments.microtubule_ends,
    filaments.cytokinetic_bridge,
    filaments.mitotic_spindle,
    filaments.organizing_center,
    filaments.centrosome,
    organelles.lipid_droplets,
    filaments.plasma_membrane,
    filaments.cell_junctions,
    organelles.mitochondria,
    organelles.aggresome,
    organelles.cytosol,
    organelles.cytoplasmic_bodies,
    organelles.rods_and_rings,
)
"""In the order of the classes: each gives a (size,size) picture near 0…1 of where the protein is."""
_BRIDGE, _SPINDLE, _JUNCTIONS = (CLASSES.index(n) for n in ("Cytokinetic bridge", "Mitotic spindle", "Cell junctions"))
_DIVIDING = 0.06
"""Share of the other images that show a cell in mitosis, and of those that show two daughters."""


def draw_image(seed: int, number: int, classes: list[int], size: int) -> tuple[Scene, np.ndarray]:
    """Return what was put on the slide, and (4,size,size) uint8: red, green, blue, yellow.

    Args:
        seed: of the whole set.
        number: of the image; with ``seed`` decides everything that the classes leave open.
        classes: the patterns of the protein, 0…27.
        size: rows and columns.
    """
    rng = np.random.default_rng([seed, 301, number])
    chance = rng.random(2) < _DIVIDING
    scene = draw_scene(
        rng, size, _SPINDLE in classes or chance[0], _BRIDGE in classes or chance[1], _JUNCTIONS in classes
    )
    pictures = _red(rng, scene), _green(rng, scene, classes), _blue(rng, scene), _yellow(rng, scene)
    dim = (0.6, 0.4, 0.6, 0.5)  # the protein's brightness varies most
    return scene, np.stack([_exposed(rng, picture, scene.unit, low) for picture, low in zip(pictures, dim)])


def _red(rng: Random, scene: Scene) -> np.ndarray:
    return 0.85 * filaments.microtubules(rng, scene) + 0.1 * organelles.cytoplasm(scene)


def _green(rng: Random, scene: Scene, classes: list[int]) -> np.ndarray:
    """Return the sum of the patterns; cells differ, and some make little of the protein."""
    weights = rng.uniform(0.45, 1, len(classes))
    weights /= weights.max()
    patterns = sum(weight * PATTERNS[k](rng, scene) for k, weight in zip(classes, weights))
    made = np.exp(rng.normal(0, 0.25, len(scene.cells.centre)))
    made[rng.random(len(made)) < 0.12] *= 0.35
    made /= made.max()
    haze = rng.uniform(0, 0.08) * scene.inside
    return patterns * made.astype(np.float32)[scene.nearest] + haze


def _blue(rng: Random, scene: Scene) -> np.ndarray:
    """Return nuclei with chromatin, darker in the nucleoli, brightest where chromosomes are condensed."""
    level = np.where(scene.cells.mitotic, 1.0, rng.uniform(0.5, 0.8, len(scene.cells.centre))).astype(np.float32)
    chromatin = 0.9 + 0.13 * noise(rng, scene.size, 1.6 * scene.unit)
    return scene.nuclei * level[scene.nearest] * chromatin * (1 - 0.4 * scene.nucleolar)


def _yellow(rng: Random, scene: Scene) -> np.ndarray:
    return 0.85 * organelles.endoplasmic_reticulum(rng, scene)


def _exposed(rng: Random, picture: np.ndarray, unit: float, dim: float) -> np.ndarray:
    """Return uint8: blurred by the optics, with a background, photon and read noise, at some exposure."""
    seen = blur(np.asarray(picture, np.float32), unit * rng.uniform(0.4, 0.75)) + rng.uniform(0, 0.03)
    grain = rng.standard_normal((2, *seen.shape), np.float32)
    seen = seen + grain[0] * np.sqrt(np.maximum(seen, 0) / rng.uniform(100, 500)) + 0.012 * grain[1]
    return np.rint(255 * np.clip(seen * rng.uniform(dim, 1.15), 0, 1)).astype(np.uint8)
