"""What rows are compared by: how well probabilities rank the images, or how right decisions are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from medkit.errors import ConfigError, did_you_mean
from medkit.intervals import Bootstrap
from medkit_comparison.area import areas
from medkit_comparison.f1 import f1


@dataclass(frozen=True, slots=True)
class Metric:
    """A score of a class, higher is better.

    Attributes:
        name: in ``comparison.json`` and before columns of ``comparison.csv``.
        title: in headings.
        column: what it is computed from: ``probability_…`` or ``present_…`` of the predictions.
        sides: what a class must have to be measured: name → label.
        chance: what guessing gives, or None where that depends on the labels.
        values: called with the resamples, (N,K) labels and (N,K) cells of the column; gives (K,R+1), NaN where a
            resample lacks a side.
    """

    name: str
    title: str
    column: str
    sides: Mapping[str, int]
    chance: float | None
    values: Callable[[Bootstrap, np.ndarray, np.ndarray], np.ndarray]


METRICS = {
    metric.name: metric
    for metric in (
        Metric("auroc", "AUROC", "probability", {"positives": 1, "negatives": 0}, 0.5, areas),
        Metric("f1", "F1", "present", {"positives": 1}, None, f1),
    )
}


def metric_named(name: str) -> Metric:
    """Return one of `METRICS`; raise `ConfigError` for another name."""
    if name not in METRICS:
        raise ConfigError(f'compare: metric "{name}" is none of {", ".join(METRICS)}.{did_you_mean(name, METRICS)}')
    return METRICS[name]
