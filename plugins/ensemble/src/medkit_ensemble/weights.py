"""Convex weights, one a model: the weighted mean of the probabilities that has the lowest log loss."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize

from medkit.errors import DataError
from medkit.metrics import class_index

SMALLEST = 1e-6
"""A probability is taken to be as far as this from 0 and from 1: six digits are written, and one error decides less."""


def fit_weights(probabilities: np.ndarray, labels: np.ndarray, multiclass: bool = False) -> tuple[np.ndarray, Any]:
    """Return the weights (M,), from 0 and of sum 1, and the log losses behind them as JSON.

    A weighted mean gives a label the weighted mean of the probabilities that the models give it, so the log loss is
    convex in the weights: no start is better than another, and no model alone is better than all (Breiman 1996, Stacked
    regressions, doi:10.1007/BF00117832, who takes squared errors).

    Args:
        probabilities: (M,n,K) in 0…1.
        labels: (n,K), 1 present, 0 absent, NaN unknown (skipped).
        multiclass: one class an image: its probability counts, else every finding's.

    Raises:
        DataError: with ``multiclass``, labels are not one-hot or none is known.
    """
    given = np.clip(_of_labels(probabilities, labels, multiclass), SMALLEST, 1 - SMALLEST)
    models, count = given.shape
    if not count:
        raise DataError("no image has a known class: give predictions of labelled images")

    def loss(weights: np.ndarray) -> float:
        return float(-np.log(weights @ given).mean())

    equal = np.full(models, 1 / models)
    found = minimize(
        loss,
        equal,
        jac=lambda weights: -(given / (weights @ given)).mean(axis=1),
        method="SLSQP",
        bounds=[(0, 1)] * models,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1, "jac": lambda weights: np.ones(models)},
        options={"ftol": 1e-12, "maxiter": 1000},
    )  # fmt: skip
    inside = np.clip(found.x, 0, None)
    alone = np.eye(models)
    # what the search stops at may be off by its tolerance, and no more than a model alone may be better
    weights = min((inside / inside.sum(), equal, *alone), key=loss)
    each = [loss(one) for one in alone]
    return weights, {"labels": count, "each_model": each, "equal_weights": loss(equal), "fitted": loss(weights)}


def _of_labels(probabilities: np.ndarray, labels: np.ndarray, multiclass: bool) -> np.ndarray:
    """Return (M,E): what each model gives each known label's true value."""
    if multiclass:
        truth = class_index(labels)
        return probabilities[:, truth >= 0, truth[truth >= 0]]
    known = ~np.isnan(labels)
    return np.where(labels[known] == 1, probabilities[:, known], 1 - probabilities[:, known])
