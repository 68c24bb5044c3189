"""ConvMixer (Trockman, Kolter 2022, arXiv:2201.09792, section 2)."""

from __future__ import annotations

import torch
from monai.networks.layers.factories import Conv, Norm, Pool
from monai.networks.layers.simplelayers import SkipConnection
from torch import nn

from medkit.errors import ConfigError


class ConvMixer(nn.Module):
    """Logits (B,K) from (B,C,H,W): patches, then blocks that mix places and channels in turn.

    A convolution makes ``width`` maps of one value a patch. Each of ``depth`` blocks is a depthwise convolution with a
    skip connection, then a 1×1 convolution, both with GELU and batch norm. The mean over places goes to a linear layer.
    The paper's networks are wider (256 and more) and deeper.

    Args:
        in_channels: C.
        out_channels: K.
        spatial_dims: 2, or 3 for volumes.
        width: maps of each layer.
        depth: blocks.
        kernel_size: side of the depthwise convolution, in patches; odd.
        patch_size: side of a patch, in pixels; what is left over at the right and bottom edge is not looked at.

    Raises:
        ConfigError: ``kernel_size`` is even.

    Example:
        ```yaml
        network_def: {_target_: medkit.network, component: conv_mixer, in_channels: 1, out_channels: 8}
        ```
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        spatial_dims: int = 2,
        *,
        width: int = 64,
        depth: int = 4,
        kernel_size: int = 5,
        patch_size: int = 4,
    ) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ConfigError(f"conv_mixer: kernel_size {kernel_size} is even: give an odd number")
        conv, norm = Conv[Conv.CONV, spatial_dims], Norm[Norm.BATCH, spatial_dims]

        def layer(*arguments: int, **options: int | str) -> nn.Sequential:
            return nn.Sequential(conv(*arguments, **options), nn.GELU(), norm(width))

        self.features = nn.Sequential(layer(in_channels, width, patch_size, stride=patch_size))
        for _ in range(depth):
            depthwise = layer(width, width, kernel_size, groups=width, padding="same")
            self.features.extend([SkipConnection(depthwise, mode="add"), layer(width, width, 1)])
        self.pool = Pool[Pool.ADAPTIVEAVG, spatial_dims](1)
        self.classifier = nn.Linear(width, out_channels)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (B,K)."""
        return self.classifier(self.pool(self.features(images)).flatten(1))
