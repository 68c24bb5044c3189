"""AUROC within folds: each fold's model ranks its own test images only, and patients are drawn anew within folds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medkit.intervals import Bootstrap, macro_mean
from medkit_cross_validation.measured import Measured

WITHIN_FOLDS = "auroc_within_folds"


class WithinFolds(Bootstrap):
    """`medkit.intervals.Bootstrap` that draws as many patients of each fold as it has; models are not mixed.

    Args:
        patients: the patient of each of N images; an empty string is a patient of its own.
        fold: (N,) int64. A patient in two folds is drawn as two.
        resamples: R.
        seed: of the draws.
    """

    def __init__(self, patients: Sequence[str], fold: np.ndarray, resamples: int = 1000, seed: int = 0) -> None:
        super().__init__([f"{f}/{name}" if name else "" for name, f in zip(patients, fold)], 0, seed)
        of_patient = np.zeros(self.patients, np.int64)
        of_patient[self.patient] = fold
        random = np.random.default_rng(seed)
        self.counts = np.ones((resamples + 1, self.patients), np.float32)  # row 0 is the sample itself
        for number in np.unique(fold):
            members = np.flatnonzero(of_patient == number)
            for row in self.counts[1:]:
                row[members] = np.bincount(random.integers(members.size, size=members.size), minlength=members.size)


def auroc_within_folds(boot: Bootstrap, tested: Measured, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Return score → (R+1,): ``auroc_<finding>`` for each finding, and `WITHIN_FOLDS`, the mean over findings.

    A finding's AUROC is averaged over the folds that can measure it, and over seeds. The mean over findings is of those
    that every fold can measure, so that it is about the same findings in every fold.

    Args:
        boot: R resamples.
        tested: whose folds and probabilities count.
        labels: (N,K), 0, 1 or NaN, which does not count.
    """
    out, everywhere = {}, []
    lacking = folds_lacking(tested.classes, labels, tested.fold)
    for k, name in enumerate(tested.classes):
        areas = []
        for fold in np.unique(tested.fold):
            truth = np.where(tested.fold == fold, labels[:, k], np.nan)
            areas.append(np.mean([boot.ranking(truth, seed[:, k])[0] for seed in tested.probabilities], axis=0))
        out[f"auroc_{name}"] = macro_mean(areas, len(boot.counts))
        if name not in lacking:
            everywhere.append(out[f"auroc_{name}"])
    return out | {WITHIN_FOLDS: macro_mean(everywhere, len(boot.counts))}


def folds_lacking(classes: Sequence[str], labels: np.ndarray, fold: np.ndarray) -> dict[str, int]:
    """Return finding → how many folds have no positives or no negatives of it, for those with any such fold."""
    of_fold = [labels[fold == number] for number in np.unique(fold)]
    counts = np.sum([~((part == 1).any(axis=0) & (part == 0).any(axis=0)) for part in of_fold], axis=0)
    return {name: int(count) for name, count in zip(classes, counts) if count}
