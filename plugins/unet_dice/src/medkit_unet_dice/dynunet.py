"""nnU-Net's network (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z): MONAI's DynUNet, for images of any size."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from monai.networks import nets
from torch.nn import functional

from medkit.checkpoint import load_strictly, read_checkpoint
from medkit.errors import ConfigError
from medkit.padding import cropped, padded
from medkit_unet_dice.unet import check, to_channels_last


class DynUNet(nets.DynUNet):
    """Mask logits (B,K,H,W) from images (B,C,H,W) of any size; the state dict has the keys of MONAI's DynUNet.

    Two convolutions a level on either side, with leaky ReLU, where `unet` has one. Most of a UNet's time goes into the
    level of full resolution; with a first stride of 2, the default, there is none: everything runs at half the
    resolution or coarser, and the logits are enlarged linearly to the image's size.

    Args:
        in_channels: C.
        out_channels: K, 1 for a lesion mask.
        spatial_dims: 2, or 3 for volumes (B,C,H,W,D).
        channels: maps at each level, finest first; at least 3 levels.
        strides: how much coarser each level is than the one before, the first than the image.
        residual: add what goes into each pair of convolutions to what comes out.
        norm: ``instance`` or ``batch``.
        dropout: the probability that a value is left out in training.
        weights: start from this file of the same network's weights, such as a training on phantoms left.

    Raises:
        ConfigError: options do not fit each other.
        CheckpointError: the weights belong to another network.

    Example:
        ```yaml
        network_def: {_target_: medkit.network, component: dynunet, in_channels: 1, out_channels: 1}
        ```
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        spatial_dims: int = 2,
        *,
        channels: Sequence[int] = (16, 32, 64, 128, 256),
        strides: Sequence[int] = (2, 2, 2, 2, 2),
        residual: bool = False,
        norm: str = "batch",
        dropout: float = 0.0,
        weights: str | None = None,
    ) -> None:
        check("dynunet", channels, norm, dropout, levels=3)
        if len(strides) != len(channels):
            raise ConfigError(f"dynunet: {len(strides)} strides for {len(channels)} channels: give as many strides")
        super().__init__(
            spatial_dims,
            in_channels,
            out_channels,
            kernel_size=[3] * len(channels),
            strides=list(strides),
            upsample_kernel_size=list(strides[1:]),
            filters=list(channels),
            res_block=residual,
            norm_name=("instance", {"affine": True}) if norm == "instance" else norm,
            dropout=dropout or None,
        )
        self.multiples = (math.prod(strides),) * spatial_dims
        to_channels_last(self, spatial_dims)
        if weights is not None:
            load_strictly(self, read_checkpoint(weights), weights)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        fitting = padded(x, self.multiples)
        logits = super().forward(fitting)
        if logits.shape[2:] != fitting.shape[2:]:
            mode = "bilinear" if logits.ndim == 4 else "trilinear"
            logits = functional.interpolate(logits, fitting.shape[2:], mode=mode, align_corners=False)
        return cropped(logits, x.shape[2:])
