"""The asymmetric loss (Ridnik et al. 2021, arXiv:2009.14119)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import logsigmoid

from medkit.errors import ConfigError


class AsymmetricLoss(nn.Module):
    """A scalar from logits and labels (B,K): the mean over the known labels.

    ``−(1 − p)^gamma_positive · log p`` where the label is 1, and ``−q^gamma_negative · log(1 − q)`` with
    ``q = max(p − margin, 0)`` where it is 0; p is the sigmoid. Most labels of rare findings are easy absences: they
    lose their weight, presences keep theirs. With both gammas and ``margin`` 0 it is binary cross entropy.

    The paper takes the sum; the mean over known labels does not depend on the batch's size. NaN labels are skipped.
    The computation is in float32 (float64 for float64 logits), under mixed precision too.

    Args:
        gamma_positive: at least 0.
        gamma_negative: at least 0.
        margin: an absence that the network gives a probability below this costs nothing; from 0 to below 1.

    Raises:
        ConfigError: an option has no such value.

    Reference:
        Ridnik, Ben-Baruch, Zamir, Noy, Friedman, Protter, Zelnik-Manor 2021, ICCV, arXiv:2009.14119, equation 7.

    Example:
        ```yaml
        loss: {_target_: medkit.loss, component: asymmetric_loss, gamma_negative: 4}
        ```
    """

    def __init__(self, *, gamma_positive: float = 0.0, gamma_negative: float = 4.0, margin: float = 0.05) -> None:
        super().__init__()
        if not (gamma_positive >= 0 and gamma_negative >= 0 and 0 <= margin < 1):
            raise ConfigError("asymmetric_loss: give gammas of at least 0 and a margin from 0 to below 1")
        self.gamma_positive, self.gamma_negative, self.margin = gamma_positive, gamma_negative, margin

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return a scalar.

        Raises:
            ValueError: the shapes differ.
        """
        if logits.shape != target.shape:
            raise ValueError(f"logits {tuple(logits.shape)} and target {tuple(target.shape)} must have one shape")
        known = ~target.isnan()
        x = torch.where(known, logits.to(torch.promote_types(logits.dtype, torch.float32)), 0)
        # a power below 1 has no finite slope at 0
        q = (x.sigmoid() - self.margin).clamp(min=1e-8)
        # without a margin log(1 − q) is log(1 − p), which logsigmoid knows where p rounds to 1
        log_not_q = torch.log1p(-q) if self.margin else logsigmoid(-x)
        present = (-x).sigmoid().clamp(min=1e-8) ** self.gamma_positive * logsigmoid(x)
        absent = q**self.gamma_negative * log_not_q
        each = torch.where(target == 1, present, absent) * known
        return -each.sum() / known.sum().clamp(min=1)
