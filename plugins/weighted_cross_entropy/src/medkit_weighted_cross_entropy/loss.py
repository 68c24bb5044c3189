"""Weighted cross entropy, W-CEL (Wang et al. 2017, doi:10.1109/CVPR.2017.369, equation 1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from medkit.errors import ConfigError


class WeightedCrossEntropy(nn.Module):
    """A scalar: sigmoid cross entropy over the known labels of a batch, positives and negatives weighted apart.

    With ``weighting="batch"``, |P| and |N| the numbers of ones and zeros in the batch's label matrix, all classes
    together, and T = |P| + |N| the number of known labels:

        loss = [ T/|P| · Σ over ones of −log σ(x)  +  T/|N| · Σ over zeros of −log(1 − σ(x)) ] / T

    so positives and negatives weigh equally however rare findings are, where unweighted cross entropy drifts to
    predicting all zeros. A batch that lacks one of the two has the mean over the other: no term is infinite.

    **Normalisation.** The paper's equation is the bracket, a sum that grows with the batch; here it is divided by T, so
    that neither batch size, number of classes nor unknown labels change the effective learning rate. As the weights
    sum to 2T, the loss of an undecided network (logits 0) is 2 log 2, twice that of unweighted cross entropy.
    ``reduction="sum"`` gives the bracket. ``class_weights`` and ``pos_weight`` multiply entries and do not enter T, as
    in `torch.nn.BCEWithLogitsLoss`.

    Labels that are NaN are skipped: they are not counted and their logits get a gradient of exactly 0, whatever these
    are. If all are, the loss is 0 with a gradient of 0. Labels between 0 and 1 (from mixing images) count partly as
    ones, partly as zeros. The computation is in float32 (float64 for float64 logits), under mixed precision too. Under
    torch.distributed, |P| and |N| are those of each rank's own batch.

    Args:
        weighting: ``batch``: as above; ``none``: T/|P| and T/|N| become 1, which is plain binary cross entropy.
        class_weights: K factors ≥ 0, one a class, e.g. to raise rare ones.
        pos_weight: K factors ≥ 0, or one number for all, on positives only, e.g. negatives / positives of a class in
            the training set. Multiplies with ``weighting``: use it with ``weighting="none"``.
        reduction: ``mean`` over known labels, or ``sum``.

    Raises:
        ConfigError: an option has no such value, or the number of weights is not that of the classes.

    Reference:
        Wang, Peng, Lu, Lu, Bagheri, Summers 2017, CVPR, doi:10.1109/CVPR.2017.369, equation 1.

    Example:
        ```yaml
        loss: {_target_: medkit.loss, component: weighted_cross_entropy}
        ```
    """

    def __init__(
        self,
        *,
        weighting: Literal["batch", "none"] = "batch",
        class_weights: Sequence[float] | torch.Tensor | None = None,
        pos_weight: Sequence[float] | torch.Tensor | float | None = None,
        reduction: Literal["mean", "sum"] = "mean",
    ) -> None:
        super().__init__()
        if weighting not in ("batch", "none"):
            raise ConfigError(f'weighting "{weighting}" is unknown. Choices: batch, none.')
        if reduction not in ("mean", "sum"):
            raise ConfigError(f'reduction "{reduction}" is unknown. Choices: mean, sum.')
        self.weighting = weighting
        self.reduction = reduction
        # options, not state: they stay out of checkpoints
        self.register_buffer("class_weights", _factors("class_weights", class_weights), persistent=False)
        self.register_buffer("pos_weight", _factors("pos_weight", pos_weight), persistent=False)

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return a scalar, float32 or float64.

        Args:
            logits: (B,K), any floating dtype.
            target: (B,K): 1 present, 0 absent, NaN unknown.

        Raises:
            ValueError: the shapes differ.
        """
        if logits.shape != target.shape:
            raise ValueError(f"logits {tuple(logits.shape)} and target {tuple(target.shape)} must have one shape")
        known = ~torch.isnan(target)
        x = torch.where(known, logits.to(torch.promote_types(logits.dtype, torch.float32)), 0)
        ones = torch.where(known, target, 0).to(x.dtype)
        zeros = known.to(x.dtype) - ones
        total = known.sum().to(x.dtype)
        if self.weighting == "batch":
            ones = ones * _balance(total, ones.sum())
            zeros = zeros * _balance(total, zeros.sum())
        if self.pos_weight is not None:
            ones = ones * self._fitting("pos_weight", x)
        if self.class_weights is not None:
            ones, zeros = ones * self._fitting("class_weights", x), zeros * self._fitting("class_weights", x)
        # log σ(−x) = log(1 − σ(x)); both stay finite for every finite logit
        loss = -(ones * functional.logsigmoid(x) + zeros * functional.logsigmoid(-x)).sum()
        return loss if self.reduction == "sum" else loss / total.clamp(min=1)

    def _fitting(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """Return a buffer on the device and in the dtype of ``x`` (B,K)."""
        factors = getattr(self, name)
        if factors.numel() not in (1, x.shape[1]):
            raise ConfigError(f"{name} has {factors.numel()} values for {x.shape[1]} classes")
        return factors.to(x)


def _balance(total: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
    """Return total / count, and 0 for a count of 0, without waiting for the device."""
    return torch.where(count > 0, total / count, 0)


def _factors(name: str, values: Sequence[float] | torch.Tensor | float | None) -> torch.Tensor | None:
    if values is None:
        return None
    factors = torch.as_tensor(values, dtype=torch.float32).detach().clone().reshape(-1)
    if not factors.numel() or not torch.isfinite(factors).all() or (factors < 0).any():
        raise ConfigError(f"{name} must be finite and at least 0, found {factors.tolist()}")
    return factors
