"""An auto-encoder around a classifier's convolutions (Masci et al. 2011, doi:10.1007/978-3-642-21735-7_7)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from monai.networks.blocks import Convolution
from torch import nn
from torch.nn import functional

import medkit
from medkit.device import evaluating
from medkit.errors import ConfigError
from medkit_autoencoder.maps import find_last_maps, run_to


class AutoEncoder(nn.Module):
    """Reconstructions (B,C,H,W) of images (B,C,H,W).

    The encoder is any classifier up to its last maps, the last ones before pooling and head. The decoder doubles their
    sides, by repeating cells, until they are the image's; a 3×3 convolution, batch norm and ReLU follow each time
    (Odena, Dumoulin, Olah 2016, doi:10.23915/distill.00003), and a last 3×3 convolution gives the C channels. Nothing
    bounds them.

    The classifier's head is there, so that the encoder is the classifier itself, but it is neither run nor trained.

    Args:
        in_channels: C.
        out_channels: K of the encoder's head; no output depends on it.
        spatial_dims: 2, or 3 for volumes.
        spatial_size: (H,W) of the images, in pixels; one number for all sides.
        encoder: ``component``, the name of a classifier, and its options but the three above.
        width: maps of the decoder's first convolution; each further one has half as many, at least 16.

    Raises:
        ConfigError: an option has an impossible value; the encoder makes no maps, or is frozen.
        PluginError: no plugin offers it.

    Example:
        ```yaml
        network_def:
          _target_: medkit.network
          component: autoencoder
          in_channels: 1
          out_channels: "$len(@findings)"
          spatial_size: "@image_size"
          encoder: {component: densenet121, stride: 16}
        ```
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        spatial_dims: int = 2,
        *,
        spatial_size: Sequence[int] | int,
        encoder: Mapping[str, Any],
        width: int = 256,
    ) -> None:
        super().__init__()
        sides = [spatial_size] * spatial_dims if isinstance(spatial_size, int) else list(spatial_size)
        if len(sides) != spatial_dims:
            raise ConfigError(f"autoencoder: spatial_size {sides} has {len(sides)} sides: give {spatial_dims}, or one")
        if not isinstance(encoder, Mapping) or "component" not in encoder:
            raise ConfigError(f"autoencoder: encoder is {encoder}: give {{component: NAME, …options}}")
        if width < 1:
            raise ConfigError(f"autoencoder: width {width}: give at least 1")
        options = {"in_channels": in_channels, "out_channels": out_channels, "spatial_dims": spatial_dims}
        self.encoder = medkit.network(**{**encoder, **options})
        with evaluating(self.encoder):
            self.maps = find_last_maps(self.encoder, torch.zeros(1, in_channels, *sides))
        for key, parameter in self.encoder.named_parameters():
            if not self._makes_maps(key):
                parameter.requires_grad_(False)
        if not any(parameter.requires_grad for parameter in self.encoder.parameters()):
            raise ConfigError(f"autoencoder: encoder {encoder['component']} is frozen: let it train")

        before, *cells = self.maps.shape
        self.doublings = math.ceil(math.log2(max(side / cell for side, cell in zip(sides, cells))))
        self.decoder = nn.ModuleList()
        for step in range(self.doublings):
            after = max(width >> step, 16)
            self.decoder.append(
                Convolution(
                    spatial_dims, before, after, kernel_size=3, adn_ordering="NA", norm="batch", act="relu", bias=False
                )
            )
            before = after
        self.last = Convolution(spatial_dims, before, in_channels, kernel_size=3, conv_only=True)

    def forward(self, images: torch.Tensor, readable: torch.Tensor | None = None) -> torch.Tensor:
        """Return reconstructions (B,C,H,W).

        Args:
            images: (B,C,H,W) float.
            readable: (B,) bool; the others come back as they are, with an error and a gradient of 0, and batch norm
                does not see them. None: all are.
        """
        if readable is None or readable.all():
            return self._reconstruct(images)
        if readable.any():
            made = self._reconstruct(images[readable])
            return images.to(made.dtype).index_put((readable,), made)
        with evaluating(self):
            return images + 0 * self._reconstruct(images)

    def encoder_state(self) -> dict[str, torch.Tensor]:
        """Return the classifier's state dict without its head, under the classifier's own keys."""
        return {key: value for key, value in self.encoder.state_dict().items() if self._makes_maps(key)}

    def _makes_maps(self, key: str) -> bool:
        return key.rpartition(".")[0] in self.maps.modules

    def _reconstruct(self, images: torch.Tensor) -> torch.Tensor:
        values = run_to(self.encoder, self.maps, images)
        for step, convolution in enumerate(self.decoder, start=1):
            left = 2 ** (self.doublings - step)
            size = [-(-side // left) for side in images.shape[2:]]
            values = convolution(functional.interpolate(values, size, mode="nearest"))
        return self.last(values)
