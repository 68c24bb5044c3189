"""What both networks share: features of images of one size, flattened, and a classifier over all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from medkit.errors import ConfigError, DataError


class SizedCNN(nn.Module):
    """Logits (B,K) = ``classifier(flatten(features(images)))`` for images of one size.

    Attributes:
        features: modules that halve each side ``halvings`` times, rounding down; the subclass fills it.
        classifier: modules from ``cells`` times the last maps' number to K values; the subclass fills it.
        cells: of one of the last maps.

    Args:
        name: of the component, for messages.
        spatial_dims: 2, or 3 for volumes (B,C,H,W,D).
        spatial_size: (H,W) of the images, in pixels; one number for all sides.
        halvings: how often the features halve each side.

    Raises:
        ConfigError: ``spatial_dims`` or ``spatial_size`` is impossible; images are too small.
    """

    def __init__(self, name: str, spatial_dims: int, spatial_size: Sequence[int] | int, halvings: int) -> None:
        super().__init__()
        if spatial_dims not in (2, 3):
            raise ConfigError(f"{name}: spatial_dims is {spatial_dims}: choose 2 or 3")
        sides = [spatial_size] * spatial_dims if isinstance(spatial_size, int) else list(spatial_size)
        if len(sides) != spatial_dims:
            raise ConfigError(f"{name}: spatial_size {sides} has {len(sides)} sides: give {spatial_dims}, or one")
        if min(sides) < 2**halvings:
            size = "×".join(map(str, sides))
            raise ConfigError(
                f"{name}: images of {size} are too small to be halved {halvings} times: give at least {2**halvings} "
                "pixels a side"
            )
        self.name = name
        self.spatial_size = tuple(sides)
        self.cells = math.prod(side // 2**halvings for side in sides)
        self.features = nn.Sequential()
        self.classifier = nn.Sequential()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (B,K).

        Args:
            images: (B,C,H,W) float of ``spatial_size``.

        Raises:
            DataError: the images have another size.
        """
        if tuple(images.shape[2:]) != self.spatial_size:
            asked, found = ("×".join(map(str, sides)) for sides in (self.spatial_size, images.shape[2:]))
            raise DataError(f"{self.name} was built for images of {asked}, found {found}: resize, or set spatial_size")
        return self.classifier(self.features(images).flatten(1))

    def initialise(self) -> None:
        """Draw all weights of convolutions and linear layers anew: Xavier, uniform; biases are 0.

        Uniform within ±√(6 / (fan in + fan out)): Glorot, Bengio 2010, proceedings.mlr.press/v9/glorot10a.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d | nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        if len(self.spatial_size) == 2:  # less CPU time; outputs and keys are the same
            self.to(memory_format=torch.channels_last)
