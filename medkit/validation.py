"""The Ignite metrics by which validation knows the best epoch: higher is better, unknown truth is skipped."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine
from ignite.metrics import Metric

from medkit import contracts as c
from medkit import metrics
from medkit.errors import ConfigError, DataError
from medkit.handlers import merged
from medkit.thresholds import best_f1


class _OfSamples(Metric):
    """A metric of whole samples: an engine's output alone lacks masks, and labels where the target is another."""

    def reset(self) -> None:
        """Forget the samples."""
        self.samples: list[Any] = []

    def iteration_completed(self, engine: Engine) -> None:
        """Take this iteration's samples."""
        self.update(merged(engine))


class _OfLabels(_OfSamples):
    """A metric of (K,) logits, alone or the first of a tuple, and (K,) labels."""

    def update(self, output: Sequence[Mapping[str, Any]]) -> None:
        """Take decollated samples."""
        for sample in output:
            pred = sample[c.PRED]
            logits = pred[0] if isinstance(pred, list | tuple) else pred
            self.samples.append((logits.detach().float().cpu(), torch.as_tensor(sample[c.LABEL]).cpu()))

    def columns(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (N,K) logits and (N,K) labels."""
        logits, labels = (torch.stack(column).numpy() for column in zip(*self.samples))
        return logits, labels


class MacroAUROC(_OfLabels):
    """Ignite metric: the mean over findings of the area under the ROC curve, from decollated ``pred`` and ``label``.

    ``pred`` may be a tuple, of which the first are the logits. Labels that are NaN are skipped, and so are findings
    without a positive or a negative.

    Raises:
        DataError: no finding can be measured.
    """

    def compute(self) -> float:
        """Return the macro AUROC."""
        logits, labels = self.columns()
        per_class = metrics.auroc(labels, logits)
        if np.isnan(per_class).all():
            raise DataError("validation has no finding with both positives and negatives: give it more patients")
        return float(np.nanmean(per_class))


class MacroF1(_OfLabels):
    """Ignite metric: the mean over findings of F1, from decollated ``pred`` and ``label``.

    ``pred`` may be a tuple, of which the first are the logits. Labels that are NaN are skipped, and so are findings
    without a positive: they do not count as 0.

    Args:
        threshold: the probability from which a finding is present, above 0 and below 1. None: each finding's best on
            this very validation set, so that epochs differ before any probability of a rare finding is high; the
            value is for choosing an epoch, and too good to report.

    Raises:
        ConfigError: ``threshold`` is out of range.
        DataError: no finding has a positive, or a logit is NaN.
    """

    def __init__(self, threshold: float | None = None) -> None:
        if threshold is not None and not 0 < threshold < 1:
            raise ConfigError(f"MacroF1: threshold is {threshold}: give a probability above 0 and below 1, or null")
        self.logit = None if threshold is None else math.log(threshold / (1 - threshold))
        super().__init__()

    def compute(self) -> float:
        """Return the macro F1."""
        logits, labels = self.columns()
        shown = (labels == 1).any(axis=0)
        if not shown.any():
            raise DataError("validation shows no finding at all: give it more patients")
        if np.isnan(logits).any():
            raise DataError("F1 of logits that are NaN: did training diverge?")
        return float(np.mean([self._f1(*columns) for columns in zip(labels.T[shown], logits.T[shown])]))

    def _f1(self, labels: np.ndarray, logits: np.ndarray) -> float:
        """Return F1 at the threshold, or the highest."""
        if self.logit is None:
            return best_f1(logits[labels == 1], logits[labels == 0])[1]
        present, positive = logits >= self.logit, labels == 1
        return 2 * (present & positive).sum() / ((present & ~np.isnan(labels)).sum() + positive.sum())


class Accuracy(_OfLabels):
    """Ignite metric: the share of images whose greatest logit is that of their class, from ``pred`` and ``label``.

    ``pred`` may be a tuple, of which the first are the logits. Labels are one-hot; those that are NaN are skipped.

    Raises:
        DataError: no label is known, one is not one-hot, or a logit is NaN.
    """

    def compute(self) -> float:
        """Return the accuracy."""
        logits, labels = self.columns()
        truth = metrics.class_index(labels)
        known = truth >= 0
        if not known.any():
            raise DataError("validation has no image of a known class: give it labelled patients")
        if np.isnan(logits).any():
            raise DataError("accuracy of logits that are NaN: did training diverge?")
        return float((logits.argmax(axis=1) == truth)[known].mean())


class MeanIoU(_OfSamples):
    """Ignite metric: the mean over images of the intersection over union, from ``pred`` and ``mask``, both (1,H,W).

    A pixel is inside where its logit is above 0. Two empty masks agree: 1. Images whose ``mask`` is NaN are skipped.

    Raises:
        DataError: no image has a mask, the shapes differ, or a logit is NaN.
    """

    def update(self, output: Sequence[Mapping[str, Any]]) -> None:
        """Take decollated samples."""
        for sample in output:
            logits, mask = sample[c.PRED].detach().cpu(), torch.as_tensor(sample[c.MASK]).cpu()
            if mask.isnan().any():
                continue
            if logits.shape != mask.shape:
                raise DataError(f"masks {tuple(mask.shape)} were asked for, the network gave {tuple(logits.shape)}")
            if logits.isnan().any():
                raise DataError("IoU of logits that are NaN: did training diverge?")
            shared, union = (logits > 0) & (mask > 0), (logits > 0) | (mask > 0)
            self.samples.append((shared.sum() / union.sum()).item() if union.any() else 1.0)

    def compute(self) -> float:
        """Return the mean IoU."""
        if not self.samples:
            raise DataError("validation has no image with a mask: give it patients with masks")
        return float(np.mean(self.samples))
