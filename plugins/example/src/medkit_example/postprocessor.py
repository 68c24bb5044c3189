"""Probabilities for another place (Elkan 2001, The foundations of cost-sensitive learning, theorem 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from medkit import contracts as c
from medkit.errors import CheckpointError, ConfigError, DataError


class PriorShift:
    """Dictionary transform: ``logits`` (K,) → ``probabilities`` (K,) float32 and ``present`` (K,) bool, from 0.5.

    Where a finding is rarer than it was in validation, the same image shows it less probably. `fit` learns how frequent
    each finding is in validation; each logit then moves by the difference of the log-odds. Before `fit`, and for
    findings whose prevalence is not given, probabilities are the plain sigmoid.

    Args:
        findings: K names, in the order of the logits.
        prevalence: how frequent each finding is where the model is used, above 0 and below 1; by name.

    Raises:
        ConfigError: a prevalence is impossible, or of none of the findings.

    Example:
        ```yaml
        operating_points:
          _target_: medkit.postprocessor
          component: prior_shift
          findings: "@findings"
          prevalence: {Pneumonia: 0.02}
        ```
    """

    def __init__(self, findings: Sequence[str], *, prevalence: Mapping[str, float] | None = None) -> None:
        self.findings = list(findings)
        self.prevalence = dict(prevalence or {})
        for name, value in self.prevalence.items():
            if name not in self.findings or not 0 < value < 1:
                raise ConfigError(
                    f"prior_shift: prevalence {value} of {name}: give one above 0 and below 1, of {', '.join(findings)}"
                )
        self.fitted: dict[str, float] = {}

    def __call__(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """Return the sample with ``probabilities`` and ``present``."""
        shifts = [
            _log_odds(self.prevalence[name]) - _log_odds(self.fitted[name])
            if name in self.prevalence and name in self.fitted
            else 0.0
            for name in self.findings
        ]
        logits = torch.as_tensor(sample[c.LOGITS]).double()
        probabilities = (logits + torch.tensor(shifts, dtype=torch.float64)).sigmoid().float()
        return {**sample, c.PROBABILITIES: probabilities, c.PRESENT: probabilities >= 0.5}

    def fit(self, samples: Sequence[Mapping[str, Any]]) -> None:
        """Learn each finding's prevalence from ``label``, one case more of either side, so that none is 0 or 1.

        Raises:
            DataError: there are no samples.
        """
        if not samples:
            raise DataError("prior_shift has no validation samples to fit on")
        labels = np.stack([np.asarray(sample[c.LABEL], np.float64) for sample in samples])
        prevalence = (np.nansum(labels, axis=0) + 1) / (np.isfinite(labels).sum(axis=0) + 2)
        self.fitted = dict(zip(self.findings, prevalence.tolist()))

    def state_dict(self) -> dict[str, Any]:
        """Return the prevalence of each finding in validation."""
        return {"prevalence": self.fitted}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Raises:
            CheckpointError: it was fitted for other findings.
        """
        if state["prevalence"] and list(state["prevalence"]) != self.findings:
            found = ", ".join(state["prevalence"])
            raise CheckpointError(f"prior_shift was fitted for {found}, not {', '.join(self.findings)}: run fit again")
        self.fitted = dict(state["prevalence"])


def _log_odds(probability: float) -> float:
    return float(np.log(probability) - np.log1p(-probability))
