"""Operating points of an ensemble, fitted on its own probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from medkit.thresholds import best_f1


def fit_thresholds(
    probabilities: np.ndarray, labels: np.ndarray, findings: Sequence[str], unseen: float
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the (K,) thresholds of highest F1, and for each finding what they rest on as JSON.

    A finding that every image has keeps 0.5.

    Args:
        probabilities: (n,K): at or above its threshold a finding is present.
        labels: (n,K), 1 present, 0 absent, NaN unknown (skipped).
        findings: K names.
        unseen: the threshold of a finding that no image has.
    """
    record: dict[str, Any] = {}
    for name, scores, truth in zip(findings, probabilities.T, labels.T, strict=True):
        positive, negative = scores[truth == 1], scores[truth == 0]
        threshold, f1 = (0.5 if positive.size else unseen), None
        if positive.size and negative.size:
            threshold, f1 = best_f1(positive, negative)
        counts = {"positives": positive.size, "negatives": negative.size}
        record[name] = {"threshold": threshold, "f1": f1, **counts}
    return np.array([row["threshold"] for row in record.values()]), record
