"""A compact CNN: convolution blocks that each quarter the image, then linear layers over all that is left."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from monai.networks.layers.factories import Conv, Norm, Pool
from torch import nn

from medkit.errors import ConfigError, DataError

KERNEL = 5


class CompactCNN(nn.Module):
    """Logits (B,K) from images (B,C,H,W) of one fixed size.

    A block is a 5×5 convolution of stride 2 and padding 2, batch norm, ReLU and a 2×2 max-pool; its output is a quarter
    as high and wide. After the last block all cells are flattened, and linear layers with ReLU in between end in the
    logits. With the defaults, one channel, three classes and 512×512 pixels that is 1→64→128→256 maps, 16384→256→64→3
    values and 5,238,147 parameters.

    Because the first linear layer takes every cell, the network is bound to its ``spatial_size``. ``pool`` averages the
    cells instead: then 88 % of the parameters go, and images of other sizes are accepted.

    Args:
        in_channels: C.
        out_channels: K.
        spatial_dims: 2, or 3 for volumes (B,C,H,W,D).
        spatial_size: (H,W) of the images, in pixels; one number for all sides.
        channels: maps after each block.
        hidden: values after each linear layer but the last.
        dropout: the probability that a value in front of a linear layer is left out in training.
        pool: average the cells of the last maps in place of flattening them.

    Raises:
        ConfigError: an option has an impossible value; images are too small for the blocks.

    Example:
        ```yaml
        network_def: {_target_: medkit.network, component: compact_cnn, in_channels: 1, out_channels: 3,
                      spatial_size: "@image_size"}
        ```
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        spatial_dims: int = 2,
        *,
        spatial_size: Sequence[int] | int = 512,
        channels: Sequence[int] = (64, 128, 256),
        hidden: Sequence[int] = (256, 64),
        dropout: float = 0.0,
        pool: bool = False,
    ) -> None:
        super().__init__()
        if spatial_dims not in (2, 3):
            raise ConfigError(f"compact_cnn: spatial_dims is {spatial_dims}: choose 2 or 3")
        sides = [spatial_size] * spatial_dims if isinstance(spatial_size, int) else list(spatial_size)
        if len(sides) != spatial_dims:
            raise ConfigError(f"compact_cnn: spatial_size {sides} has {len(sides)} sides: give {spatial_dims}, or one")
        if not channels or not 0 <= dropout < 1:
            found = f"channels {list(channels)} and dropout {dropout}"
            raise ConfigError(f"compact_cnn: {found}: give at least one block and a dropout from 0 to below 1")
        smallest = smallest_side(len(channels))
        if min(sides) < smallest:
            size = "×".join(map(str, sides))
            raise ConfigError(
                f"compact_cnn: images of {size} are too small for {len(channels)} blocks: give at least {smallest} "
                "pixels a side, or fewer channels"
            )
        self.spatial_size = tuple(sides)
        self.pool = pool
        widths = [in_channels, *channels]
        blocks = [_block(before, after, spatial_dims) for before, after in itertools.pairwise(widths)]
        self.features = nn.Sequential(*blocks)
        cells = 1 if pool else math.prod(_side_after(side, len(channels)) for side in sides)
        values = [channels[-1] * cells, *hidden]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(values):
            layers += [nn.Dropout(dropout), nn.Linear(before, after), nn.ReLU()]
        self.classifier = nn.Sequential(*layers, nn.Dropout(dropout), nn.Linear(values[-1], out_channels))
        if spatial_dims == 2:  # less CPU time; outputs and keys are the same
            self.to(memory_format=torch.channels_last)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (B,K).

        Args:
            images: (B,C,H,W) float of ``spatial_size`` (with ``pool``: at least of the smallest size).

        Raises:
            DataError: the images have another size.
        """
        size = tuple(images.shape[2:])
        if size != self.spatial_size and not self.pool:
            asked, found = ("×".join(map(str, sides)) for sides in (self.spatial_size, size))
            raise DataError(f"compact_cnn was built for images of {asked}, found {found}: resize, or set spatial_size")
        maps = self.features(images)
        return self.classifier(maps.flatten(2).mean(2) if self.pool else maps.flatten(1))


def smallest_side(blocks: int) -> int:
    """Return the fewest pixels a side that ``blocks`` blocks leave a cell of: 3, 11, 43, 171, …"""
    side = 1
    for _ in range(blocks):
        side = 4 * side - 1
    return side


def _side_after(side: int, blocks: int) -> int:
    for _ in range(blocks):
        side = (side + 1) // 2 // 2
    return side


def _block(before: int, after: int, dims: int) -> nn.Sequential:
    return nn.Sequential(
        Conv[Conv.CONV, dims](before, after, KERNEL, stride=2, padding=KERNEL // 2),
        Norm[Norm.BATCH, dims](after),
        nn.ReLU(),
        Pool[Pool.MAX, dims](2),
    )
