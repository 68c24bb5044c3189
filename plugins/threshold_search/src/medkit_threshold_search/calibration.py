"""From logits to probabilities that can be taken at their word: ``sigmoid`` or ``softmax`` of ``scale · logit + bias``.

A network that was trained on balanced batches or with weighted losses has seen findings far more often than they occur.
That moves every logit by about a constant (Saerens, Latinne, Decaestecker 2002, doi:10.1162/089976602753284446), which
no temperature can undo: a bias can.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logsumexp, softmax

METHODS = ("none", "temperature", "platt")
ENOUGH = 10
"""Positives, and negatives, that a finding needs for a scale of its own."""
SCALES = (0.05, 20.0)
"""The scale stays positive, so that calibration never reverses an order."""


def probabilities(logits: np.ndarray, scale: np.ndarray, bias: np.ndarray, multiclass: bool) -> np.ndarray:
    """Return calibrated probabilities, float64, of logits (…,K)."""
    calibrated = logits * scale + bias
    return softmax(calibrated, axis=-1) if multiclass else expit(calibrated)


def fit(logits: np.ndarray, labels: np.ndarray, method: str, multiclass: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the scale and bias, (K,) each, of least negative log likelihood.

    ``temperature``: one scale for all findings, no bias (Guo et al. 2017, arXiv:1706.04599). ``platt``: a scale and a
    bias a finding (Platt 1999); a finding with fewer than `ENOUGH` positives or negatives gets its own bias but shares
    the scale of all (bias-corrected temperature scaling, Alexandari, Kundaje, Shrikumar 2020, arXiv:1901.06852), and so
    do all findings of a softmax; a finding with none of one side gets no bias.

    Targets are Platt's, ``(P + 1) / (P + 2)`` and ``1 / (N + 2)`` in place of 1 and 0, so that logits which separate a
    small validation set do not give certainty.

    Args:
        logits: (N,K) float64.
        labels: (N,K), 1, 0 or NaN (skipped; for a softmax the whole row).
        method: one of `METHODS`.
        multiclass: softmax over classes instead of a sigmoid each.
    """
    scale, bias = np.ones(logits.shape[1]), np.zeros(logits.shape[1])
    if multiclass:
        complete = ~np.isnan(labels).any(axis=1)
        logits, labels = logits[complete], labels[complete]
    sides = np.stack([(labels == 1).sum(axis=0), (labels == 0).sum(axis=0)])
    usable = (sides > 0).all(axis=0) | (multiclass and len(labels) > 0)
    if method == "none" or not usable.any():
        return scale, bias
    shared, bias[usable] = _least(logits[:, usable], labels[:, usable], multiclass, method == "platt")
    scale[:] = shared
    if method == "platt" and not multiclass:
        for k in np.flatnonzero((sides >= ENOUGH).all(axis=0)):
            scale[k], bias[k : k + 1] = _least(logits[:, [k]], labels[:, [k]], False, True)
    return scale, bias


def _least(logits: np.ndarray, labels: np.ndarray, multiclass: bool, biased: bool) -> tuple[float, np.ndarray]:
    """Return one scale for all columns and, if ``biased``, a bias for each: a convex problem."""
    known = ~np.isnan(labels)
    classes = logits.shape[1]
    positives = (labels == 1).sum(axis=0)
    if multiclass:
        per_class = (1 + np.eye(classes) * positives) / (positives + classes)[:, None]
        target = labels @ per_class
    else:
        negatives = (labels == 0).sum(axis=0)
        target = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    count = len(labels) if multiclass else known.sum()

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        z = parameters[0] * logits + parameters[1:]
        normaliser = logsumexp(z, axis=1, keepdims=True) if multiclass else np.logaddexp(0, z)
        value = normaliser.sum() if multiclass else normaliser[known].sum()
        error = np.where(known, (softmax(z, axis=1) if multiclass else expit(z)) - target, 0)
        gradient = np.concatenate([[(error * logits).sum()], error.sum(axis=0) * biased])
        return (value - (target * z)[known].sum()) / count, gradient / count

    bounds = [SCALES, *[(None, None)] * classes]
    found = minimize(
        loss, np.array([1.0, *[0.0] * classes]), jac=True, bounds=bounds, method="L-BFGS-B",
        options={"ftol": 1e-13, "gtol": 1e-8, "maxiter": 1000},
    )  # fmt: skip
    return float(found.x[0]), found.x[1:]
