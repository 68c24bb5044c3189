"""The exact threshold of highest F1 of one finding, by one sort."""

from __future__ import annotations

import numpy as np


def best_f1(positive: np.ndarray, negative: np.ndarray) -> tuple[float, float]:
    """Return the threshold of highest F1 (Lipton, Elkan, Naryanaswamy 2014, arXiv:1402.1892), and that F1.

    Scores at or above it are present. It lies midway between two neighbouring scores; of equally good ones the highest
    is taken.

    Args:
        positive: (P,) scores of images with the finding, P ≥ 1; none is NaN.
        negative: (N,) scores of images without it.
    """
    cuts, everything, present, true = counted(positive, negative)
    f1 = 2 * true / (present + cuts.size)
    best = int(np.argmax(f1))
    return just_below(float(cuts[best]), everything), float(f1[best])


def counted(positive: np.ndarray, negative: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the thresholds worth comparing and what each makes present.

    Between two scores of positives, a lower threshold only adds false alarms, so the best one is a positive's score:
    sorting once and looking the positives up compares *all* thresholds.

    Returns:
        (P,) the positives' scores, highest first; (P+N,) all scores, lowest first; (P,) how many scores are at or above
        each of the first; (P,) how many of these are positives'.
    """
    cuts = np.sort(positive)[::-1]
    everything = np.sort(np.concatenate([positive, negative.astype(positive.dtype, copy=False)]))
    present = everything.size - np.searchsorted(everything, cuts, "left")
    true = cuts.size - np.searchsorted(cuts[::-1], cuts, "left")
    return cuts, everything, present, true


def just_below(cut: float, everything: np.ndarray) -> float:
    """Return the middle between a score and the next lower one, among all sorted scores; itself where it is lowest."""
    below = int(np.searchsorted(everything, cut, "left"))
    if not below:
        return cut
    lower = float(everything[below - 1])
    midway = (lower + cut) / 2
    return midway if midway > lower else cut  # two floats may have none between them
