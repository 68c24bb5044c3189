"""The loss of a classifier that also draws the mask."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.losses import DiceCELoss
from torch import nn
from torch.nn import functional

from medkit.errors import ConfigError


class GuidedCrossEntropy(nn.Module):
    """Cross entropy of the class plus ``mask_weight`` times Dice and binary cross entropy of the mask.

    Images whose label is NaN count for their mask only, images whose mask is NaN for their label only.

    Args:
        mask_weight: of the mask's loss.
        label_smoothing: share of the target that is spread over all classes.
        class_weights: one a class, None for equal ones.

    Raises:
        ConfigError: a weight is negative.
    """

    def __init__(
        self, *, mask_weight: float = 1.0, label_smoothing: float = 0.05, class_weights: Sequence[float] | None = None
    ) -> None:
        super().__init__()
        if mask_weight < 0 or not 0 <= label_smoothing < 1 or min(class_weights or [0]) < 0:
            found = f"mask_weight {mask_weight}, label_smoothing {label_smoothing}, class_weights {class_weights}"
            raise ConfigError(f"guided_cross_entropy: {found}: give weights of at least 0 and a smoothing below 1")
        self.mask_weight = mask_weight
        self.label_smoothing = label_smoothing
        self.class_weights = None if class_weights is None else list(class_weights)
        self.mask_loss = DiceCELoss(sigmoid=True, smooth_nr=1.0, smooth_dr=1.0)

    def forward(
        self, output: tuple[torch.Tensor, torch.Tensor], target: tuple[torch.Tensor, torch.Tensor]
    ) -> torch.Tensor:
        """Return a scalar ≥ 0, 0 with a gradient of 0 where nothing is known.

        Args:
            output: class logits (B,K) and mask logits (B,1,H,W).
            target: one-hot labels (B,K) and masks (B,1,H,W) of 0 and 1; NaN is unknown.
        """
        (logits, drawn), (label, mask) = (tuple(part.float() for part in parts) for parts in (output, target))
        loss = 0.0 * (logits.sum() + drawn.sum())
        if (known := ~label.isnan().any(dim=1)).any():
            weights = None if self.class_weights is None else logits.new_tensor(self.class_weights)
            loss = loss + functional.cross_entropy(
                logits[known], label[known].argmax(dim=1), weights, label_smoothing=self.label_smoothing
            )
        if (known := ~mask.isnan().flatten(1).any(dim=1)).any():
            loss = loss + self.mask_weight * self.mask_loss(drawn[known], mask[known])
        return loss
