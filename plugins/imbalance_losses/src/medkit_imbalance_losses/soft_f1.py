"""Macro F1 as a loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

from medkit.errors import ConfigError
from medkit_imbalance_losses.known_labels import KnownLabelsLoss


class SoftF1(KnownLabelsLoss):
    """A scalar in 0…1: one minus the mean over classes of the batch's F1, with probabilities for counts.

    With p = σ(x) and y the known labels of one class in the batch,

        F1 = 2·TP / (2·TP + FP + FN),  TP = Σ p·y,  FP = Σ p·(1 − y),  FN = Σ (1 − p)·y

    Every class counts the same however rare it is. A class without a known label in the batch is left out of the mean.
    One that no image of the batch shows has an F1 of 0 and no gradient: with ``of="presence"`` nothing keeps the
    network from saying it there, ``of="both"`` does. How NaN and mixed precision are treated: see `KnownLabelsLoss`.

    Args:
        of: ``presence``; or ``both``: the mean of the F1 of presence and that of absence, for which p and y are
            1 − p and 1 − y.
        class_weights: K factors ≥ 0, one a class; the mean over classes is weighted.

    Raises:
        ConfigError: an option has no such value, or the number of weights is not that of the classes.

    Example:
        ```yaml
        loss: {_target_: medkit.loss, component: soft_f1, of: both}
        ```
    """

    def __init__(
        self, *, of: Literal["presence", "both"] = "presence", class_weights: Sequence[float] | None = None
    ) -> None:
        super().__init__(class_weights)
        if of not in ("presence", "both"):
            raise ConfigError(f'soft_f1: of "{of}" is unknown. Choices: presence, both.')
        self.of = of

    def of_known(self, x: torch.Tensor, y: torch.Tensor, known: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Return the scalar."""
        f1 = _f1(known * torch.sigmoid(x), y)
        if self.of == "both":
            f1 = (f1 + _f1(known * torch.sigmoid(-x), known - y)) / 2
        weights = weights * (known.sum(0) > 0)
        return (weights * (1 - f1)).sum() / _above_zero(weights.sum())


def _f1(p: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the (K,) F1 of probabilities and labels (B,K): 2·TP + FP + FN is Σ p + Σ y."""
    return 2 * (p * y).sum(0) / _above_zero(p.sum(0) + y.sum(0))


def _above_zero(values: torch.Tensor) -> torch.Tensor:
    return values.clamp(min=torch.finfo(values.dtype).tiny)
