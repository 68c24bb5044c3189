"""A small CNN, four parallel convolutions in its middle."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from monai.networks.layers.factories import Conv, Norm, Pool
from torch import nn

from medkit.errors import ConfigError, DataError

SMALLEST = 94
"""Pixels a side that leave one cell behind the last pool."""


class Parallel(nn.ModuleList):
    """The outputs of several modules for one input, concatenated along the channels."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return (B,ΣC,H,W)."""
        return torch.cat([module(images) for module in self], dim=1)


class DenseNetLike(nn.Module):
    """Logits (B,K) of images (B,C,H,W) of one size.

    | | maps |
    |---|---|
    | batch norm | C |
    | three times: 3×3 convolution, ReLU, batch norm | 8, 8, 16 |
    | 2×2 max-pool, dropout p | |
    | side by side: 1×1, 3×3, 5×5 and 7×7 convolutions, ReLU; concatenated | 4 · 16 |
    | batch norm, 2×2 max-pool, dropout p | |
    | three times: 3×3 convolution, ReLU, batch norm, 2×2 max-pool, dropout p | 32, 64, 128 |
    | all cells: dropout 0.5, linear, ReLU, batch norm, dropout 0.1, linear | 28, K |

    The 3×3 convolutions in a row have no padding, so each takes a pixel off every edge; those side by side keep the
    size. A batch in training has at least two images, for batch norm. Xavier init, uniform; biases are 0.

    Args:
        in_channels: C.
        out_channels: K.
        spatial_dims: 2, or 3 for volumes.
        spatial_size: (H,W) of the images, in pixels; one number for all sides. At least 94.
        dropout: p, the probability that a value is left out behind each pool in training.

    Raises:
        ConfigError: an option has an impossible value; images are too small.

    Example:
        ```yaml
        network_def: {_target_: medkit.network, component: densenet_like, out_channels: 28,
                      spatial_size: "@image_size"}
        ```
    """

    def __init__(
        self,
        in_channels: int = 4,
        out_channels: int = 28,
        spatial_dims: int = 2,
        *,
        spatial_size: Sequence[int] | int = 256,
        dropout: float = 0.25,
    ) -> None:
        super().__init__()
        if spatial_dims not in (2, 3):
            raise ConfigError(f"densenet_like: spatial_dims is {spatial_dims}: choose 2 or 3")
        sides = [spatial_size] * spatial_dims if isinstance(spatial_size, int) else list(spatial_size)
        if len(sides) != spatial_dims:
            raise ConfigError(f"densenet_like: spatial_size {sides}: give {spatial_dims} sides, or one for all")
        if min(sides) < SMALLEST:
            raise ConfigError(f"densenet_like: images of {_size(sides)} are too small: give at least {SMALLEST} a side")
        if not 0 <= dropout < 1:
            raise ConfigError(f"densenet_like: dropout {dropout}: give a probability from 0 to below 1")
        self.spatial_size = tuple(sides)

        def convolution(before: int, after: int, kernel: int = 3, padding: int = 0) -> nn.Sequential:
            return nn.Sequential(Conv[Conv.CONV, spatial_dims](before, after, kernel, padding=padding), nn.ReLU())

        def norm(maps: int) -> nn.Module:
            return Norm[Norm.BATCH, spatial_dims](maps)

        def pool() -> list[nn.Module]:
            return [Pool[Pool.MAX, spatial_dims](2), nn.Dropout(dropout)]

        self.features = nn.Sequential(norm(in_channels))
        for before, after in ((in_channels, 8), (8, 8), (8, 16)):
            self.features.extend([convolution(before, after), norm(after)])
        self.features.extend(pool())
        self.features.append(Parallel(convolution(16, 16, kernel, kernel // 2) for kernel in (1, 3, 5, 7)))
        self.features.extend([norm(64), *pool()])
        for before, after in ((64, 32), (32, 64), (64, 128)):
            self.features.extend([convolution(before, after), norm(after), *pool()])
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Dropout(0.5), nn.Linear(128 * math.prod(map(_left, sides)), 28), nn.ReLU(),
            nn.BatchNorm1d(28), nn.Dropout(0.1), nn.Linear(28, out_channels),
        )  # fmt: skip
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d | nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.get_parameter("bias"))
        if spatial_dims == 2:  # less CPU time; outputs and keys are the same
            self.to(memory_format=torch.channels_last)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (B,K).

        Args:
            images: (B,C,H,W) float of ``spatial_size``.

        Raises:
            DataError: the images have another size.
        """
        if tuple(images.shape[2:]) != self.spatial_size:
            asked, found = _size(self.spatial_size), _size(images.shape[2:])
            raise DataError(f"densenet_like was built for images of {asked}, found {found}: resize or set spatial_size")
        return self.classifier(self.features(images))


def _left(side: int) -> int:
    """Return how many cells of ``side`` pixels are left behind the last pool."""
    side = (side - 6) // 2 // 2
    for _ in range(3):
        side = (side - 2) // 2
    return side


def _size(sides: Sequence[int]) -> str:
    return "×".join(map(str, sides))
