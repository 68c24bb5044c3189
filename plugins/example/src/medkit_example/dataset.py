"""Images that are sorted into folders: the layout of many public data sets, and of torchvision's ImageFolder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medkit.contracts import IMAGE, LABEL, PATIENT, Sample
from medkit.errors import ConfigError, DataError, did_you_mean

SECTIONS = ("training", "validation", "test")


def class_folders(dataset_dir: str, section: str, *, classes: Sequence[str] | None = None) -> list[Sample]:
    """Return the images of ``dataset_dir/SECTION/CLASS/``, by class, then by name; hidden files are left out.

    A sample has ``image`` (absolute path), ``label`` ((K,) float32, one-hot) and ``patient_id`` (the path below
    ``dataset_dir``: nothing says which images are of one patient, so keep those in one section).

    Args:
        dataset_dir: the folder.
        section: ``training``, ``validation``, ``test`` or ``all``.
        classes: names of the K folders, in the order of the labels; default: those of ``training``, sorted.

    Raises:
        ConfigError: the section's name is wrong.
        DataError: a folder is missing or holds no image.

    Example:
        ```yaml
        data: {_target_: medkit.dataset, component: class_folders, section: training, dataset_dir: "@dataset_dir"}
        ```
    """
    if section not in (known := (*SECTIONS, "all")):
        raise ConfigError(f'section "{section}" is unknown.{did_you_mean(section, known)} One of: {", ".join(known)}')
    root = Path(dataset_dir).expanduser().absolute()
    names = list(classes) if classes is not None else sorted(f.name for f in (root / "training").glob("[!.]*/"))
    if not names:
        raise DataError(f"{root / 'training'} holds no folders: make one a class")
    one_hot = np.eye(len(names), dtype=np.float32)
    samples: list[Sample] = []
    for part in SECTIONS if section == "all" else (section,):
        for name, label in zip(names, one_hot):
            files = sorted((root / part / name).glob("[!.]*"))
            if not files:
                raise DataError(f"{root / part / name} holds no image: put those of {name} there, or remove the class")
            samples += [{IMAGE: str(file), LABEL: label, PATIENT: str(file.relative_to(root))} for file in files]
    return samples
