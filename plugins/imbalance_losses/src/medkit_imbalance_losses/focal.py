"""The focal loss (Lin et al. 2017, arXiv:1708.02002)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.losses.focal_loss import sigmoid_focal_loss

from medkit.errors import ConfigError
from medkit_imbalance_losses.known_labels import KnownLabelsLoss


class Focal(KnownLabelsLoss):
    """A scalar: the mean over the known labels of a batch of −α_t · (1 − p_t)^γ · log p_t.

    p_t is the probability that the network gives the label, σ(x) for a 1 and 1 − σ(x) for a 0; α_t is α for a 1 and
    1 − α for a 0. Labels that the network is sure of, most of which are the absences of rare classes, hardly count.
    MONAI's ``sigmoid_focal_loss``, and equal to its ``FocalLoss`` where every label is known; with ``gamma`` 0 and
    without ``alpha`` it is binary cross entropy. The paper divides by the number of positives, this by that of known
    labels. How NaN and mixed precision are treated: see `KnownLabelsLoss`.

    Args:
        gamma: γ ≥ 0: how fast the loss falls as the network gets surer; 2 is the paper's best.
        alpha: α from 0 to 1: the weight of presence against absence, of all classes alike; the paper's best beside
            ``gamma`` 2 is 0.25. None: no α_t.
        class_weights: K factors ≥ 0, one a class. They do not enter the number of labels.

    Raises:
        ConfigError: an option has no such value, or the number of weights is not that of the classes.

    Reference:
        Lin, Goyal, Girshick, He, Dollár 2017, ICCV, arXiv:1708.02002, equation 5.

    Example:
        ```yaml
        loss: {_target_: medkit.loss, component: focal, gamma: 2}
        ```
    """

    def __init__(
        self, *, gamma: float = 2.0, alpha: float | None = None, class_weights: Sequence[float] | None = None
    ) -> None:
        super().__init__(class_weights)
        if not 0 <= gamma < float("inf"):
            raise ConfigError(f"focal: gamma is {gamma}: give a number of at least 0")
        if alpha is not None and not 0 <= alpha <= 1:
            raise ConfigError(f"focal: alpha is {alpha}: give a number from 0 to 1")
        self.gamma, self.alpha = gamma, alpha

    def of_known(self, x: torch.Tensor, y: torch.Tensor, known: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Return the scalar."""
        each = sigmoid_focal_loss(x, y, self.gamma, self.alpha)
        return (known * weights * each).sum() / known.sum().clamp(min=1)
