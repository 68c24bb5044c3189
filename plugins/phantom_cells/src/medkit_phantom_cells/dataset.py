"""The data set `phantom_cells`: fluorescence microscopy made by a program, with known patterns of the protein."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medkit.contracts import IMAGE, LABEL, PATIENT, SYNTHETIC, Sample
from medkit.errors import ConfigError, did_you_mean
from medkit.folds import SECTIONS
from medkit.tables import read_csv
from medkit_phantom_cells.classes import CLASSES
from medkit_phantom_cells.folder import DIVISION, TABLE, Options, ensure_folder, image_path

_SIZES = (64, 1024)


def phantom_cells(
    dataset_dir: str,
    section: str,
    *,
    images: int = 1000,
    size: int = 128,
    minimum: int = 10,
    seed: int = 0,
    evaluated: int = 0,
    limit: int | None = None,
    quiet: bool = False,
) -> list[Sample]:
    """Return one section: ``image`` (the green file), ``label`` (28,) float32, ``patient_id``, ``synthetic`` True.

    The first call draws all images and writes them under ``dataset_dir`` in the layout of *Human Protein Atlas Image
    Classification* (see `medkit_phantom_cells.folder`); later calls read them. The same options give the same bytes.
    The other channels lie beside the green one; the data set `protein_atlas` reads all four.

    Args:
        dataset_dir: an empty or new folder, or one that an earlier call with the same options made.
        section: ``training`` (70 %), ``validation`` (10 %), ``test`` (20 %) or ``all``. Every class is divided so,
            to within one image in validation and test.
        images: in all, at least 28 ``minimum``.
        size: rows and columns, 64 to 1024.
        minimum: images of every class at least; the other counts are as skewed as the real ones. From 10 on every
            section has every class; 100, with 2,800 images, gives each class 10 validation positives.
        seed: other seeds give other cells.
        evaluated: images of every class at least in validation, and in test, while training keeps the real skew: 10
            needs ``images`` from 2,800 on. 0: every section has its share of each class.
        limit: at most this many samples, spread evenly over the section.
        quiet: show no progress bar.

    Raises:
        ConfigError: an option is out of range.
        DataError: the folder holds something else.
    """
    if section not in (*SECTIONS, "all"):
        hint = did_you_mean(section, (*SECTIONS, "all"))
        raise ConfigError(f'phantom_cells has no section "{section}".{hint} Choices: {", ".join(SECTIONS)}, all.')
    if seed < 0 or evaluated < 0 or minimum < 1 or not _SIZES[0] <= size <= _SIZES[1]:
        raise ConfigError(
            f"phantom_cells needs seed ≥ 0, evaluated ≥ 0, minimum ≥ 1 and size {_SIZES[0]} to {_SIZES[1]}; "
            f"got {seed}, {evaluated}, {minimum} and {size}"
        )
    if limit is not None and limit < 1:
        raise ConfigError(f"phantom_cells: limit must be at least 1, found {limit}")
    if images < (fewest := len(CLASSES) * minimum):
        raise ConfigError(
            f"phantom_cells: {minimum} images of each of {len(CLASSES)} classes need images ≥ {fewest}, got {images}: "
            "ask for more images or a lower minimum"
        )
    if images < (fewest := 10 * len(CLASSES) * evaluated):
        raise ConfigError(
            f"phantom_cells: {evaluated} images of each of {len(CLASSES)} classes in validation, a tenth of all, need "
            f"images ≥ {fewest}, got {images}: ask for more images or a lower evaluated"
        )
    folder = Path(dataset_dir).expanduser().resolve()
    ensure_folder(folder, Options(images, size, minimum, seed, evaluated), quiet)
    chosen = {row["Id"] for row in read_csv(folder / DIVISION) if section in (row["section"], "all")}
    rows = [row for row in read_csv(folder / TABLE) if row["Id"] in chosen]
    if limit is not None and limit < len(rows):
        rows = [rows[i * len(rows) // limit] for i in range(limit)]
    return [
        {
            IMAGE: str(image_path(folder, row["Id"], "green")),
            LABEL: np.isin(np.arange(len(CLASSES)), [int(k) for k in row["Target"].split()]).astype(np.float32),
            PATIENT: row["Id"],
            SYNTHETIC: True,
        }
        for row in rows
    ]
