"""Cells on a slide: where they, their nuclei and their microtubules are, whatever protein is stained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medkit_phantom_cells.brush import Paths

Random = np.random.Generator


@dataclass(frozen=True)
class Cells:
    """n cells; a cell and its nucleus are near-ellipses. Points are complex (see `medkit_phantom_cells.brush`).

    Attributes:
        centre: (n,) points.
        radius: (n,) pixels.
        nucleus: (n,) points.
        axes: (n,2) half axes of the nucleus, pixels.
        angle: (n,) of the nucleus.
        centrosome: (n,2) points: beside the nucleus, close together; the two poles of a cell in mitosis.
        mitotic: (n,) bool: the nucleus is a metaphase plate.
    """

    centre: np.ndarray
    radius: np.ndarray
    nucleus: np.ndarray
    axes: np.ndarray
    angle: np.ndarray
    centrosome: np.ndarray
    mitotic: np.ndarray

    def turned(self, cell: np.ndarray, along: np.ndarray, across: np.ndarray) -> np.ndarray:
        """Return points in nuclei, given in half axes."""
        local = along * self.axes[cell, 0] + 1j * across * self.axes[cell, 1]
        return self.nucleus[cell] + local * np.exp(1j * self.angle[cell])


@dataclass(frozen=True)
class Scene:
    """Cells and pictures of where things are, (H,W) float32 unless said otherwise.

    Attributes:
        size: H and W.
        unit: pixels in 1/128 of the width.
        cells: what is drawn.
        owner: int: the cell of each pixel, -1 outside.
        nearest: int: the same, the nearest cell outside.
        inside: 0…1, a smooth mask of the cells.
        nuclei: 0…1, of the nuclei.
        beyond: pixels from the edge of the nearest nucleus, negative in it.
        edge: pixels to the edge of the cell, 0 outside.
        contact: 0…1, where two cells touch.
        nucleoli: (centres, radii), one a nucleolus.
        nucleolar: 0…1, of the nucleoli.
        microtubules: between nucleus and edge.
        spindle: from the poles to the plate, in mitotic cells.
        bridge: between two daughter cells; no paths where there are none.
    """

    size: int
    unit: float
    cells: Cells
    owner: np.ndarray
    nearest: np.ndarray
    inside: np.ndarray
    nuclei: np.ndarray
    beyond: np.ndarray
    edge: np.ndarray
    contact: np.ndarray
    nucleoli: tuple[np.ndarray, np.ndarray]
    nucleolar: np.ndarray
    microtubules: Paths
    spindle: Paths
    bridge: Paths
