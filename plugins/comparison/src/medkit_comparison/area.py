"""The AUROC of every class over many resamples at once."""

from __future__ import annotations

import numpy as np

from medkit.intervals import Bootstrap, ratio

_FEW = 2000
"""Images up to which comparing all pairs, a matrix product, is faster than sorting."""


def areas(boot: Bootstrap, labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the (K,R+1) AUROC, exact with ties, as `medkit.intervals.Bootstrap.ranking` does.

    Args:
        boot: the resamples of the images' patients.
        labels: (N,K), 1 present, 0 absent, NaN unknown (skipped).
        scores: (N,K), higher = more likely present.

    Returns:
        NaN where a resample has not both positives and negatives.
    """
    return np.array([_area(boot, *of) for of in zip(labels.T, scores.T)])


def _area(boot: Bootstrap, labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    if labels.size > _FEW:
        return boot.ranking(labels, scores)[0]
    positive, negative = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    drawn = [boot.counts[:, boot.patient[side]] for side in (positive, negative)]
    order = (np.sign(scores[negative][:, None] - scores[positive]) * -0.5 + 0.5).astype(np.float32)
    # sums of halves below 2**23 are exact in float32
    wins = (drawn[1] @ order * drawn[0]).sum(axis=1, dtype=np.float64)
    return ratio(wins, np.prod([side.sum(axis=1, dtype=np.float64) for side in drawn], axis=0))
