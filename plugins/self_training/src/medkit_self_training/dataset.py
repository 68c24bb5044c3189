"""Labelled samples, and unlabelled ones with pseudo-labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medkit import contracts as c
from medkit.errors import CheckpointError, DataError
from medkit.tables import read_csv
from medkit_self_training.apart import require_apart
from medkit_self_training.teacher import teacher_sha256

_ABOUT = ("file", "teacher_sha256", "round")


def pseudo_labelled(
    dataset_dir: str,
    section: str,
    *,
    labelled: Sequence[c.Sample],
    unlabelled: Sequence[c.Sample],
    findings: Sequence[str],
    teacher: str,
    table: str = "pseudo_labels.csv",
) -> list[c.Sample]:
    """Return the labelled samples, then the unlabelled ones that have a pseudo-label; NaN where it is unknown.

    Unlabelled samples without a row would teach nothing and are left out. A table is one teacher's: the next round's
    takes the place of this one's, none is added to it.

    Args:
        dataset_dir: the folder that holds ``table``.
        section: not used: ``labelled`` and ``unlabelled`` are of one already.
        labelled: samples, by reference.
        unlabelled: those that the teacher has predicted, by reference.
        findings: K names, in the order of the labels.
        teacher: the checkpoint that the pseudo-labels come from, with its card.
        table: of the handler ``pseudo_labels``, inside ``dataset_dir``.

    Raises:
        CheckpointError: the teacher is missing, was trained for other findings, or is not the table's.
        DataError: the table is missing, has other findings or files, or a value that is no label; an unlabelled
            sample is a labelled one.

    Example:
        ```yaml
        data: {_target_: medkit.dataset, component: pseudo_labelled, section: training,
               dataset_dir: "$@output_dir + '/round1'", labelled: "@labelled", unlabelled: "@unlabelled",
               findings: "@findings", teacher: "$@output_dir + '/round1/model.pt'"}
        ```
    """
    path, sha256 = Path(dataset_dir) / table, teacher_sha256(teacher, findings)
    if not path.is_file():
        raise DataError(f"{path} is not there: run the stage that makes it")
    rows = read_csv(path)
    if not rows:
        raise DataError(f"{path} has no row: no prediction was confident enough, lower confidence")
    known = [name for name in rows[0] if name not in _ABOUT and not name.startswith("probability_")]
    if known != list(findings) or not rows[0].keys() >= set(_ABOUT):
        found = ", ".join(known) or "none"
        raise DataError(f"{path} has labels of {found}; {', '.join(findings)} were asked for")
    if other := next((row for row in rows if row["teacher_sha256"] != sha256), None):
        found = other["teacher_sha256"][:12]
        raise CheckpointError(
            f"{path} comes from the teacher {found}…, not from {teacher}, {sha256[:12]}…: make it anew"
        )
    labels = {row["file"]: _label(row, findings, path) for row in rows}
    samples = {str(sample[c.IMAGE]): sample for sample in unlabelled}
    if strange := [file for file in labels if file not in samples]:
        raise DataError(
            f"{path} was made for other images: {len(strange)} of {len(labels)} are not there, {strange[0]} for "
            "instance: make it anew"
        )
    if truth := [file for file, sample in samples.items() if not np.isnan(sample.get(c.LABEL, np.nan)).all()]:
        raise DataError(f"{len(truth)} of {len(samples)} unlabelled images have labels, {truth[0]} for instance")
    require_apart(
        samples,
        [str(sample[c.IMAGE]) for sample in labelled],
        "unlabelled images are labelled ones",
        "take labelled images out of the unlabelled ones",
    )
    return [*labelled, *({**sample, c.LABEL: labels[file]} for file, sample in samples.items() if file in labels)]


def _label(row: dict[str, str], findings: Sequence[str], path: Path) -> np.ndarray:
    cells = [row[name] for name in findings]
    if not set(cells) <= {"0", "1", ""}:
        raise DataError(f"{path} gives {row['file']} the labels {', '.join(cells)}: 1, 0 or blank were asked for")
    return np.array([float(cell or "nan") for cell in cells], np.float32)
