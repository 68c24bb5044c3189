"""The data set `brain_mri`: with and without tumour, look-alikes on one side of every split."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from medkit.contracts import IMAGE, LABEL, PATIENT, SYNTHETIC, Sample
from medkit.errors import ConfigError, DataError, did_you_mean
from medkit.folds import SECTIONS, Folds, Split, make_folds, read_folds
from medkit.lookalikes import look_alikes
from medkit_brain_mri.layout import CLASSES, Entry, Patients, read_layout
from medkit_brain_mri.reader import PLANE, SLICE
from medkit_brain_mri.volume import PLANES, read_volume

logger = logging.getLogger(__name__)
THRESHOLD = 100
"""Of 512 bits: few, for all heads look rather alike. See the README."""
Slices = Literal["middle", "every", "all"]


def brain_mri(
    dataset_dir: str,
    section: str,
    *,
    folds: int = 5,
    fold: int = 0,
    seed: int = 0,
    split: Split = "grouped",
    folds_csv: str | None = None,
    look_alike_threshold: int = THRESHOLD,
    tables_dir: str | None = None,
    plane: str = "axial",
    slices: Slices = "middle",
    slice_count: int = 8,
    slice_step: int = 4,
    patients: Patients = "id",
    synthetic: bool = False,
) -> list[Sample]:
    """Return one section as a list of samples, ``no`` before ``yes``, by name.

    The layout is that of *Brain MRI Images for Brain Tumor Detection*: bitmaps of any mode and extension in ``yes/``
    and ``no/`` (whatever their case), which the public zip repeats in ``brain_tumor_dataset/``: each file counts once.
    Volumes may lie there too, in folders or not: NIfTI (``.nii``, ``.nii.gz``), MetaImage and NRRD, and DICOM series
    (the files of one SeriesInstanceUID in a folder). They are cut into slices; empty ones are left out. Each slice has
    its volume's label, whether or not the tumour reaches it.

    A sample has ``image`` (absolute path; for a series its first file), ``label`` ((2,) float32, one-hot over no, yes),
    ``patient_id`` (the look-alike group), ``slice`` (int, -1 for a bitmap), ``plane`` (empty for a bitmap) and
    ``synthetic``. The transform `load_slice` reads them. A file that is no image, and a volume that cannot be read,
    stay in the list, named in the log, and become error records there.

    **Groups.** Bitmaps that look alike, found by `medkit.lookalikes`; a volume with its identical copies, and DICOM
    series with one PatientID. A volume is in one fold even when ``split`` is ``random``.

    Args:
        dataset_dir: the folder.
        section: ``training``, ``validation``, ``test`` or ``all``.
        folds: K; fold k is the test set, k+1 the validation set, the rest the training set.
        fold: k.
        seed: another seed, another division.
        split: ``grouped``, or ``random`` to measure what duplicates add to the score.
        folds_csv: a file that fixes the division, beside or in ``dataset_dir``; written if it is not there.
        look_alike_threshold: of 512 bits, how many may differ.
        tables_dir: where ``folds.csv``, ``look_alikes.csv`` and ``look_alike_groups.csv`` are written.
        plane: how volumes are cut: ``axial``, ``coronal``, ``sagittal``, or ``acquired`` (across the largest spacing).
        slices: ``middle`` (``slice_count`` neighbours in the middle of the head), ``every`` (each ``slice_step``-th) or
            ``all``; of those that are not empty.
        slice_count: at least 1.
        slice_step: at least 1.
        patients: ``id``: DICOM series with one PatientID are one patient, other volumes one each; ``volume``: each is
            one, for series that share an id which hides who they are; ``folder``: volumes in one folder directly
            below a class are one.
        synthetic: what the samples say: a program made the images.

    Raises:
        ConfigError: an option has no such value.
        DataError: a class is missing or empty, or the division is impossible or made for other images.

    Reference:
        Chakrabarty N. 2019, Brain MRI Images for Brain Tumor Detection, Kaggle.
    """
    one_of("section", section, (*SECTIONS, "all"))
    one_of("patients", patients, ("id", "volume", "folder"))
    require_slices(plane, slices, slice_count, slice_step)
    root = Path(dataset_dir).expanduser().resolve()
    entries = read_layout(root, patients)
    groups = _groups(entries, look_alike_threshold, root, tables_dir)
    divided = _divided(root, entries, groups, folds, seed, split, folds_csv)
    if tables_dir:
        divided.write(Path(tables_dir) / "folds.csv")
    samples: list[Sample] = []
    for n in divided.section(section, fold).tolist():
        entry = entries[n]
        for across, index in cut(entry, plane, slices, slice_count, slice_step):
            samples.append(
                {
                    IMAGE: str(entry.path),
                    LABEL: np.eye(2, dtype=np.float32)[int(entry.tumour)],
                    PATIENT: divided.groups[n],
                    SLICE: index,
                    PLANE: across,
                    SYNTHETIC: synthetic,
                }
            )
    return samples


def _groups(entries: Sequence[Entry], threshold: int, root: Path, written_to: str | None) -> list[str]:
    """Return a group an entry; those of volumes are numbered after those of bitmaps."""
    flat = [n for n, entry in enumerate(entries) if not entry.volume]
    found = look_alikes([str(entries[n].path) for n in flat], threshold)
    names = dict(zip(flat, found.names))
    if written_to:
        found.write(written_to, root)
    for path, reason in found.unreadable.items():
        logger.warning("%s is no readable image (%s): it stays in the list and becomes an error record", path, reason)
    sizes = Counter(found.names)
    if sizes and max(sizes.values()) > max(20, len(flat) // 10):
        logger.warning(
            "the largest look-alike group holds %d of %d images: look_alike_threshold %d joins too much, lower it",
            max(sizes.values()), len(flat), threshold,
        )  # fmt: skip
    series = Counter(entry.patient for entry in entries if entry.volume)
    if series and max(series.values()) > max(5, series.total() // 2):
        logger.warning(
            "%d of %d volumes are one patient: where an id hides who they are, patients: volume takes each as one",
            max(series.values()), series.total(),
        )  # fmt: skip
    first = len(sizes)
    owners = {owner: first + n for n, owner in enumerate(dict.fromkeys(e.patient for e in entries if e.volume))}
    return [names[n] if n in names else f"group-{owners[entry.patient]:04d}" for n, entry in enumerate(entries)]


def _divided(
    root: Path, entries: Sequence[Entry], groups: Sequence[str], folds: int, seed: int, split: Split, table: str | None
) -> Folds:
    names = [entry.path.relative_to(root).as_posix() for entry in entries]
    classes = [CLASSES[entry.tumour] for entry in entries]
    if table is None:
        return make_folds(names, groups, classes, folds, seed, split)
    path = Path(table).expanduser()
    path = path if path.is_absolute() else root / path
    if path.is_file():
        divided = read_folds(path, names, classes, split)
        if divided.count != folds:
            raise DataError(f"{path} holds {divided.count} folds, {folds} were asked for: name another file")
        return divided
    divided = make_folds(names, groups, classes, folds, seed, split)
    divided.write(path)
    return divided


def require_slices(plane: str, slices: str, slice_count: int, slice_step: int) -> None:
    """Raise `ConfigError` for options by which no volume can be cut."""
    one_of("plane", plane, (*PLANES, "acquired"))
    one_of("slices", slices, ("middle", "every", "all"))
    if slice_count < 1 or slice_step < 1:
        raise ConfigError(f"slice_count {slice_count} and slice_step {slice_step}: both are at least 1")


def one_of(option: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        hint = did_you_mean(str(value), choices)
        raise ConfigError(f'{option} "{value}" is unknown.{hint} Choices: {", ".join(choices)}.')


def cut(entry: Entry, plane: str, slices: Slices, count: int, step: int) -> list[tuple[str, int]]:
    """Return (plane, index) of the chosen slices that are not empty; of a bitmap an empty plane and -1."""
    if not entry.volume:
        return [("", -1)]
    try:
        volume = read_volume(entry.path)
    except DataError as error:
        logger.warning("%s cannot be cut (%s): it stays in the list and becomes an error record", entry.path, error)
        return [(plane, 0)]
    for warning in volume.warnings:
        logger.warning("%s: %s", entry.path, warning)
    plane = volume.plane(plane)
    shown = volume.shown(plane)
    if not shown:
        logger.warning("%s: every %s slice is empty, the middle one is taken", entry.path, plane)
        shown = [volume.count(plane) // 2]
    if slices == "middle":
        start = max((len(shown) - count) // 2, 0)
        shown = shown[start : start + count]
    elif slices == "every":
        shown = shown[(len(shown) - 1) % step // 2 :: step]
    return [(plane, index) for index in shown]
