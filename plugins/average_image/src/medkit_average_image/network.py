"""A network that subtracts the average image of its training set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

import medkit
from medkit.errors import ConfigError, DataError


class AverageImage(nn.Module):
    """``network(images − average_image)``: what any other network says of the difference to the average image.

    The average is the buffer ``average_image`` (C,H,W) float32, so it is in every checkpoint and nothing has to be
    given in inference. The handler ``average_image`` fills it; until then it is NaN and the network refuses to work.

    Args:
        in_channels: C.
        out_channels: K.
        spatial_dims: 2, or 3 for volumes.
        spatial_size: (H,W) of the images, in pixels; one number for all sides.
        network: ``component``, the name of another network, and its options but the three above.

    Raises:
        ConfigError: ``spatial_size`` has another number of sides; ``network`` names no component.
        PluginError: no plugin offers it.

    Example:
        ```yaml
        network_def:
          _target_: medkit.network
          component: average_image
          in_channels: 1
          out_channels: 8
          spatial_size: "@image_size"
          network: {component: vgg_like, spatial_size: "@image_size"}
        ```
    """

    average_image: torch.Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        spatial_dims: int = 2,
        *,
        spatial_size: Sequence[int] | int,
        network: Mapping[str, Any],
    ) -> None:
        super().__init__()
        sides = [spatial_size] * spatial_dims if isinstance(spatial_size, int) else list(spatial_size)
        if len(sides) != spatial_dims:
            raise ConfigError(
                f"average_image: spatial_size {sides} has {len(sides)} sides: give {spatial_dims}, or one"
            )
        if not isinstance(network, Mapping) or "component" not in network:
            raise ConfigError(f"average_image: network is {network}: give {{component: NAME, …options}}")
        options = {"in_channels": in_channels, "out_channels": out_channels, "spatial_dims": spatial_dims}
        self.network = medkit.network(**{**network, **options})
        self.register_buffer("average_image", torch.full((in_channels, *sides), torch.nan))

    @property
    def fitted(self) -> bool:
        """Whether the average image is there."""
        return not bool(self.average_image.isnan().any())

    def forward(self, images: torch.Tensor) -> Any:
        """Return what the other network says, usually logits (B,K).

        Args:
            images: (B,C,H,W) float.

        Raises:
            ConfigError: there is no average image yet.
            DataError: the images have another shape than it.
        """
        if images.shape[1:] != self.average_image.shape:
            raise DataError(describe_shapes(self.average_image, images[0]))
        if not torch.compiler.is_compiling() and not self.fitted:  # a graph cannot ask for values
            raise ConfigError(
                "average_image: there is no average image yet: put the handler average_image into training, or load a "
                "checkpoint that was trained with it"
            )
        return self.network(images - self.average_image)


def describe_shapes(average: torch.Tensor, image: torch.Tensor) -> str:
    """Return the message for an image (C,H,W) of another shape."""
    asked, found = ("×".join(map(str, tensor.shape)) for tensor in (average, image))
    return f"average_image was built for images of {asked}, found {found}: resize, or set in_channels and spatial_size"
