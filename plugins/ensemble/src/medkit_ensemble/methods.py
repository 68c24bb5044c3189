"""Several models' probabilities or decisions to one."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from medkit_ensemble.models import Models


def merged(models: Models, method: str, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray | None]:
    """Return probabilities (n,K) in 0…1 and, from ``union`` and ``vote``, decisions (n,K) bool.

    Args:
        models: M models' tables of n assessed images.
        method: ``mean``: of the probabilities, weighted where there are weights. ``union``: present where any model
            says so, with the highest probability. ``vote``: present where more than half of the models say so, not
            where just half do; the probability is the share that does. ``rank_mean``: see `ranks`.
        weights: (M,), of sum 1, for the mean.

    Raises:
        DataError: a probability or a decision is missing.
    """
    if method == "union":
        return models.probabilities().max(axis=0), models.present().any(axis=0)
    if method == "vote":
        share = models.present().mean(axis=0)
        return share, share > 0.5
    if method == "rank_mean":
        return ranks(models.probabilities()).mean(axis=0), None
    if weights is None:
        return models.probabilities().mean(axis=0), None
    return np.tensordot(weights, models.probabilities(), 1), None


def ranks(probabilities: np.ndarray) -> np.ndarray:
    """Return where each image stands among all in each class: (rank − ½)/n, ties sharing the mean of their ranks.

    Args:
        probabilities: (M,n,K).

    Returns:
        (M,n,K) float64, above 0 and below 1: about the share of images that the model finds less likely.
    """
    return (rankdata(probabilities, axis=1) - 0.5) / max(probabilities.shape[1], 1)
