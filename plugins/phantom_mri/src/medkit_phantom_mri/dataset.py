"""The data set `phantom_mri`: brain MRI made by a program, with and without tumours, and with planted duplicates."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medkit.contracts import IMAGE, LABEL, PATIENT, SYNTHETIC, Sample
from medkit.errors import ConfigError, did_you_mean
from medkit.folds import SECTIONS, Split, make_folds
from medkit.tables import read_csv
from medkit_phantom_mri.folder import IMAGES, Options, ensure_folder

CLASSES = ("no", "yes")
"""In the order of the label."""
_FEWEST_IMAGES = 40
"""So that each section of five folds has both classes."""


def phantom_mri(
    dataset_dir: str,
    section: str,
    *,
    images: int = 250,
    duplicates: float = 0.3,
    tumours: float = 0.6,
    size: int = 256,
    volumes: int = 0,
    seed: int = 0,
    folds: int = 5,
    fold: int = 0,
    split: Split = "grouped",
    folds_csv: str | None = None,
    quiet: bool = False,
) -> list[Sample]:
    """Return one section: ``image``, ``label`` ((2,) float32, one-hot over no, yes), ``patient_id``, ``synthetic``.

    The first call draws everything and writes it under ``dataset_dir`` in the layout of *Brain MRI Images for Brain
    Tumor Detection* (see `medkit_phantom_mri.folder`); later calls read it. The same options give the same bytes.
    Sections are by patient, who are known here; the data set `brain_mri` reads the same folder and has to find them.

    Samples also have ``slice`` -1 and ``plane`` empty, as the bitmaps of `brain_mri` do, whose transforms can follow.
    Volumes are not among the samples: `brain_mri` cuts them.

    Args:
        dataset_dir: an empty or new folder, or one that an earlier call with the same options made.
        section: ``training``, ``validation``, ``test`` or ``all``.
        images: in all.
        duplicates: the share of them that are copies of others, listed in ``planted_duplicates.csv``.
        tumours: the share of them that show a tumour.
        size: pixels a side.
        volumes: how many patients are written as NIfTI, MetaImage and DICOM besides, every other with a tumour.
        seed: other seeds give other patients, and another division.
        folds: K; fold k is the test set, k+1 the validation set, the rest the training set.
        fold: k.
        split: ``grouped``, or ``random``, which lets copies of one image fall on both sides.
        folds_csv: where the division is written, to be read by people and tables; it follows from the options.
        quiet: show no progress bar.

    Raises:
        ConfigError: an option is out of range.
        DataError: the folder holds something else.
    """
    if section not in (*SECTIONS, "all"):
        hint = did_you_mean(section, (*SECTIONS, "all"))
        raise ConfigError(f'phantom_mri has no section "{section}".{hint} Choices: {", ".join(SECTIONS)}, all.')
    if images < _FEWEST_IMAGES or seed < 0 or volumes < 0 or not 32 <= size <= 1024:
        raise ConfigError(
            f"phantom_mri needs images ≥ {_FEWEST_IMAGES}, seed ≥ 0, volumes ≥ 0 and size 32…1024; "
            f"got {images}, {seed}, {volumes} and {size}"
        )
    if not (0 <= duplicates <= 0.6 and 0.2 <= tumours <= 0.8):
        raise ConfigError(f"phantom_mri needs duplicates 0…0.6 and tumours 0.2…0.8; got {duplicates} and {tumours}")
    folder = Path(dataset_dir).expanduser().resolve()
    ensure_folder(folder, Options(images, duplicates, tumours, size, volumes, seed), quiet)
    rows = read_csv(folder / IMAGES)
    columns = {name: [row[name] for row in rows] for name in ("image", "patient_id", "label")}
    divided = make_folds(columns["image"], columns["patient_id"], columns["label"], folds, seed, split)
    if folds_csv:
        divided.write(folds_csv)
    return [
        {
            IMAGE: str(folder / columns["image"][n]),
            LABEL: np.eye(2, dtype=np.float32)[CLASSES.index(columns["label"][n])],
            PATIENT: columns["patient_id"][n],
            SYNTHETIC: True,
            "slice": -1,
            "plane": "",
        }
        for n in divided.section(section, fold).tolist()
    ]
