"""Logits to probabilities and present findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from medkit import contracts as c
from medkit.errors import CheckpointError, ConfigError, DataError, did_you_mean
from medkit_threshold_search import calibration as cal
from medkit_threshold_search.search import FIXED, RULES, operating_point

LABEL_MODES = ("multilabel", "multiclass")
MOST_PROBABLE = "most_probable"
"""The rule without thresholds: of classes that exclude each other, the most probable one is present."""


class ThresholdSearch:
    """Dictionary transform: ``logits`` (K,) → ``probabilities`` (K,) float32 and ``present`` (K,) bool.

    Before `fit`, probabilities are the plain sigmoid or softmax and a finding is present from 0.5. `fit` calibrates the
    probabilities and places every finding's threshold by an exact search. A finding that validation shows never, or
    always, keeps the threshold 0.5 and is named in ``warnings``.

    Args:
        findings: K names, in the order of the logits.
        label_mode: ``multilabel`` (sigmoid) or ``multiclass`` (softmax).
        rule: what the thresholds maximise: ``f1``; ``f1_both``, the mean of the F1 of presence and that of absence;
            ``youden``; or ``sensitivity``, the highest threshold that reaches the next option. ``fixed``: all stay at
            0.5. For ``multiclass`` also ``most_probable``: no thresholds, one class is present.
        sensitivity: for that rule.
        calibration: ``platt`` (scale and bias a finding), ``temperature`` (one scale) or ``none``; see
            `medkit_threshold_search.calibration`.

    Raises:
        ConfigError: an option has a value that it cannot have.

    Example:
        ```yaml
        operating_points: {_target_: medkit.postprocessor, component: threshold_search, findings: "@findings"}
        ```
    """

    def __init__(
        self,
        findings: Sequence[str],
        *,
        label_mode: str = "multilabel",
        rule: str = "f1",
        sensitivity: float = 0.9,
        calibration: str = "platt",
    ) -> None:
        choices = (
            ("label_mode", label_mode, LABEL_MODES),
            ("rule", rule, (*RULES, FIXED, *([MOST_PROBABLE] if label_mode == "multiclass" else []))),
            ("calibration", calibration, cal.METHODS),
        )
        for option, value, known in choices:
            if value not in known:
                hint = did_you_mean(str(value), known)
                raise ConfigError(f'threshold_search: {option} "{value}" is not one of {", ".join(known)}.{hint}')
        if not 0 < sensitivity <= 1:
            raise ConfigError(f"threshold_search: sensitivity {sensitivity} must be above 0 and at most 1")
        self.findings = list(findings)
        self.options = {"label_mode": label_mode, "rule": rule, "calibration": calibration}
        if rule == "sensitivity":
            self.options["sensitivity"] = sensitivity
        self.rule, self.sensitivity, self.calibration = rule, sensitivity, calibration
        self.multiclass = label_mode == "multiclass"
        self.scales, self.biases = np.ones(len(self.findings)), np.zeros(len(self.findings))
        self.thresholds = np.full(len(self.findings), 0.5)
        self.validation: dict[str, dict[str, Any]] = {}
        self.warnings: list[str] = []

    def __call__(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """Return the sample with ``probabilities`` and ``present``.

        Raises:
            ConfigError: there are more or fewer logits than findings.
            DataError: a logit is not a number.
        """
        probabilities = self._probabilities(self._logits(sample))
        return {
            **sample,
            c.PROBABILITIES: torch.from_numpy(probabilities.astype(np.float32)),
            c.PRESENT: torch.from_numpy(self._present(probabilities)),
        }

    def fit(self, samples: Sequence[Mapping[str, Any]]) -> None:
        """Learn calibration and thresholds from ``logits`` and ``label`` of validation samples.

        Raises:
            DataError: there are no samples.
        """
        if not samples:
            raise DataError("threshold_search has no validation samples to fit on")
        logits = np.stack([self._logits(sample) for sample in samples])
        labels = np.stack([np.asarray(sample[c.LABEL], np.float64) for sample in samples])
        self.scales, self.biases = cal.fit(logits, labels, self.calibration, self.multiclass)
        self.thresholds = np.full(len(self.findings), 0.5)
        self.validation, self.warnings = {}, []
        probabilities = self._probabilities(logits)
        sides = [(labels[:, k] == 1, labels[:, k] == 0) for k in range(len(self.findings))]
        if self.rule in RULES:
            for k, (positive, negative) in enumerate(sides):
                if positive.any() and negative.any():
                    scores = probabilities[:, k]
                    self.thresholds[k] = operating_point(
                        scores[positive], scores[negative], self.rule, self.sensitivity
                    )
                else:
                    side = "absent" if positive.any() else "present"
                    self.warnings.append(
                        f"{self.findings[k]} is never {side} in validation: its threshold stays at 0.5"
                    )
        for finding, present, (positive, negative) in zip(self.findings, self._present(probabilities).T, sides):
            positives, negatives = int(positive.sum()), int(negative.sum())
            true, false = (present & positive).sum(), (present & negative).sum()
            self.validation[finding] = {
                "positives": positives,
                "negatives": negatives,
                "f1": float(2 * true / (positives + true + false)) if positives else None,
                "sensitivity": float(true / positives) if positives else None,
                "specificity": float(1 - false / negatives) if negatives else None,
            }

    def state_dict(self) -> dict[str, Any]:
        """Return options, findings, ``warnings`` and, for each finding, its numbers and what validation showed."""
        numbers = zip(self.thresholds.tolist(), self.scales.tolist(), self.biases.tolist())
        per_finding = {
            finding: dict(zip(("threshold", "scale", "bias"), row), validation=self.validation.get(finding))
            for finding, row in zip(self.findings, numbers)
        }
        if self.rule == MOST_PROBABLE:
            for row in per_finding.values():
                del row["threshold"]
        return {**self.options, "findings": self.findings, "per_finding": per_finding, "warnings": self.warnings}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Raises:
            CheckpointError: it was fitted for other findings or other options.
        """
        for option, here in {"findings": self.findings, **self.options}.items():
            if (fitted := state.get(option)) != here:
                raise CheckpointError(
                    f"operating points were fitted for {option} {fitted}, not {here}: run the fit stage again"
                )
        rows = [state["per_finding"][finding] for finding in self.findings]
        self.thresholds, self.scales, self.biases = (
            np.array([row.get(key, 0.5) for row in rows], np.float64) for key in ("threshold", "scale", "bias")
        )
        self.validation = {f: row["validation"] for f, row in zip(self.findings, rows) if row["validation"]}
        self.warnings = list(state["warnings"])

    def _logits(self, sample: Mapping[str, Any]) -> np.ndarray:
        logits = torch.as_tensor(sample[c.LOGITS]).detach().cpu().double().numpy()
        if logits.shape != (len(self.findings),):
            raise ConfigError(
                f"threshold_search has {len(self.findings)} findings but the network gives logits of shape "
                f"{logits.shape}: findings and out_channels must agree"
            )
        if np.isnan(logits).any():
            raise DataError(
                f"{sample.get(c.FILE, 'a sample')}: the network's logits are NaN; its weights are not usable"
            )
        return logits

    def _probabilities(self, logits: np.ndarray) -> np.ndarray:
        return cal.probabilities(logits, self.scales, self.biases, self.multiclass)

    def _present(self, probabilities: np.ndarray) -> np.ndarray:
        """Return what is present, (…,K) bool."""
        if self.rule == MOST_PROBABLE:
            return probabilities == probabilities.max(axis=-1, keepdims=True)
        return probabilities >= self.thresholds
