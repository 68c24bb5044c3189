"""A good data set of empty files, and ones with one mistake each."""

import random
from pathlib import Path

import numpy as np

from medkit.errors import ConfigError, DataError

SECTIONS = {"training": range(12), "validation": range(12, 18), "test": range(18, 24), "all": range(24)}


def good(dataset_dir, section):
    """Return 24 images of 12 patients."""
    folder = Path(dataset_dir).resolve()
    if not folder.is_dir():
        raise DataError(f"{folder} is not there: give the folder of the images")
    if section not in SECTIONS:
        raise ConfigError(f"section {section} is unknown")
    return [
        {
            "image": str(folder / f"{n}.png"),
            "label": np.array([n % 2, np.nan], np.float32),
            "boxes": np.array([[0, 1, 2, 3, 4]] * (n % 2), np.float32).reshape(-1, 5),
            "mask": [],
            "patient_id": f"p{n // 2}",
            "synthetic": True,
        }
        for n in SECTIONS[section]
    ]


def _changed(dataset_dir, section, **changes):
    return [{**sample, **changes} for sample in good(dataset_dir, section)]


def shared_patients(dataset_dir, section):
    """Return them, three images a patient: the sections cut through one."""
    return [{**s, "patient_id": f"p{int(Path(s['image']).stem) // 5}"} for s in good(dataset_dir, section)]


def shared_images(dataset_dir, section):
    """Return them without patients, some images twice."""
    samples = good(dataset_dir, section) + (good(dataset_dir, "training")[:1] if section == "test" else [])
    return [{key: value for key, value in s.items() if key != "patient_id"} for s in samples]


def shuffled(dataset_dir, section):
    """Return them in another order each time."""
    samples = good(dataset_dir, section)
    return random.sample(samples, len(samples))


def relative_paths(dataset_dir, section):
    """Return them with names for paths."""
    return [{**s, "image": Path(s["image"]).name} for s in good(dataset_dir, section)]


def integer_labels(dataset_dir, section):
    """Return them with labels that cannot be unknown."""
    return _changed(dataset_dir, section, label=np.array([0, 1]))


def minus_one_for_unknown(dataset_dir, section):
    """Return them as some tables write it."""
    return _changed(dataset_dir, section, label=np.array([0, -1], np.float32))


def width_and_height_in_boxes(dataset_dir, section):
    """Return them with x, y, width, height."""
    return _changed(dataset_dir, section, boxes=np.array([[0, 50, 60, 10, 20]], np.float32))


def numbers_for_patients(dataset_dir, section):
    """Return them with numbers for ids."""
    return [{**s, "patient_id": int(s["patient_id"][1:])} for s in good(dataset_dir, section)]


def empty_where_missing(dataset_dir, section):
    """Return nothing where there is no folder."""
    return good(dataset_dir, section) if Path(dataset_dir).is_dir() else []


def any_section(dataset_dir, section):
    """Return everything for a name that it does not know."""
    return good(dataset_dir, section if section in SECTIONS else "all")


def lambdas(dataset_dir, section):
    """Return them with a way to read them."""
    return _changed(dataset_dir, section, read=lambda path: path)


def all_but_test(dataset_dir, section):
    """Return less than everything for all."""
    return good(dataset_dir, section)[: 18 if section == "all" else None]


def generator(dataset_dir, section):
    """Return them one by one."""
    return iter(good(dataset_dir, section))
