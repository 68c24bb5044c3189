"""What the losses share: unknown labels are skipped, classes have weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import nn

from medkit.errors import ConfigError


class KnownLabelsLoss(nn.Module, ABC):
    """A scalar from logits and labels (B,K).

    Labels that are NaN are skipped: they are not counted and their logits get a gradient of exactly 0, whatever these
    are. If all are, the loss is 0 with a gradient of 0. The computation is in float32 (float64 for float64 logits),
    under mixed precision too. Under torch.distributed each rank has the loss of its own batch.

    Args:
        class_weights: K factors ≥ 0, one a class; None: all are 1.

    Raises:
        ConfigError: a factor is negative or not finite.
    """

    class_weights: torch.Tensor | None

    def __init__(self, class_weights: Sequence[float] | None) -> None:
        super().__init__()
        weights = None if class_weights is None else torch.as_tensor(class_weights, dtype=torch.float32).reshape(-1)
        if weights is not None and not (weights.isfinite() & (weights >= 0)).all():
            raise ConfigError(f"class_weights must be finite and at least 0, found {weights.tolist()}")
        # an option, not state: it stays out of checkpoints
        self.register_buffer("class_weights", weights, persistent=False)

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return a scalar, float32 or float64.

        Args:
            logits: (B,K), any floating dtype.
            target: (B,K): 1 present, 0 absent, NaN unknown.

        Raises:
            ConfigError: there is not one class weight for each class.
            ValueError: the shapes differ.
        """
        if logits.shape != target.shape:
            raise ValueError(f"logits {tuple(logits.shape)} and target {tuple(target.shape)} must have one shape")
        known = ~target.isnan()
        x = torch.where(known, logits.to(torch.promote_types(logits.dtype, torch.float32)), 0)
        y = torch.where(known, target, 0).to(x.dtype)
        weights = x.new_ones(x.shape[1]) if self.class_weights is None else self.class_weights.to(x)
        if len(weights) != x.shape[1]:
            raise ConfigError(f"class_weights has {len(weights)} values for {x.shape[1]} classes")
        return self.of_known(x, y, known.to(x.dtype), weights)

    @abstractmethod
    def of_known(self, x: torch.Tensor, y: torch.Tensor, known: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Return the scalar.

        Args:
            x: (B,K) logits, 0 where unknown.
            y: (B,K) labels, 0 where unknown.
            known: (B,K), 1 or 0.
            weights: (K,).
        """
