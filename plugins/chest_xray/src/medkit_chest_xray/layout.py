"""What is common to both layouts: one row an image."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from medkit_chest_xray.tables import Boxes


@dataclass(frozen=True, slots=True)
class Layout:
    """A data set as its tables describe it; N images, M findings.

    Attributes:
        table: the label table, for messages.
        images: the N names, as in the table.
        patients: the N patient ids.
        sections: the N given sections: ``training``, ``validation``, ``test``, ``train_val`` or, where none is given,
            an empty text.
        names: the M findings that the table knows.
        labels: (N,M) float32: 1, 0, or NaN for unknown.
        paths: the files that are there, by the names used in ``images``.
        boxes: as drawn.
        frame_size: (rows, columns) of the frame, where it is not each file's own size.
        partial: it is usual that only some of the images are there.
        synthetic: the N images that the table says a program made.
    """

    table: Path
    images: list[str]
    patients: list[str]
    sections: list[str]
    names: tuple[str, ...]
    labels: np.ndarray
    paths: dict[str, str]
    boxes: Boxes
    frame_size: tuple[int, int] | None
    partial: bool
    synthetic: list[bool] = field(default_factory=list)
