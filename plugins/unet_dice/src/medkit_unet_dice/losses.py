"""Segmentation losses that skip unknown pixels: Dice (MONAI's), cross entropy and squared error (torch's)."""

from __future__ import annotations

import math

import torch
from monai.losses import DiceLoss
from torch import nn
from torch.nn import functional

from medkit.errors import ConfigError


class Dice(nn.Module):
    """1 − Dice of one image and class, then the mean over images and classes with a known pixel.

        1 − (2 Σ p·t + smooth) / (Σ p + Σ t + smooth),  p = σ(logits), sums over the known pixels of an image

    An empty prediction on an empty mask costs 0. With ``smooth`` 1, ten pixels predicted on an empty mask cost 10/11;
    the smaller ``smooth``, the more the loss of an empty mask is the same for any prediction and teaches nothing.

    Args:
        smooth: added above and below the fraction, in pixels.
        batch: sum over all images of the batch before dividing, so that small and empty masks count by their pixels.

    Raises:
        ConfigError: ``smooth`` is not above 0.

    Reference:
        Milletari, Navab, Ahmadi 2016, arXiv:1606.04797 (V-Net); computed by `monai.losses.DiceLoss`.
    """

    def __init__(self, *, smooth: float = 1.0, batch: bool = False) -> None:
        super().__init__()
        if not smooth > 0 or math.isinf(smooth):
            raise ConfigError(f"dice: smooth {smooth}: give a number above 0, in pixels")
        self.batch = batch
        self.dice = DiceLoss(sigmoid=True, smooth_nr=smooth, smooth_dr=smooth, batch=batch, reduction="none")

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return a scalar, 0…1, float32 (float64 for float64 logits).

        Args:
            logits: (B,K,H,W), any floating dtype.
            target: (B,K,H,W): 1 inside, 0 outside, NaN unknown.

        Raises:
            ValueError: the shapes differ.
        """
        known, x, t = known_pixels(logits, target)
        # an unknown pixel is one that is surely outside, both in prediction and truth: it enters no sum
        each = self.dice(x.masked_fill(~known, -torch.inf), t).flatten()
        counted = known.flatten(2).any(2)
        counted = (counted.any(0) if self.batch else counted).flatten()
        return torch.where(counted, each, 0).sum() / counted.sum().clamp(min=1)


class BCE(nn.Module):
    """Mean binary cross entropy over the known pixels, of torch's ``binary_cross_entropy_with_logits``."""

    def __init__(self) -> None:
        super().__init__()

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return a scalar ≥ 0; arguments and errors as for `Dice.forward`."""
        known, x, t = known_pixels(logits, target)
        return _mean(functional.binary_cross_entropy_with_logits(x, t, reduction="none"), known)


class MSE(nn.Module):
    """Mean squared difference of probability and mask over the known pixels, of torch's ``mse_loss``."""

    def __init__(self) -> None:
        super().__init__()

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return a scalar, 0…1; arguments and errors as for `Dice.forward`."""
        known, x, t = known_pixels(logits, target)
        return _mean(functional.mse_loss(torch.sigmoid(x), t, reduction="none"), known)


class DiceBCE(nn.Module):
    """``dice_weight · dice + bce_weight · bce``: the overlap that is asked for, with cross entropy's even gradients.

    Args:
        dice_weight: of `Dice`.
        bce_weight: of `BCE`.
        smooth: as in `Dice`.
        batch: as in `Dice`.

    Raises:
        ConfigError: a weight is negative, or both are 0.

    Reference:
        Isensee et al. 2021, doi:10.1038/s41592-020-01008-z (nnU-Net).
    """

    def __init__(
        self, *, dice_weight: float = 1.0, bce_weight: float = 1.0, smooth: float = 1.0, batch: bool = False
    ) -> None:
        super().__init__()
        if not (dice_weight >= 0 and bce_weight >= 0 and dice_weight + bce_weight > 0):
            found = f"dice_weight {dice_weight} and bce_weight {bce_weight}"
            raise ConfigError(f"dice_bce: {found}: give weights of at least 0, one of them above")
        self.weights = (dice_weight, bce_weight)
        self.dice = Dice(smooth=smooth, batch=batch)
        self.bce = BCE()

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return a scalar ≥ 0; arguments and errors as for `Dice.forward`."""
        dice_weight, bce_weight = self.weights
        return dice_weight * self.dice(logits, target) + bce_weight * self.bce(logits, target)


def known_pixels(logits: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return which pixels are known, and logits and target with 0 where they are not, in float32 at least.

    Raises:
        ValueError: the shapes differ.
    """
    if logits.shape != target.shape:
        raise ValueError(f"logits {tuple(logits.shape)} and target {tuple(target.shape)} must have one shape")
    known = ~torch.isnan(target)
    x = torch.where(known, logits.to(torch.promote_types(logits.dtype, torch.float32)), 0)
    return known, x, torch.where(known, target, 0).to(x.dtype)


def _mean(losses: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    return torch.where(known, losses, 0).sum() / known.sum().clamp(min=1)
