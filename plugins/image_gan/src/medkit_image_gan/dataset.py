"""The images of a generator, to be added to real ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medkit import contracts as c
from medkit.errors import ConfigError, DataError, did_you_mean
from medkit.tables import read_csv
from medkit_image_gan.writer import MARK


def generated(dataset_dir: str, section: str = "training", *, findings: Sequence[str]) -> list[c.Sample]:
    """Return the samples that the handler ``generated_images`` wrote, ``synthetic`` true, in the order of its table.

    Add them to real ones of training: ``"$@labelled + @generated"``.

    Args:
        dataset_dir: the handler's ``output_dir``.
        section: ``training`` or ``all``: generated images are for nothing else.
        findings: the K classes, in the order of the label; unknown ones are NaN.

    Raises:
        ConfigError: another section.
        DataError: no table, no row, a finding that it lacks, or a file that is missing or not one of the handler's.
    """
    if section not in ("training", "all"):
        raise ConfigError(f'section "{section}" of generated images: they are for training only')
    folder = Path(dataset_dir)
    rows = read_csv(folder / "labels.csv")
    if not rows:
        raise DataError(f"{folder / 'labels.csv'} names no generated image: run generated_images, see copy_check.json")
    for name in findings:
        if name not in rows[0]:
            hint = did_you_mean(name, rows[0])
            raise DataError(f'{folder / "labels.csv"} has no column "{name}".{hint} Generate with the same findings')
    samples = []
    for row in rows:
        path = folder / "images" / row["image"]
        if not row["image"].startswith(MARK) or not path.is_file():
            raise DataError(f"{path} is not there or no generated image: run generated_images again")
        label = np.array([float(row[name] or "nan") for name in findings], np.float32)
        samples.append({c.IMAGE: str(path), c.LABEL: label, c.PATIENT: row["patient_id"], c.SYNTHETIC: True})
    return samples
