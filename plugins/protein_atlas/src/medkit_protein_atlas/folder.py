"""The data set `protein_atlas_folder`: new images, without labels."""

from __future__ import annotations

from pathlib import Path

from medkit.contracts import IMAGE, PATIENT, Sample
from medkit.errors import ConfigError, DataError, did_you_mean
from medkit.folds import SECTIONS
from medkit_protein_atlas.layout import ANCHOR, file_name, find_images


def protein_atlas_folder(dataset_dir: str, section: str = "all") -> list[Sample]:
    """Return every image of a folder by name, its files counting as one; no table is needed.

    A sample has ``image`` and ``patient_id`` as those of `protein_atlas`, and no label. An image that lacks a colour
    becomes an error record when it is read.

    Args:
        dataset_dir: the folder, or the one that holds it as ``train/``.
        section: ``training``, ``validation``, ``test`` or ``all``, which are the same: a folder has no split.

    Raises:
        ConfigError: there is no such section.
        DataError: there is no such folder, or it holds no image.
    """
    if section not in (known := (*SECTIONS, "all")):
        raise ConfigError(f'section "{section}" is unknown.{did_you_mean(section, known)} Choices: {", ".join(known)}.')
    folder = Path(dataset_dir).expanduser().resolve()
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder: give the path of the images")
    place, there = find_images(folder)
    return [{IMAGE: str(place / file_name(there[name][0], ANCHOR)), PATIENT: name} for name in sorted(there)]
