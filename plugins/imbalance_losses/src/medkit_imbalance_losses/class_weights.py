"""One weight a class, by the name of a rule."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Literal

import numpy as np

from medkit.errors import ConfigError, DataError, did_you_mean

logger = logging.getLogger(__name__)

RULES = ("inverse", "effective")


def class_weights(
    labels: np.ndarray,
    *,
    rule: Literal["inverse", "effective"] = "inverse",
    beta: float = 0.999,
    cap: float | None = None,
    one: Literal["mean", "lightest"] = "mean",
    class_names: Sequence[str] | None = None,
) -> list[float]:
    """Return K weights, rare classes up: what losses take as ``class_weights`` or ``pos_weight``.

    A class that no image shows gets the largest weight of the others, and a warning names it.

    Args:
        labels: (N,K) of the training images: 1 present, 0 absent, NaN unknown.
        rule: ``inverse``: 1 / frequency, the share of present among known labels; ``effective``: 1 / effective number
            of images n that show the class, (1 − beta^n) / (1 − beta), which stops growing at about 1 / (1 − beta).
        beta: for ``effective``, from 0 (all weights are 1) to below 1 (towards 1 / n).
        cap: at least 1: no class weighs more than so many times the lightest; None: no limit.
        one: what is 1: the ``mean``, so that an undecided network's loss stays what it was; or the ``lightest`` weight,
            so that as ``pos_weight`` it leaves the most frequent class as it is and lifts the others.
        class_names: K names, for messages.

    Raises:
        ConfigError: an option has no such value.
        DataError: not a matrix, values other than 0, 1 and NaN, or no class is ever present.

    Reference:
        Cui, Jia, Lin, Song, Belongie 2019, CVPR, arXiv:1901.05555, for ``effective``.

    Example:
        ```yaml
        loss:
          _target_: medkit.loss
          component: focal
          class_weights:
            _target_: medkit.handler
            component: class_weights
            labels: {_target_: medkit.labels, data: "@train#dataset#data"}
            rule: effective
        ```
    """
    if rule not in RULES:
        hint = did_you_mean(str(rule), RULES)
        raise ConfigError(f'class_weights: rule "{rule}" is unknown.{hint} Choices: {", ".join(RULES)}.')
    if one not in ("mean", "lightest"):
        raise ConfigError(f'class_weights: one "{one}" is unknown: give mean or lightest')
    if not 0 <= beta < 1:
        raise ConfigError(f"class_weights: beta is {beta}: give a number from 0 to below 1")
    if cap is not None and not cap >= 1:
        raise ConfigError(f"class_weights: cap is {cap}: give how many times the lightest, at least 1")
    labels = np.asarray(labels, np.float32)
    if labels.ndim != 2 or not labels.size:
        raise DataError(f"class_weights needs labels (N,K), one row an image; found shape {labels.shape}")
    present, known = labels == 1, ~np.isnan(labels)
    if (wrong := labels[known & ~present & (labels != 0)]).size:
        raise DataError(f"class_weights needs labels of 1, 0 or NaN, found {wrong[0]:g}")
    names = [f"class {k}" for k in range(labels.shape[1])] if class_names is None else list(class_names)
    if len(names) != labels.shape[1]:
        raise ConfigError(f"class_weights: {len(names)} class_names for {labels.shape[1]} classes: give one each")
    count = present.sum(axis=0)
    occurs = count > 0
    if not occurs.any():
        raise DataError(f"none of {len(labels)} images shows any class: there is nothing to weigh")
    if absent := [name for name, there in zip(names, occurs) if not there]:
        logger.warning("no image shows %s: the largest class weight is taken", ", ".join(absent))
    n = count[occurs]
    raw = known.sum(axis=0)[occurs] / n if rule == "inverse" else 1 / (1 - beta**n)
    weights = np.full(len(names), raw.max())
    weights[occurs] = raw
    if cap is not None:
        weights = np.minimum(weights, cap * weights.min())
    return (weights / (weights.mean() if one == "mean" else weights.min())).tolist()
