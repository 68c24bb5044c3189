"""What a model's findings and boxes are worth: scores with 95 % intervals and counts.

Every score is a `Score`: its value, its interval and how many things it rests on. A score that cannot be computed, such
as the AUROC of a finding that no image shows, is "not measurable": its value is NaN here and null, with a reason, in
JSON; means leave it out and say so. A label that is NaN is unknown and is skipped. Intervals are by patient, see
`medkit.intervals`; scores of boxes are in `medkit.localization`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from medkit.errors import DataError
from medkit.intervals import Bootstrap, Score, macro_mean, ratio
from medkit.localization import box_iou, localization_scores, matched_iou

__all__ = [
    "Bootstrap", "Score", "auroc", "box_iou", "class_index", "classification_scores", "localization_scores",
    "matched_iou",
]  # fmt: skip

BINS = 10
"""Probability bins of the expected calibration error."""


def auroc(labels: Any, scores: Any) -> Any:
    """Return the area under the ROC curve, exact with ties: a float for (N,) input, (K,) for (N,K).

    It is the share of (positive, negative) pairs that the scores put in order, ties counting half (Mann, Whitney 1947,
    doi:10.1214/aoms/1177730491). Only the negatives are sorted.

    Args:
        labels: 1 present, 0 absent, NaN unknown (skipped).
        scores: any real numbers, higher = more likely present.

    Returns:
        NaN for a class without positives or without negatives.

    Raises:
        DataError: the shapes differ, or a score of a known label is NaN.
    """
    labels, scores = np.asarray(labels), np.asarray(scores)
    if labels.shape != scores.shape or labels.ndim not in (1, 2):
        raise DataError(f"AUROC needs labels and scores of one shape (N,) or (N,K), not {labels.shape}, {scores.shape}")
    if labels.ndim == 2:
        return np.array([auroc(*columns) for columns in zip(labels.T, scores.T)])
    positive, negative = scores[labels == 1], np.sort(scores[labels == 0])
    if np.isnan(positive).any() or np.isnan(negative[-1:]).any():
        raise DataError("AUROC of scores that are NaN: did training diverge?")
    if not positive.size or not negative.size:
        return float("nan")
    positive = np.sort(positive)  # neighbouring look-ups are cheaper than scattered ones
    below = np.searchsorted(negative, positive, "left").sum() + np.searchsorted(negative, positive, "right").sum()
    return float(below) / (2 * positive.size * negative.size)


def class_index(labels: Any) -> np.ndarray:
    """Return (N,) int: the one class of each image from one-hot labels (N,K); -1 where a label is NaN, unknown.

    Raises:
        DataError: a known row is not one-hot.
    """
    labels = np.asarray(labels)
    known = ~np.isnan(labels).any(axis=1)
    one_hot = (np.sort(labels, axis=1) == np.eye(labels.shape[1])[-1]).all(axis=1)
    wrong = np.flatnonzero(known & ~one_hot)
    if wrong.size:
        row = labels[wrong[0]].tolist()
        raise DataError(f"one class an image was asked for, labels {row} were found: measure findings one by one")
    return np.where(known, labels.argmax(axis=1), -1)


def classification_scores(
    labels: Any,
    probabilities: Any,
    present: Any,
    findings: Sequence[str],
    patients: Sequence[str],
    *,
    multiclass: bool = False,
    negative: str | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Return all classification scores as nested JSON.

    Keys: ``auroc``, ``average_precision``, ``f1`` (each ``macro`` and ``per_class``), ``sensitivity``, ``specificity``
    (``per_class``), ``calibration`` (``brier`` and ``expected_calibration_error`` over `BINS` equally wide bins, each
    ``macro`` and ``per_class``), ``counts`` and ``not_measurable``, the findings that macro scores leave out. With
    ``multiclass`` also ``accuracy``, the share of images whose most probable class is theirs; ``confusion``, the (K,K)
    numbers of images by class (rows) and most probable class (columns); and with ``negative`` ``accuracy_any``, the
    share of images of which it is rightly said that they are, or are not, of that class.

    ``n`` is the number of positives (negatives for specificity, known labels for calibration) of a class, and of
    images for a macro score.

    Args:
        labels: (N,K), 1 present, 0 absent, NaN unknown.
        probabilities: (N,K) in 0…1.
        present: (N,K) bool: the findings at or above their operating point.
        findings: K names.
        patients: N patient ids.
        multiclass: every image is of one class: labels are one-hot, or NaN.
        negative: with ``multiclass``, the class that means that there is nothing, such as ``normal``.
        resamples: of patients, for the intervals.
        seed: of the resamples.

    Raises:
        DataError: the shapes do not fit, a probability is NaN, or with ``multiclass`` a label is not one-hot or
            ``negative`` is no class.
    """
    labels, probabilities = np.asarray(labels, np.float64), np.asarray(probabilities, np.float64)
    present = np.asarray(present, bool)
    shape = (len(patients), len(findings))
    if {labels.shape, probabilities.shape, present.shape} != {shape}:
        raise DataError(
            f"{shape[0]} patients and {shape[1]} findings need arrays {shape}: labels are {labels.shape}, "
            f"probabilities {probabilities.shape}, present {present.shape}"
        )
    if np.isnan(probabilities).any():
        raise DataError("probabilities are NaN: did training diverge?")
    boot = Bootstrap(patients, resamples, seed)
    out: dict[str, Any] = {
        **{name: {"macro": None, "per_class": {}} for name in ("auroc", "average_precision", "f1")},
        **{name: {"per_class": {}} for name in ("sensitivity", "specificity")},
        "calibration": {name: {"macro": None, "per_class": {}} for name in ("brier", "expected_calibration_error")},
        "counts": {"images": shape[0], "patients": boot.patients, "per_class": {}},
        "not_measurable": [],
    }
    averaged = {**{name: out[name] for name in ("auroc", "average_precision", "f1")}, **out["calibration"]}
    rows: dict[str, list[np.ndarray]] = {name: [] for name in averaged}
    for k, finding in enumerate(findings):
        truth, said, probability = labels[:, k], present[:, k], probabilities[:, k]
        positives, negatives = truth == 1, truth == 0
        tp, fp, fn, tn = positives & said, negatives & said, positives & ~said, negatives & ~said
        counts = {name: int(cells.sum()) for name, cells in (("tp", tp), ("fp", fp), ("tn", tn), ("fn", fn))}
        out["counts"]["per_class"][finding] = {**counts, "unknown": int(np.isnan(truth).sum())}
        missing = " and ".join(
            name for name, side in (("positives", positives), ("negatives", negatives)) if not side.any()
        )
        reason = f"no {missing}" if missing else ""
        if reason:
            out["not_measurable"].append(finding)
        area, precision = boot.ranking(truth, probability)
        hits, false, missed = boot.totals(np.stack([tp, fp, fn], axis=1)).T
        f1 = np.where(hits + missed > 0, ratio(2 * hits, 2 * hits + false + missed), np.nan)
        measured = {"auroc": area, "average_precision": precision, "f1": f1, **_calibration(boot, truth, probability)}
        for name, values in measured.items():
            n = int((positives | negatives).sum()) if name in out["calibration"] else int(positives.sum())
            averaged[name]["per_class"][finding] = boot.score(values, n, reason).to_json()
            rows[name].append(values)
        out["sensitivity"]["per_class"][finding] = boot.proportion(tp, positives, "no positives").to_json()
        out["specificity"]["per_class"][finding] = boot.proportion(tn, negatives, "no negatives").to_json()
    for name, part in averaged.items():
        macro = macro_mean(rows[name], resamples + 1)
        part["macro"] = boot.score(macro, shape[0], "no finding is measurable").to_json()
    return out | (_multiclass(boot, labels, probabilities, list(findings), negative) if multiclass else {})


def _multiclass(
    boot: Bootstrap, labels: np.ndarray, probabilities: np.ndarray, classes: list[str], negative: str | None
) -> dict[str, Any]:
    """Return the scores of the most probable class."""
    if negative is not None and negative not in classes:
        raise DataError(f'negative "{negative}" was asked for, the classes are {", ".join(classes)}')
    truth, said = class_index(labels), probabilities.argmax(axis=1)
    known = truth >= 0

    def share(right: np.ndarray) -> dict[str, Any]:
        return boot.proportion(right & known, known, "no known labels").to_json()

    confusion = np.zeros((len(classes), len(classes)), int)
    np.add.at(confusion, (truth[known], said[known]), 1)
    out = {"accuracy": share(said == truth), "confusion": confusion.tolist()}
    if negative is not None:
        nothing = classes.index(negative)
        out["accuracy_any"] = share((said == nothing) == (truth == nothing))
    return out


def _calibration(boot: Bootstrap, labels: np.ndarray, probabilities: np.ndarray) -> dict[str, np.ndarray]:
    """Return (R+1,) Brier scores and expected calibration errors of one class."""
    known = ~np.isnan(labels)
    error = np.where(known, probabilities - labels, 0)
    bins = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    gaps = np.where(bins[:, None] == np.arange(BINS), error[:, None], 0)
    total = boot.totals(np.column_stack([known, error**2, gaps]))
    images = total[:, 0]
    return {
        "brier": ratio(total[:, 1], images),
        "expected_calibration_error": ratio(np.abs(total[:, 2:]).sum(axis=1), images),
    }
