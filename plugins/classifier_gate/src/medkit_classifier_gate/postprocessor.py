"""Logits to masks on the original pixels, before and after the gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch

from medkit import contracts as c
from medkit.errors import CheckpointError, ConfigError, DataError, did_you_mean
from medkit.masks import decode, encode, to_frame
from medkit_classifier_gate.thresholds import GRID, best_gate, grid_ious, iou

MODES = ("hard", "soft", "off")
GATE_OPEN = "gate_open"
GRID_IOUS = "gate_grid_ious"
GATE_PEAK = "gate_peak"
"""What a soft gate's `fit` needs of a sample: the IoU at each threshold of `thresholds.GRID`, and the highest weighted
probability."""


class ClassifierGate:
    """Dictionary transform: mask logits (1,h,w) and ``gate`` → ``predicted_mask``, ``gated_mask``, ``gate_open``.

    Both masks are on the frame's pixels, as text (`medkit.masks`); ``pred`` and ``logits`` are left out of what is
    returned. Probabilities are resampled to the frame, then cut: from ``mask_threshold`` on a pixel is inside. The gate
    is open from its ``threshold`` on, 0.5 until it is fitted, and where it is NaN.

    - ``hard``: a closed gate empties the mask.
    - ``soft``: the probabilities are multiplied by the gate, and a pixel is inside from ``threshold`` on. The gate is
      closed where it leaves nothing of a mask, and where it is below the threshold itself: no pixel can reach it.
    - ``off``: the masks are the same and no gate is needed.

    A sample whose status is not ``ok`` has empty texts.

    `fit` places the threshold by the mean IoU over validation images whose mask is known: for ``hard`` an exact search
    for the lowest threshold that falls short of the best one by no more than ``standard_errors``, so that few
    validation images close the gate only where they speak for it; for ``soft`` the best of a grid in steps of 0.05. It
    stays at 0.5 where validation has no lesion, which cannot show what a closed gate costs, or no gate.

    Args:
        mode: see above.
        mask_threshold: on the probabilities, above 0 and below 1.
        standard_errors: for ``hard``: of the paired difference; 0: the highest mean IoU on validation itself.

    Raises:
        ConfigError: an option has a value that it cannot have.

    Example:
        ```yaml
        gate: {_target_: medkit.postprocessor, component: classifier_gate, mode: hard}
        ```
    """

    def __init__(
        self,
        mode: Literal["hard", "soft", "off"] = "hard",
        *,
        mask_threshold: float = 0.5,
        standard_errors: float = 1.0,
    ) -> None:
        if mode not in MODES:
            hint = did_you_mean(str(mode), MODES)
            raise ConfigError(f'classifier_gate: mode "{mode}" is not one of {", ".join(MODES)}.{hint}')
        if not 0 < mask_threshold < 1:
            raise ConfigError(f"classifier_gate: mask_threshold {mask_threshold} must be above 0 and below 1")
        if not standard_errors >= 0:
            raise ConfigError(f"classifier_gate: standard_errors {standard_errors} must be at least 0")
        self.mode = mode
        self.mask_threshold = mask_threshold
        self.standard_errors = standard_errors
        self.threshold = 0.0 if mode == "off" else 0.5
        self.validation: dict[str, Any] = {}
        self.warnings: list[str] = []

    def __call__(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """Return the sample with its masks, without its logits.

        Raises:
            ConfigError: there is no gate, or the logits are no mask.
            DataError: a logit is not a number, or the sample has no frame.
        """
        gate = self._gate(sample)
        out = {k: v for k, v in sample.items() if k not in (c.PRED, c.LOGITS)}
        out |= {c.PREDICTED_MASK: "", c.GATED_MASK: "", GATE_OPEN: not gate < self.threshold}
        if sample.get(c.STATUS, "ok") != "ok":
            return out
        probabilities = to_frame(_probabilities(sample), sample[c.FRAME_AFFINE], sample[c.FRAME_SIZE])
        predicted = encode(probabilities >= self.mask_threshold)
        if self.mode == "soft":
            weighted = probabilities if np.isnan(gate) else gate * probabilities
            left = weighted >= self.threshold
            gated = encode(left)
            out[GATE_OPEN] = out[GATE_OPEN] and bool(left.any() or not (probabilities >= self.mask_threshold).any())
            out[GATE_PEAK] = float(weighted.max())
            if sample.get(c.FRAME_MASK):
                out[GRID_IOUS] = grid_ious(decode(sample[c.FRAME_MASK]), weighted)
        else:
            gated = predicted if out[GATE_OPEN] else encode(np.zeros(probabilities.shape, bool))
        return out | {c.PREDICTED_MASK: predicted, c.GATED_MASK: gated}

    def fit(self, samples: Sequence[Mapping[str, Any]]) -> None:
        """Place the threshold by validation samples that have been through this part.

        Raises:
            DataError: no sample has a known mask.
        """
        known = [sample for sample in samples if sample.get(c.FRAME_MASK)]
        if not known:
            raise DataError(f"classifier_gate has no mask to fit on among {len(samples)} validation samples: add masks")
        gates = np.array([self._gate(sample) for sample in known])
        pairs = [(decode(sample[c.FRAME_MASK]), decode(sample[c.PREDICTED_MASK])) for sample in known]
        plain = np.array([iou(truth, predicted) for truth, predicted in pairs])
        lesion = np.array([truth.any() for truth, _ in pairs])
        self.warnings = [] if self.mode == "off" else _warnings(gates, lesion)
        if self.mode != "off":
            self.threshold = 0.5
        fits = lesion.any() and not np.isnan(gates).all()
        if self.mode == "hard" and fits:
            self.threshold = best_gate(gates, plain, ~lesion, self.standard_errors)
        closed = gates < self.threshold
        gated = np.where(closed, ~lesion, plain)
        if self.mode == "soft":
            grid = np.stack([sample[GRID_IOUS] for sample in known])
            if fits:
                self.threshold = GRID[int(grid.mean(axis=0).argmax())]
            emptied = np.array([sample[GATE_PEAK] < self.threshold for sample in known])
            closed = (gates < self.threshold) | (emptied & np.array([predicted.any() for _, predicted in pairs]))
            gated = grid[:, GRID.index(self.threshold)]
        self.validation = {
            "images": len(known),
            "lesions": int(lesion.sum()),
            "closed": int(closed.sum()),
            "lesions_closed": int((closed & lesion).sum()),
            "mean_iou_open": float(plain.mean()),
            "mean_iou_gated": float(gated.mean()),
        }
        if 2 * (lost := self.validation["lesions_closed"]) > lesion.sum():
            self.warnings.append(
                f"the gate removes {lost} of {lesion.sum()} lesions in validation: empty masks score better than this "
                "segmentation, which has learnt too little to be used"
            )

    def state_dict(self) -> dict[str, Any]:
        """Return options, threshold, what validation showed, and ``warnings``."""
        learnt = {"threshold": self.threshold, "validation": self.validation, "warnings": self.warnings}
        return {**self._options, **learnt}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Raises:
            CheckpointError: it was fitted with other options.
        """
        for option, here in self._options.items():
            if (fitted := state.get(option)) != here:
                raise CheckpointError(
                    f"the gate was fitted for {option} {fitted}, not {here}: use {fitted}, or fit the gate again"
                )
        self.threshold = float(state["threshold"])
        self.validation, self.warnings = dict(state["validation"]), list(state["warnings"])

    @property
    def _options(self) -> dict[str, Any]:
        options = {"mode": self.mode, "mask_threshold": self.mask_threshold}
        return {**options, "standard_errors": self.standard_errors} if self.mode == "hard" else options

    def _gate(self, sample: Mapping[str, Any]) -> float:
        """Return the sample's gate; NaN is open, and so is every gate that is switched off."""
        if self.mode == "off":
            return np.nan
        if c.GATE not in sample:
            raise ConfigError(f'classifier_gate: samples have no "{c.GATE}": add gate_values to the preprocessing')
        return float(sample[c.GATE])


def _probabilities(sample: Mapping[str, Any]) -> torch.Tensor:
    """Return (h,w) float32."""
    logits = sample[c.LOGITS] if c.LOGITS in sample else sample[c.PRED]
    if not isinstance(logits, torch.Tensor) or logits.ndim != 3 or len(logits) != 1:
        found = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ConfigError(
            f"classifier_gate: mask logits (1,h,w) were asked for, {found} was found: set out_channels: 1"
        )
    if logits.isnan().any():
        raise DataError(f"{sample.get(c.FILE, 'a sample')}: the network's logits are NaN; its weights are not usable")
    return logits[0].detach().float().sigmoid()


def _warnings(gates: np.ndarray, lesion: np.ndarray) -> list[str]:
    """Return what validation cannot show."""
    found = []
    if not lesion.any():
        found.append("validation has no image with a lesion: the gate's threshold stays at 0.5")
    if lesion.all():
        found.append("validation has no image without a lesion: it cannot show what the gate gains")
    if np.isnan(gates).all():
        found.append("validation has no image with a gate: the gate's threshold stays at 0.5")
    return found
