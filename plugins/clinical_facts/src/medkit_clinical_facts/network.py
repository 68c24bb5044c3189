"""A classifier that hears of the patient beside what it sees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

import medkit
from medkit.errors import ConfigError, DataError


class WithFacts(nn.Module):
    """Logits (B,K): what another network says of the image, plus what a small network says of the facts.

    The facts are the channels behind the image's, each constant over it (`FactChannels`). As their part is added behind
    everything, the other network may start from any weights, and heat maps show evidence in the image alone. In the
    beginning the facts say nothing: their last layer is 0. Images without such channels are of patients of whom nothing
    is known: all facts are 0.

    Args:
        in_channels: C, the image's channels alone.
        out_channels: K.
        spatial_dims: 2, or 3 for volumes.
        facts: F, at least 1.
        hidden: values between the facts and the logits.
        network: ``component``, the name of the other network, and its options but the three above.

    Raises:
        ConfigError: ``facts`` or ``hidden`` is below 1; ``network`` names no component.
        PluginError: no plugin offers it.

    Example:
        ```yaml
        network_def:
          _target_: medkit.network
          component: with_facts
          in_channels: 1
          out_channels: 8
          facts: 3
          network: {component: resnet18}
        ```
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        spatial_dims: int = 2,
        *,
        facts: int,
        hidden: int = 16,
        network: Mapping[str, Any],
    ) -> None:
        super().__init__()
        if min(facts, hidden) < 1:
            raise ConfigError(f"with_facts: facts {facts}, hidden {hidden}: give at least 1 of each")
        if not isinstance(network, Mapping) or "component" not in network:
            raise ConfigError(f"with_facts: network is {network}: give {{component: NAME, …options}}")
        self.image_channels, self.facts = in_channels, facts
        options = {"in_channels": in_channels, "out_channels": out_channels, "spatial_dims": spatial_dims}
        self.network = medkit.network(**{**network, **options})
        last = nn.Linear(hidden, out_channels)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.of_facts = nn.Sequential(nn.Linear(facts, hidden), nn.ReLU(), last)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (B,K) of images (B,C+F,H,W), or (B,C,H,W) of unknown patients.

        Raises:
            DataError: the images have another number of channels.
        """
        beyond = images.shape[1] - self.image_channels
        if beyond not in (0, self.facts):
            raise DataError(
                f"with_facts: images of {images.shape[1]} channels: give {self.image_channels}, or {self.facts} more "
                "from fact_channels"
            )
        channels = images[:, self.image_channels :].flatten(2).mean(2)
        facts = channels if beyond else images.new_zeros(len(images), self.facts)
        return self.network(images[:, : self.image_channels]) + self.of_facts(facts)
