"""Exact operating points of one finding or many, by one sort."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from medkit.thresholds import best_f1, counted, just_below

RULES = ("f1", "f1_both", "youden", "sensitivity")
FIXED = "fixed"
"""The rule that searches nothing: present from one half on."""


def operating_point(positive: np.ndarray, negative: np.ndarray, rule: str = "f1", sensitivity: float = 0.9) -> float:
    """Return the best threshold of one finding: scores at or above it are present.

    All thresholds are compared (see `medkit.thresholds.counted`). The best is placed midway between two neighbouring
    scores; of equally good ones the highest is taken.

    Args:
        positive: (P,) scores of images with the finding, P ≥ 1.
        negative: (N,) scores of images without it; ``f1_both`` and ``youden`` need one.
        rule: ``f1``: highest F1 (see `medkit.thresholds.best_f1`); ``f1_both``: highest mean of the
            F1 of presence and that of absence, for which it may be best to say nothing is present: a threshold just
            above all scores; ``youden``: highest sensitivity + specificity (Youden 1950,
            doi:10.1002/1097-0142(1950)3:1<32::AID-CNCR2820030106>3.0.CO;2-3); ``sensitivity``: the highest threshold
            that reaches ``sensitivity``.
        sensitivity: for that rule, above 0 and at most 1.
    """
    if rule == "f1":
        return best_f1(positive, negative)[0]
    cuts, everything, present, true = counted(positive, negative)
    if rule == "f1_both":
        absent = everything.size - present
        both = true / (present + cuts.size) + (absent - cuts.size + true) / (absent + negative.size)
        best = np.argmax(both)
        if negative.size / (everything.size + negative.size) > both[best]:
            return float(np.nextafter(everything[-1], np.inf))
    elif rule == "youden":
        best = np.argmax(true * negative.size - (present - true) * cuts.size)
    else:
        best = max(math.ceil(sensitivity * cuts.size - 1e-9), 1) - 1
    return just_below(float(cuts[best]), everything)


def best_f1_thresholds(labels: Any, scores: Any) -> np.ndarray:
    """Return the (K,) thresholds of highest F1, exact; NaN for a class without positives.

    Args:
        labels: (N,K), 1 present, 0 absent, NaN unknown (skipped).
        scores: (N,K) real numbers, higher = more likely present.
    """
    labels, scores = np.asarray(labels), np.asarray(scores)
    sides = ((column[truth == 1], column[truth == 0]) for truth, column in zip(labels.T, scores.T))
    return np.array([operating_point(*pair) if pair[0].size else math.nan for pair in sides])
