"""The F1 of decisions, all classes over many resamples at once."""

from __future__ import annotations

import numpy as np

from medkit.intervals import Bootstrap, ratio


def f1(boot: Bootstrap, labels: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Return the (K,R+1) F1, 2 TP / (2 TP + FP + FN), as ``metrics.json`` has it.

    Args:
        boot: the resamples of the images' patients.
        labels: (N,K), 1 present, 0 absent, NaN unknown (skipped).
        present: (N,K), 1 decided present, 0 absent.

    Returns:
        NaN where a resample has no positives, 0 where none of them is found.
    """
    positive, decided = labels == 1, (present == 1) & ~np.isnan(labels)
    totals = boot.totals(np.hstack([positive & decided, positive, decided]))
    found, positives, decisions = np.split(totals, 3, axis=1)
    return np.where(positives > 0, ratio(2 * found, positives + decisions), np.nan).T
