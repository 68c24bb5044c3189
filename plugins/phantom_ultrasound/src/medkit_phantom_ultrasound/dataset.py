"""The data set `phantom_ultrasound`: breast ultrasound made by a program, with known lesions."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from medkit.contracts import IMAGE, LABEL, MASK, PATIENT, SYNTHETIC, Sample
from medkit.errors import ConfigError, did_you_mean
from medkit.folds import HELD_OUT, SECTIONS, Split, make_folds, spread
from medkit.tables import read_csv
from medkit_phantom_ultrasound.folder import TABLE, ensure_folder
from medkit_phantom_ultrasound.lesion import CLASSES

TASKS = {"classification": CLASSES, "segmentation": CLASSES, "tumour": ("tumour", "no tumour")}
"""What is asked for, and the classes of the label, in order."""
_FEWEST_IMAGES, _SIZES = 80, (64, 1024)


def phantom_ultrasound(
    dataset_dir: str,
    section: str,
    *,
    images: int = 240,
    size: int = 256,
    seed: int = 0,
    folds: int = 5,
    fold: int = 0,
    split: Split = "grouped",
    without: int | None = None,
    share: float = 1.0,
    folds_csv: str | None = None,
    task: Literal["classification", "segmentation", "tumour"] = "classification",
    quiet: bool = False,
) -> list[Sample]:
    """Return samples of one section: ``image``, ``label`` (K,) one-hot, ``mask``, ``patient_id``, ``synthetic`` True.

    The first call draws all images and writes them under ``dataset_dir`` (see `medkit_phantom_ultrasound.folder`);
    later calls read them. The same options give the same bytes. Sections are by patient, like those of a real set.

    Args:
        dataset_dir: an empty or new folder, or one that an earlier call with the same options made.
        section: ``training``, ``validation``, ``test``, ``all`` of these, ``held_out``: what ``without`` takes away, or
            ``inbox``: 12 new patients' images, for which nobody drew a mask.
        images: in training, validation and test together; classes are shared out as in BUSI.
        size: rows and columns, 64 to 1024.
        seed: other seeds give other patients.
        folds: K, at least 3.
        fold: which one is tested; the next one validates.
        split: ``random`` ignores that two images may show one patient.
        without: 0…K-3: leave this one of the training folds out of the training set.
        share: this part of the training section, spread evenly over it, for learning curves.
        folds_csv: where the division is written, to be read by people and tables; it follows from the options.
        task: ``tumour`` merges the label to one-hot (tumour, no tumour); the others keep (benign, malignant, normal).
        quiet: show no progress bar.

    Raises:
        ConfigError: an option is out of range.
        DataError: the folder holds something else.
    """
    sections = (*SECTIONS, "all", HELD_OUT, "inbox")
    if section not in sections:
        raise ConfigError(f'phantom_ultrasound has no section "{section}": give one of {", ".join(sections)}')
    if task not in TASKS:
        raise ConfigError(f'task "{task}" is unknown.{did_you_mean(task, TASKS)} Choices: {", ".join(TASKS)}.')
    if images < _FEWEST_IMAGES or seed < 0 or not _SIZES[0] <= size <= _SIZES[1]:
        raise ConfigError(
            f"phantom_ultrasound needs images ≥ {_FEWEST_IMAGES}, seed ≥ 0 and size {_SIZES[0]} to {_SIZES[1]}; "
            f"got {images}, {seed} and {size}"
        )
    folder = Path(dataset_dir).expanduser().resolve()
    ensure_folder(folder, images, size, seed, quiet)
    rows = [row for row in read_csv(folder / TABLE) if row["image"].startswith("inbox/") == (section == "inbox")]
    if section != "inbox":
        columns = ([row[name] for row in rows] for name in ("image", "patient_id", "class"))
        division = make_folds(*columns, folds=folds, seed=seed, split=split)
        if folds_csv:
            division.write(folds_csv)
        rows = [rows[n] for n in division.section(section, fold, without)]
    if section == "training":
        rows = [rows[n] for n in spread(len(rows), share)]
    return [_sample(folder, row, task) for row in rows]


def _sample(folder: Path, row: dict[str, str], task: str) -> Sample:
    kind = row["class"] if task != "tumour" else "no tumour" if row["class"] == "normal" else "tumour"
    sample: Sample = {
        IMAGE: str(folder / row["image"]),
        LABEL: np.array([kind == name for name in TASKS[task]], np.float32),
        PATIENT: row["patient_id"],
        SYNTHETIC: True,
    }
    if row["masks"]:
        sample[MASK] = [str(folder / name) for name in row["masks"].split("|")]
    return sample
