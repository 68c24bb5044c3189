"""Two convolutions and a linear layer."""

from __future__ import annotations

from collections.abc import Sequence

from monai.networks.layers.factories import Conv, Pool
from torch import nn

from medkit_vgg_like.sized import SizedCNN


class SimpleCNN(SizedCNN):
    """Logits (B,K) of a two-layer CNN.

    Twice a 5×5 convolution with padding 2, ReLU and a 2×2 max-pool, 1→32→64 maps; then one linear layer over all cells.
    Xavier init, no normalisation.

    Args:
        in_channels: C.
        out_channels: K.
        spatial_dims: 2, or 3 for volumes.
        spatial_size: (H,W) of the images, in pixels; one number for all sides. At least 4.

    Raises:
        ConfigError: ``spatial_dims`` or ``spatial_size`` is impossible; images are too small.

    Example:
        ```yaml
        network_def: {_target_: medkit.network, component: simple_cnn, in_channels: 1, out_channels: 8,
                      spatial_size: "@image_size"}
        ```
    """

    def __init__(
        self, in_channels: int, out_channels: int, spatial_dims: int = 2, *, spatial_size: Sequence[int] | int = 256
    ) -> None:
        super().__init__("simple_cnn", spatial_dims, spatial_size, halvings=2)
        for before, after in ((in_channels, 32), (32, 64)):
            self.features.extend(
                [
                    Conv[Conv.CONV, spatial_dims](before, after, 5, padding=2),
                    nn.ReLU(),
                    Pool[Pool.MAX, spatial_dims](2),
                ]
            )
        self.classifier.append(nn.Linear(64 * self.cells, out_channels))
        self.initialise()
