"""The head alone, for features that are already there."""

from __future__ import annotations

from typing import Any

import torch
from monai.inferers import Inferer
from torch import nn

from medkit.errors import ConfigError
from medkit_cached_features.frozen import require_head


class HeadInferer(Inferer):
    """MONAI Inferer: ``network.head(features)`` in place of ``network(images)``; for training and validation alike.

    Example:
        ```yaml
        inferer: {_target_: medkit.transform, component: head_inferer}
        ```
    """

    def __call__(self, inputs: torch.Tensor, network: nn.Module, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return logits (B,K).

        Args:
            inputs: (B,F) float32, features from the data set ``cached_features``.
            network: any with ``encode`` and ``head``.
            *args: for the head.
            **kwargs: for the head.

        Raises:
            ConfigError: the network is data-parallel or has no head, or the inputs are no features.
        """
        require_head(network, "head_inferer")
        if inputs.ndim != 2:
            found = "×".join(map(str, inputs.shape))
            raise ConfigError(
                f"head_inferer takes features (B,F), found inputs of {found}: take the data set from cached_features"
            )
        return network.head(inputs, *args, **kwargs)
