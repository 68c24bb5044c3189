"""One value a map, between its average and its maximum."""

from __future__ import annotations

import math

import torch
from torch import nn

from medkit.errors import ConfigError


class LogSumExpPool(nn.Module):
    """``log(mean(exp(r·x))) / r`` over the cells x of a map (Pinheiro, Collobert 2015, arXiv:1411.6228).

    It goes to the average where r goes to 0, and to the maximum where r grows.

    Args:
        sharpness: r, above 0.

    Raises:
        ConfigError: ``sharpness`` is not above 0.
    """

    def __init__(self, sharpness: float) -> None:
        super().__init__()
        if not 0 < sharpness < math.inf:
            raise ConfigError(f"log_sum_exp: sharpness {sharpness}: give a number above 0, e.g. 10")
        self.sharpness = sharpness

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(B,C,h,w) → (B,C)."""
        cells = maps.flatten(2)
        peak = cells.detach().amax(2, keepdim=True)  # taken off first: precise and finite for large values
        above = torch.logsumexp(self.sharpness * (cells - peak), dim=2) - math.log(cells.shape[2])
        return peak.squeeze(2) + above / self.sharpness
