"""Cross entropy of one class an image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from medkit.errors import ConfigError


class CrossEntropy(nn.Module):
    """torch's ``cross_entropy`` over the images whose label is known.

    Args:
        label_smoothing: share of the target that is spread over all classes.
        class_weights: one a class, None for equal ones.

    Raises:
        ConfigError: an option has an impossible value.
    """

    def __init__(self, *, label_smoothing: float = 0.0, class_weights: Sequence[float] | None = None) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1 or min(class_weights or [0]) < 0:
            found = f"label_smoothing {label_smoothing}, class_weights {class_weights}"
            raise ConfigError(f"cross_entropy: {found}: give a smoothing from 0 to below 1 and weights of at least 0")
        self.label_smoothing = label_smoothing
        self.class_weights = None if class_weights is None else list(class_weights)

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return a scalar ≥ 0; 0 with a gradient of 0 where no label is known.

        Args:
            logits: (B,K).
            target: (B,K) one-hot; a row with NaN is unknown.
        """
        logits = logits.float()
        known = ~target.isnan().any(dim=1)
        if not known.any():
            return 0.0 * logits.sum()
        weights = None if self.class_weights is None else logits.new_tensor(self.class_weights)
        classes = target[known].argmax(dim=1)
        return functional.cross_entropy(logits[known], classes, weights, label_smoothing=self.label_smoothing)
