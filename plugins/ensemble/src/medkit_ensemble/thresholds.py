"""Operating points of an ensemble, fitted on its own probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import precision_recall_curve


def fit_thresholds(
    probabilities: np.ndarray, labels: np.ndarray, findings: Sequence[str], unseen: float
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the (K,) thresholds of highest F1, and for each finding what they rest on as JSON.

    Args:
        probabilities: (n,K): at or above its threshold a finding is present.
        labels: (n,K), 1 present, 0 absent, NaN unknown (skipped).
        findings: K names.
        unseen: the threshold of a finding that no image has.
    """
    record: dict[str, Any] = {}
    for name, scores, truth in zip(findings, probabilities.T, labels.T, strict=True):
        positives, negatives = int((truth == 1).sum()), int((truth == 0).sum())
        known = ~np.isnan(truth)
        threshold, f1 = best_f1(truth[known], scores[known]) if positives else (unseen, None)
        record[name] = {"threshold": threshold, "f1": f1, "positives": positives, "negatives": negatives}
    return np.array([row["threshold"] for row in record.values()]), record


def best_f1(truth: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """Return the threshold of highest F1 and that F1: the best of all, midway between two neighbouring scores.

    Args:
        truth: (n,) of 0 and 1, with a 1.
        scores: (n,), higher = more likely present.
    """
    precision, recall, cuts = precision_recall_curve(truth, scores)
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)[: len(cuts)]
    best = len(cuts) - 1 - int(np.argmax(f1[::-1]))  # the highest of equally good ones
    midway = (cuts[max(best - 1, 0)] + cuts[best]) / 2
    between = best > 0 and midway > cuts[best - 1]  # two floats may have none between them
    return float(midway if between else cuts[best]), float(f1[best])
