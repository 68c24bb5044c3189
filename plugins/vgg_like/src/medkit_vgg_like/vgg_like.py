"""A VGG with fewer and narrower layers (Simonyan, Zisserman 2015, arXiv:1409.1556)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from monai.networks.layers.factories import Conv, Norm, Pool
from torch import nn

from medkit.errors import ConfigError
from medkit_vgg_like.sized import SizedCNN


class VGGLike(SizedCNN):
    """Logits (B,K) of VGG's configuration A (VGG11) at half its width, with batch norm.

    Five blocks of 1, 1, 2, 2 and 2 convolutions 3×3 with padding 1 give 32, 64, 128, 256 and 256 maps; batch norm and
    ReLU follow each convolution, which therefore has no bias, and a 2×2 max-pool each block. All cells of the last maps
    go through linear layers of 2048 and 2048 values with ReLU to the logits. Xavier init.

    Args:
        in_channels: C.
        out_channels: K.
        spatial_dims: 2, or 3 for volumes.
        spatial_size: (H,W) of the images, in pixels; one number for all sides. At least 2 to the number of blocks.
        channels: maps of each block.
        convolutions: of each block.
        hidden: values after each linear layer but the last.
        dropout: the probability that a value of a hidden layer is left out in training; VGG itself has 0.5.

    Raises:
        ConfigError: an option has an impossible value; images are too small for the blocks.

    Example:
        ```yaml
        network_def: {_target_: medkit.network, component: vgg_like, in_channels: 1, out_channels: 8,
                      spatial_size: "@image_size"}
        ```
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        spatial_dims: int = 2,
        *,
        spatial_size: Sequence[int] | int = 256,
        channels: Sequence[int] = (32, 64, 128, 256, 256),
        convolutions: Sequence[int] = (1, 1, 2, 2, 2),
        hidden: Sequence[int] = (2048, 2048),
        dropout: float = 0.0,
    ) -> None:
        if not channels or len(channels) != len(convolutions) or min(*channels, *convolutions) < 1:
            found = f"channels {list(channels)} and convolutions {list(convolutions)}"
            raise ConfigError(f"vgg_like: {found}: give both for each block, at least 1 each")
        if not 0 <= dropout < 1:
            raise ConfigError(f"vgg_like: dropout {dropout}: give a probability from 0 to below 1")
        super().__init__("vgg_like", spatial_dims, spatial_size, halvings=len(channels))
        before = in_channels
        for after, count in zip(channels, convolutions):
            for _ in range(count):
                self.features.extend(
                    [
                        Conv[Conv.CONV, spatial_dims](before, after, 3, padding=1, bias=False),
                        Norm[Norm.BATCH, spatial_dims](after),
                        nn.ReLU(),
                    ]
                )
                before = after
            self.features.append(Pool[Pool.MAX, spatial_dims](2))
        values = [before * self.cells, *hidden]
        for wide, narrow in itertools.pairwise(values):
            self.classifier.extend([nn.Linear(wide, narrow), nn.ReLU(), nn.Dropout(dropout)])
        self.classifier.append(nn.Linear(values[-1], out_channels))
        self.initialise()
