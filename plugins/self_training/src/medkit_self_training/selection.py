"""The rule: which predictions become labels, and how often it is right."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.stats import binomtest

from medkit.intervals import Score


def most_confident(probabilities: np.ndarray, fraction: float, confidence: float | None = None) -> np.ndarray:
    """Return labels (N,) of one finding: 1 for the highest probabilities, 0 for as many lowest, else NaN.

    ``fraction · N`` of them at each end, rounded down, but at least one; of equal ones the first are lower. A single
    image has no ends.

    Args:
        probabilities: (N,) in 0…1.
        fraction: above 0, at most 0.5.
        confidence: of these labels only those that the probability of the label reaches; None: all.
    """
    images = len(probabilities)
    labels = np.full(images, np.nan)
    if images < 2:
        return labels
    count = max(1, math.floor(fraction * images + 1e-9))
    order = np.argsort(probabilities, kind="stable")
    labels[order[:count]], labels[order[-count:]] = 0, 1
    if confidence is not None:
        labels[np.where(labels == 1, probabilities, 1 - probabilities) < confidence] = np.nan
    return labels


def precision(given: np.ndarray, truth: np.ndarray, value: int) -> dict[str, Any]:
    """Return how many of the labels ``value`` are right, as JSON: ``value, low, high, n, right``.

    The interval is Wilson's, 95 % (1927, doi:10.1080/01621459.1927.10502953); it takes images as independent.

    Args:
        given: (N,) from `most_confident`.
        truth: (N,) 1 or 0.
        value: 1 or 0.
    """
    chosen = given == value
    n, right = int(chosen.sum()), int((truth[chosen] == value).sum())
    if not n:
        return Score(math.nan, math.nan, math.nan, 0, "no such label").to_json() | {"right": 0}
    interval = binomtest(right, n).proportion_ci(method="wilson")
    return Score(right / n, interval.low, interval.high, n).to_json() | {"right": right}
