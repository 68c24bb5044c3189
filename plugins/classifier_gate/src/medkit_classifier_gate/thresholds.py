"""Where a gate does most for the mean IoU."""

from __future__ import annotations

import numpy as np

GRID = tuple(step / 20 for step in range(1, 20))
"""The thresholds on weighted probabilities that are compared."""


def iou(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Return the intersection of two masks (H,W) bool over their union; 1 where both are empty."""
    union = np.count_nonzero(truth | predicted)
    return np.count_nonzero(truth & predicted) / union if union else 1.0


def grid_ious(truth: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the IoU (19,) of ``probabilities`` (H,W) cut at each threshold of `GRID`."""
    return np.array([iou(truth, probabilities >= threshold) for threshold in GRID])


def best_gate(gates: np.ndarray, ious: np.ndarray, empty: np.ndarray, standard_errors: float = 0.0) -> float:
    """Return the threshold of highest mean IoU: gates below it are closed. Exact: all thresholds are compared.

    With ``standard_errors`` s it is the lowest threshold whose mean IoU falls short of the highest by no more than s
    standard errors of their difference, which is paired: over the images that only the best threshold closes
    (Breiman et al. 1984, *Classification and Regression Trees*, the one-standard-error rule).

    An open image has the IoU of its predicted mask; a closed one has 1 where its truth is empty, else 0. One sort of
    the gates and the running sum of what each closed image gains is the mean IoU at every threshold. Of equally good
    ones it is the lowest, so the gate closes no more than it must; it lies midway between neighbouring gates, at 0
    where nothing should be closed, and just above the highest where everything should.

    Args:
        gates: (N,) in 0…1; NaN is always open.
        ious: (N,) of the predicted masks.
        empty: (N,) bool: the truth is empty.
        standard_errors: at least 0.
    """
    known = ~np.isnan(gates)
    values, where = np.unique(gates[known], return_inverse=True)
    gain = (empty - ious)[known]
    running, squares = (np.r_[0.0, np.cumsum(np.bincount(where, g, len(values)))] for g in (gain, gain**2))
    closed = int(np.argmax(running >= running.max() - 1e-9))  # the first; sums that should be equal differ by rounding
    count = len(gates)
    short = (running[closed] - running[: closed + 1]) / count
    variance = np.maximum((squares[closed] - squares[: closed + 1]) / count - short**2, 0)
    closed = int(np.argmax(short <= standard_errors * np.sqrt(variance / count) + 1e-9))
    if closed == 0:
        return 0.0
    below = float(values[closed - 1])
    if closed == len(values):
        return float(np.nextafter(below, np.inf))
    midway = (below + float(values[closed])) / 2
    return midway if midway > below else float(values[closed])  # two floats may have none between them
