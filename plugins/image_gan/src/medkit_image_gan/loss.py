"""What generator and discriminator learn from each other."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits


class GanLoss:
    """Both losses of MONAI's ``GanTrainer``: cross entropy of the discriminator's real or generated.

    The generator's is the non-saturating one (Goodfellow et al. 2014, arXiv:1406.2661, section 3): its images shall be
    taken for real.

    Args:
        discriminator: (B,C,H,W) → logits (B,1), the trainer's ``d_network``.
    """

    def __init__(self, discriminator: nn.Module) -> None:
        self.discriminator = discriminator

    def __call__(self, generated: torch.Tensor, real: torch.Tensor | None = None) -> torch.Tensor:
        """Return a scalar: with ``real`` the discriminator's loss, without the generator's.

        Args:
            generated: (B,C,H,W); no gradient goes through it into the generator where ``real`` is given.
            real: (N,C,H,W); none (N = 0) where a batch has no readable image.
        """
        if real is None:
            logits = self.discriminator(generated)
            return binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
        logits = self.discriminator(torch.cat([generated.detach(), real]))
        target = torch.zeros_like(logits)
        target[len(generated) :] = 1
        return binary_cross_entropy_with_logits(logits, target)
