"""Chest X-rays with findings, boxes and patient-level sections."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from medkit.contracts import BOXES, FRAME_SIZE, IMAGE, LABEL, PATIENT, SYNTHETIC, Sample
from medkit.errors import ConfigError, DataError, did_you_mean
from medkit_chest_xray import folder, nih
from medkit_chest_xray.findings import CHESTXRAY8, CHESTXRAY14, checked, spelling
from medkit_chest_xray.layout import Layout
from medkit_chest_xray.split import SECTIONS, Split, divide

logger = logging.getLogger(__name__)


def chest_xray(
    dataset_dir: str,
    section: str,
    *,
    findings: Sequence[str] = CHESTXRAY8,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
    split_seed: int = 0,
    other_findings: Literal["negative", "drop"] = "negative",
    missing: Literal["auto", "error", "skip"] = "auto",
    limit: int | None = None,
    labels_csv: str | None = None,
    boxes_csv: str | None = None,
) -> list[Sample]:
    """Return one section as a list of samples, in the order of the table.

    Two layouts are recognised by their files. **NIH ChestX-ray14**: ``Data_Entry_2017_v2020.csv[.gz]`` (or the older
    ``Data_Entry_2017.csv``), ``train_val_list.txt``, ``test_list.txt``, optionally ``BBox_List_2017.csv``, and
    images in ``images/`` or ``images_001/images/`` …; ``test`` is the official list. **A folder with a label table**:
    ``labels.csv`` with a column ``image``, and findings either as columns of 1, 0 and blank (unknown) or as one column
    ``Finding Labels`` such as ``Mass|Nodule`` or ``No Finding`` (blank: unknown); optionally ``patient_id``,
    ``section``, ``synthetic`` (1: a program made the image) and a second table ``boxes.csv`` (``image, finding, x_min,
    y_min, x_max, y_max``, original pixels).

    Each sample has ``image`` (absolute path), ``label`` ((K,) float32: 1, 0, NaN for unknown), ``patient_id``,
    ``synthetic`` and, where boxes were drawn, ``boxes`` ((N,5) float32 ``class index, x_min, y_min, x_max, y_max``).
    NIH's files may be reduced; their boxes refer to 1024×1024, which ``frame_size`` says.

    **What absent boxes mean.** NIH's radiologists drew boxes for 880 images, all of them in the test list, and for one
    finding an image as a rule: other images have no key ``boxes``, and a boxed image may show another finding that
    nobody boxed. Count a finding on such an image only where it has a box. With a ``boxes.csv``, an image without rows
    has an empty (0,5) array: it was looked at and has none.

    **What 0 means for findings that are left out.** With fewer than fourteen findings, an image that shows only others
    (Edema, for instance) has a label of zeros like a "No Finding" image; ``other_findings="drop"`` leaves it out.

    Args:
        dataset_dir: the folder.
        section: ``training``, ``validation``, ``test`` or ``all``.
        findings: the K classes, in the order of the label; NIH's fourteen, or any that the table has.
        validation_fraction: share of the patients that are neither test patients nor given a section.
        test_fraction: share of the patients, used only where the table gives no sections.
        split_seed: another seed, another division.
        other_findings: keep images that show only findings outside ``findings`` as negative, or drop them.
        missing: ``skip`` leaves out images whose file is not there, ``error`` raises; ``auto`` skips in NIH's layout,
            where a part of the 112,120 images is usual, and raises in a folder with its own table.
        limit: at most this many samples, spread evenly over the section: for trying things out.
        labels_csv: label table inside ``dataset_dir``; where given, NIH's layout is not looked for.
        boxes_csv: box table inside ``dataset_dir``; default ``boxes.csv``, else ``BBox_List_2017.csv``, if there.

    Raises:
        ConfigError: an option has no such value, or NIH has no such finding.
        DataError: a table or image is missing or wrong, a patient is in two sections, or nothing is left.

    Reference:
        Wang, Peng, Lu, Lu, Bagheri, Summers 2017, CVPR, doi:10.1109/CVPR.2017.369.
    """
    _one_of("section", section, (*SECTIONS, "all"))
    _one_of("other_findings", other_findings, ("negative", "drop"))
    _one_of("missing", missing, ("auto", "error", "skip"))
    if limit is not None and limit < 1:
        raise ConfigError(f"limit must be at least 1, found {limit}")
    classes = checked(findings)
    layout = _read(Path(dataset_dir), classes, labels_csv, boxes_csv)
    split = divide(layout.images, layout.patients, layout.sections, validation_fraction, test_fraction, split_seed)
    chosen = [n for n, (_, _, place) in enumerate(split.rows) if section in (place, "all")]
    if not chosen:
        raise DataError(
            f'section "{section}" of {layout.table.name} is empty ({len(layout.images)} images, '
            f"{len(set(layout.patients))} patients): change split_seed or the fractions, or the table's sections"
        )
    chosen = _present(layout, chosen, section, skip=missing == "skip" or (missing == "auto" and layout.partial))
    columns = _columns(layout, classes)
    if other_findings == "drop":
        rest = [m for m in range(len(layout.names)) if m not in columns]
        shows = layout.labels == 1
        only_others = shows[:, rest].any(axis=1) & ~shows[:, columns].any(axis=1)
        chosen = [n for n in chosen if not only_others[n]]
        if not chosen:
            raise DataError(f'every image of section "{section}" shows other findings only: other_findings="negative"')
    if limit is not None and limit < len(chosen):
        chosen = [chosen[i * len(chosen) // limit] for i in range(limit)]
    return _samples(layout, chosen, columns, classes)


def split_table(
    dataset_dir: str,
    *,
    findings: Sequence[str] = CHESTXRAY8,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
    split_seed: int = 0,
    labels_csv: str | None = None,
) -> Split:
    """Return (image, patient, section) of every image of the table, and a SHA-256 of that; see `chest_xray`.

    The split does not depend on which files are there, except that without patient ids exact duplicates share one.
    """
    layout = _read(Path(dataset_dir), checked(findings), labels_csv, None)
    return divide(layout.images, layout.patients, layout.sections, validation_fraction, test_fraction, split_seed)


def _one_of(option: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        hint = did_you_mean(str(value), choices)
        raise ConfigError(f'{option} "{value}" is unknown.{hint} Choices: {", ".join(choices)}.')


def _read(path: Path, findings: Sequence[str], labels_csv: str | None, boxes_csv: str | None) -> Layout:
    path = path.expanduser().resolve()
    if not path.is_dir():
        raise DataError(f"{path} is not a folder: give the path of the data set")
    table = None if labels_csv else nih.find_table(path)
    if table is None:
        return folder.read(path, findings, labels_csv, boxes_csv)
    checked(findings, CHESTXRAY14)
    return nih.read(path, table)


def _columns(layout: Layout, findings: Sequence[str]) -> list[int]:
    spelt = [spelling(name) for name in layout.names]
    return [spelt.index(spelling(name)) for name in findings]


def _present(layout: Layout, chosen: list[int], section: str, skip: bool) -> list[int]:
    """Return those whose file is there; name those that are not."""
    absent = [layout.images[n] for n in chosen if layout.images[n] not in layout.paths]
    if not absent:
        return chosen
    shown = ", ".join(absent[:3]) + (", …" if len(absent) > 3 else "")
    found = (
        f'{len(absent)} of {len(chosen)} images of section "{section}" in {layout.table.name} are not there: {shown}'
    )
    if not skip:
        raise DataError(f"{found}. Add them, or go on without them: --missing skip.")
    if len(absent) == len(chosen):
        raise DataError(f"{found}. Put the images into {layout.table.parent / 'images'}.")
    logger.log(logging.INFO if layout.partial else logging.WARNING, "%s. Going on without them.", found)
    return [n for n in chosen if layout.images[n] in layout.paths]


def _samples(layout: Layout, chosen: Sequence[int], columns: Sequence[int], findings: Sequence[str]) -> list[Sample]:
    labels = layout.labels[:, columns]
    class_of = {spelling(name): k for k, name in enumerate(findings)}
    samples = []
    for n in chosen:
        image = layout.images[n]
        sample: dict[str, Any] = {
            IMAGE: layout.paths[image],
            LABEL: labels[n],
            PATIENT: layout.patients[n],
            SYNTHETIC: bool(layout.synthetic) and layout.synthetic[n],
        }
        if layout.frame_size is not None:
            sample[FRAME_SIZE] = layout.frame_size
        drawn = layout.boxes.rows.get(image, [])
        kept = [(class_of[spelling(name)], *corners) for name, *corners in drawn if spelling(name) in class_of]
        if kept or layout.boxes.complete:
            sample[BOXES] = np.array(kept, np.float32).reshape(-1, 5)
        samples.append(sample)
    return samples
