"""Exact operating points of one finding or many, by one sort."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

RULES = ("f1", "f1_both", "youden", "sensitivity")
FIXED = "fixed"
"""The rule that searches nothing: present from one half on."""


def operating_point(positive: np.ndarray, negative: np.ndarray, rule: str = "f1", sensitivity: float = 0.9) -> float:
    """Return the best threshold of one finding: scores at or above it are present.

    Between two scores of positives, a lower threshold only adds false alarms, so the best one lies just below a
    positive's score: sorting once and looking the positives up compares *all* thresholds. It is placed midway to the
    next lower score; of equally good ones the highest is taken.

    Args:
        positive: (P,) scores of images with the finding, P ≥ 1.
        negative: (N,) scores of images without it; ``f1_both`` and ``youden`` need one.
        rule: ``f1``: highest F1 (Lipton, Elkan, Naryanaswamy 2014, arXiv:1402.1892); ``f1_both``: highest mean of the
            F1 of presence and that of absence, for which it may be best to say nothing is present: a threshold just
            above all scores; ``youden``: highest sensitivity + specificity (Youden 1950,
            doi:10.1002/1097-0142(1950)3:1<32::AID-CNCR2820030106>3.0.CO;2-3); ``sensitivity``: the highest threshold
            that reaches ``sensitivity``.
        sensitivity: for that rule, above 0 and at most 1.
    """
    cuts = np.sort(positive)[::-1]
    everything = np.sort(np.concatenate([positive, negative.astype(positive.dtype, copy=False)]))
    below = np.searchsorted(everything, cuts, "left")
    present = everything.size - below
    true = cuts.size - np.searchsorted(cuts[::-1], cuts, "left")
    if rule == "f1":
        best = np.argmax(2 * true / (present + cuts.size))
    elif rule == "f1_both":
        absent = everything.size - present
        both = true / (present + cuts.size) + (absent - cuts.size + true) / (absent + negative.size)
        best = np.argmax(both)
        if negative.size / (everything.size + negative.size) > both[best]:
            return float(np.nextafter(everything[-1], np.inf))
    elif rule == "youden":
        best = np.argmax(true * negative.size - (present - true) * cuts.size)
    else:
        best = max(math.ceil(sensitivity * cuts.size - 1e-9), 1) - 1
    cut = float(cuts[best])
    if not below[best]:
        return cut
    midway = (float(everything[below[best] - 1]) + cut) / 2
    return midway if midway > everything[below[best] - 1] else cut  # two floats may have none between them


def best_f1_thresholds(labels: Any, scores: Any) -> np.ndarray:
    """Return the (K,) thresholds of highest F1, exact; NaN for a class without positives.

    Args:
        labels: (N,K), 1 present, 0 absent, NaN unknown (skipped).
        scores: (N,K) real numbers, higher = more likely present.
    """
    labels, scores = np.asarray(labels), np.asarray(scores)
    sides = ((column[truth == 1], column[truth == 0]) for truth, column in zip(labels.T, scores.T))
    return np.array([operating_point(*pair) if pair[0].size else math.nan for pair in sides])
