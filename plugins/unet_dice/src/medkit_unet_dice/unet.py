"""UNet (Ronneberger, Fischer, Brox 2015, arXiv:1505.04597): MONAI's, for images of any size."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from monai.networks import nets
from torch import nn

from medkit.errors import ConfigError
from medkit.padding import cropped, padded


class UNet(nets.UNet):
    """Mask logits (B,K,H,W) from images (B,C,H,W) of any size; the state dict has the keys of MONAI's UNet.

    MONAI's network needs sides that are multiples of the product of its strides; other images are padded by repeating
    their last row and column, and the logits are cut back.

    Args:
        in_channels: C.
        out_channels: K, 1 for a lesion mask.
        spatial_dims: 2, or 3 for volumes (B,C,H,W,D).
        channels: maps at each level, finest first.
        strides: how much coarser each level is than the one before; one fewer than channels.
        num_res_units: convolutions inside each residual unit; 0: plain convolutions.
        norm: ``instance`` or ``batch``.
        dropout: the probability that a value is left out in training.

    Raises:
        ConfigError: options do not fit each other.

    Example:
        ```yaml
        network_def: {_target_: medkit.network, component: unet, in_channels: 1, out_channels: 1}
        ```
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        spatial_dims: int = 2,
        *,
        channels: Sequence[int] = (16, 32, 64, 128, 256),
        strides: Sequence[int] = (2, 2, 2, 2),
        num_res_units: int = 2,
        norm: str = "instance",
        dropout: float = 0.0,
    ) -> None:
        check("unet", channels, norm, dropout)
        if len(strides) != len(channels) - 1:
            raise ConfigError(f"unet: {len(strides)} strides for {len(channels)} channels: give one stride fewer")
        super().__init__(
            spatial_dims,
            in_channels,
            out_channels,
            channels,
            strides,
            num_res_units=num_res_units,
            norm=norm,
            dropout=dropout,
        )
        self.multiples = (math.prod(strides),) * spatial_dims
        to_channels_last(self, spatial_dims)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return cropped(super().forward(padded(x, self.multiples)), x.shape[2:])


def check(name: str, channels: Sequence[int], norm: str, dropout: float, levels: int = 2) -> None:
    """Raise `ConfigError` for what no network of this plugin can be built from."""
    if len(channels) < levels:
        raise ConfigError(f"{name}: channels {list(channels)} make too few levels: give at least {levels}")
    if norm not in ("instance", "batch"):
        raise ConfigError(f'{name}: norm "{norm}" is unknown: choose instance or batch')
    if not 0 <= dropout < 1:
        raise ConfigError(f"{name}: dropout {dropout}: give a probability from 0 to below 1")


def to_channels_last(network: nn.Module, spatial_dims: int) -> None:
    """Keep the weights in the order that costs less CPU time; outputs and keys are the same."""
    if spatial_dims == 2:
        network.to(memory_format=torch.channels_last)
