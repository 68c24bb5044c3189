"""What a row hit and what it cost, from what each of its runs says for itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from medkit_comparison.run_folder import Run

_Z = 1.96
"""Standard errors in half of a 95 % interval."""


def boxes_hit(scores: Sequence[dict[str, Any] | None], tests: Sequence[Hashable]) -> dict[str, Any] | None:
    """Return ``value, low, high, n, hits`` of a row from its runs' hit rates; None unless all runs have one.

    Runs of equal ``tests`` (seeds) are averaged: the distance of the limits is the root of the sum of squares of the
    runs' mean distance and of 1.96 standard errors of their mean. Other tests (folds) are pooled, weighted by their
    true boxes, errors independent. A single run keeps its own interval. The files say nothing of single images, so
    there is no paired difference.
    """
    groups: dict[Hashable, list[dict[str, Any]]] = defaultdict(list)
    for score, test in zip(scores, tests):
        if score is None:
            return None
        groups[test].append(score)
    n = sum(group[0]["n"] for group in groups.values())
    value, squares = 0.0, np.zeros(2)
    for group in groups.values():
        share = group[0]["n"] / n
        rates = np.array([score["value"] for score in group])
        ends = np.array([[np.nan if score[end] is None else score[end] for end in ("low", "high")] for score in group])
        noise = rates.std(ddof=1) / len(rates) ** 0.5 if len(rates) > 1 else 0.0
        value += share * rates.mean()
        squares += share**2 * ((ends - rates[:, None]).mean(axis=0) ** 2 + (_Z * noise) ** 2)
    low, high = np.clip(value + np.sqrt(squares) * (-1, 1), 0, 1)
    limits = {"low": None, "high": None} if np.isnan(low) else {"low": float(low), "high": float(high)}
    return {"value": float(value), **limits, "n": n, "hits": round(float(value) * n, 2)}


def costs(runs: Sequence[Run]) -> dict[str, float | int | None]:
    """Return ``seconds`` of training, ``parameters`` and ``training_images``: means over runs, None unless all say."""
    return {name: _mean([getattr(run, name) for run in runs]) for name in ("seconds", "parameters", "training_images")}


def _mean(numbers: Sequence[float | int | None]) -> float | int | None:
    known = [number for number in numbers if number is not None]
    if len(known) < len(numbers):
        return None
    mean = sum(known) / len(known)
    return round(mean, 2) if isinstance(known[0], float) else round(mean)
