"""Who is in which section: by patient, never one patient in two."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from medkit.errors import ConfigError, DataError

TRAINING, VALIDATION, TEST, TRAIN_VAL = "training", "validation", "test", "train_val"
SECTIONS = (TRAINING, VALIDATION, TEST)
GIVEN_SECTIONS = {
    **{name: name for name in (*SECTIONS, TRAIN_VAL, "")},
    "train": TRAINING,
    "val": VALIDATION,
    "valid": VALIDATION,
}
"""What a table may say, and what it means; an empty text leaves all three sections to the split."""


class Split(NamedTuple):
    """Every image of a data set with its section.

    Attributes:
        rows: (image, patient, section), in the order of the table.
        fingerprint: SHA-256 of the sorted rows: equal where and only where the split is.
    """

    rows: list[tuple[str, str, str]]
    fingerprint: str


def divide(
    images: Sequence[str],
    patients: Sequence[str],
    given: Sequence[str],
    validation_fraction: float,
    test_fraction: float,
    split_seed: int,
) -> Split:
    """Return a section for every image.

    A patient's place follows from a hash of ``split_seed`` and the patient's id alone, so nobody changes sides when a
    data set grows or a file is missing. Given sections are kept; ``train_val`` is divided by ``validation_fraction``.

    Raises:
        ConfigError: fractions outside 0…1.
        DataError: an image twice, or a patient in two sections.
    """
    for name, value in (("validation_fraction", validation_fraction), ("test_fraction", test_fraction)):
        if not 0 <= value < 1:
            raise ConfigError(f"{name} must be at least 0 and below 1, found {value}")
    if validation_fraction + test_fraction >= 1:
        raise ConfigError("validation_fraction and test_fraction together leave nothing to train on")
    rows: list[tuple[str, str, str]] = []
    seen: set[str] = set()
    section_of: dict[str, tuple[str, str]] = {}
    for number, (image, patient, section) in enumerate(zip(images, patients, given), start=2):
        if image in seen:
            raise DataError(f"{image} is in the table twice, the second time in row {number}: remove one")
        seen.add(image)
        if patient not in section_of:
            section_of[patient] = section, _place(patient, section, validation_fraction, test_fraction, split_seed)
        elif section_of[patient][0] != section:
            # a patient id is patient data: the row says enough
            both = " and ".join(name or "no section" for name in (section_of[patient][0], section))
            raise DataError(f"the patient of {image} (row {number}) is in two sections, {both}: choose one")
        rows.append((image, patient, section_of[patient][1]))
    digest = hashlib.sha256("\n".join("\t".join(row) for row in sorted(rows)).encode())
    return Split(rows, digest.hexdigest())


def _place(patient: str, given: str, validation_fraction: float, test_fraction: float, split_seed: int) -> str:
    if given in SECTIONS:
        return given
    digest = hashlib.sha256(f"{split_seed}:{patient}".encode()).digest()
    position = int.from_bytes(digest[:8], "big") / 2**64
    if position < validation_fraction:
        return VALIDATION
    if given != TRAIN_VAL and position >= 1 - test_fraction:
        return TEST
    return TRAINING
