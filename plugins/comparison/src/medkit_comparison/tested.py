"""The test images of all runs on one list, so that the same image, and the same patient, is met in every row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from medkit.errors import DataError
from medkit.predictions import path_ends
from medkit.tables import read_csv
from medkit_comparison.rows import Row
from medkit_comparison.run_folder import Run

_IMAGE = ("image", "file", "Image Index")
_PATIENT = ("patient_id", "group", "Patient ID")


@dataclass(frozen=True, slots=True)
class Tested:
    """A row's S runs on all N images and K findings.

    Attributes:
        tested: (S,N) bool: the run was shown the image.
        labels: (S,N,K), NaN where unknown, not assessed or not shown.
        predicted: (S,N,K) probabilities or decisions, NaN likewise.
        draw: rows of one number rest on the same models, and so on the same draws of them.
    """

    tested: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    draw: int

    @property
    def known(self) -> np.ndarray:
        """(N,K) bool: some run knows the label."""
        return ~np.isnan(self.labels).all(axis=0)


@dataclass(frozen=True, slots=True)
class Images:
    """What all rows share.

    Attributes:
        findings: those that every run knows, in the first run's order.
        left_out: those that only some runs know.
        patients: N ids, one an image; None where an image's patient is not known.
        rows: name → what was tested.
    """

    findings: list[str]
    left_out: list[str]
    patients: list[str] | None
    rows: dict[str, Tested]


def align(rows: Sequence[Row], runs: Mapping[Path, Run], patients: str | None = None) -> Images:
    """Return the runs' images on one list.

    Files are the same where their paths end alike: the shortest ends that tell all images of a run apart, most often
    the names, since every run may have its own copy of the data.

    Args:
        rows: of the table.
        runs: path of the predictions → run, in the rows' order.
        patients: CSV of images and patients, in place of what predictions.csv says.

    Raises:
        DataError: no finding in common, an image has other labels in another run, has no prediction, or is not in
            ``patients``.
    """
    every = list(runs.values())
    findings = [name for name in every[0].findings if all(name in run.findings for run in every)]
    if not findings:
        raise DataError(f"the runs have no finding in common: {every[0].folder} knows {', '.join(every[0].findings)}")
    left_out = sorted({name for run in every for name in run.findings} - set(findings))
    ends = path_ends([run.files for run in every])
    names = sorted({name for end in ends for name in end})
    place = {name: n for n, name in enumerate(names)}
    truth = np.full((len(names), len(findings)), np.nan)
    belongs: list[str | None] = [None] * len(names)
    find = _Patients(patients).find if patients else None
    filled: dict[Path, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
    for (path, run), end in zip(runs.items(), ends):
        at, columns = np.array([place[name] for name in end]), [run.findings.index(name) for name in findings]
        shown, labels, predicted = (
            np.zeros(len(names), bool),
            np.full_like(truth, np.nan),
            np.full_like(truth, np.nan),
        )
        shown[at], labels[at], predicted[at] = True, run.labels[:, columns], run.predicted[:, columns]
        if (bad := ~np.isnan(labels) & np.isnan(predicted)).any():
            raise DataError(f"{path}: {names[np.argwhere(bad)[0, 0]]} has a label and no prediction")
        if (other := (labels != truth) & ~np.isnan(labels) & ~np.isnan(truth)).any():
            n, k = np.argwhere(other)[0]
            raise DataError(
                f"{names[n]} has another label {findings[k]} in {run.folder} than in the runs before: are they about "
                "the same images?"
            )
        truth = np.where(np.isnan(truth), labels, truth)
        for n, file, patient in zip(at, run.files, run.patients or [None] * len(at)):
            if belongs[n] is None:
                belongs[n] = find(file) if find else patient or None
        filled[path] = shown, labels, predicted
    models = [row.folders for row in rows]
    tested = {
        row.name: Tested(*map(np.stack, zip(*(filled[path] for path in row.tables))), draw=models.index(row.folders))
        for row in rows
    }
    known = None if None in belongs else [str(patient) for patient in belongs]
    return Images(findings, left_out, known, tested)


class _Patients:
    """A data set's table of images and patients, asked by the end of a path."""

    def __init__(self, path: str) -> None:
        rows = read_csv(path)
        columns = [next((name for name in known if rows and name in rows[0]), None) for known in (_IMAGE, _PATIENT)]
        if None in columns:
            found = "has no columns of images and patients" if rows else "is missing or empty"
            raise DataError(f"patients {path} {found}: name a CSV with the columns image and patient_id")
        self.path = path
        self.of = {row[columns[0]]: row[columns[1]] for row in rows}

    def find(self, file: str) -> str:
        parts = PurePosixPath(file.replace("\\", "/")).parts
        for start in range(len(parts)):
            if (end := "/".join(parts[start:])) in self.of:
                return self.of[end]
        raise DataError(f"{file} is not in {self.path}: name the table of the data set that was tested")
