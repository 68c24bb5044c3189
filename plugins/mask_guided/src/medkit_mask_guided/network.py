"""A classifier that draws the lesion first and then judges what lies inside."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks import nets
from torch import nn
from torch.nn import functional

from medkit.checkpoint import load_strictly, read_checkpoint
from medkit.errors import ConfigError
from medkit.padding import padded

_AREA = 1e-3
"""Added to a mask's share of the image before its logarithm is taken: an empty mask counts as a thousandth."""


class MaskGuided(nn.Module):
    """Class logits (B,K) and mask logits (B,1,H,W) from images (B,C,H,W) of any size.

    nnU-Net's network gives feature maps at half the image's resolution; one 1×1 convolution turns them into the mask.
    The classes are decided by two linear layers over four kinds of evidence: the features averaged inside the mask, the
    features averaged over the image, the mask's share of the image, and the mean and maximum of the coarsest maps. With
    few images, masks say what labels alone do not: which tissue the label is about.

    Args:
        in_channels: C.
        out_channels: K.
        spatial_dims: 2, or 3 for volumes (B,C,H,W,D).
        channels: maps at each level, finest first; at least 3 levels, each half as fine as the one before.
        features: maps that mask and classes are read from.
        hidden: values between the two linear layers.
        dropout: the probability that a value in front of a linear layer is left out in training.
        weights: start from this file of the same network's weights, such as a training on phantoms left.

    Raises:
        ConfigError: an option has an impossible value.
        CheckpointError: the weights belong to another network.

    Reference:
        Caruana 1997, doi:10.1023/A:1007379606734; Isensee et al. 2021, arXiv:1809.10486.

    Example:
        ```yaml
        network_def: {_target_: medkit.network, component: mask_guided, in_channels: 1, out_channels: 3}
        loss: {_target_: medkit.loss, component: guided_cross_entropy}
        ```
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        spatial_dims: int = 2,
        *,
        channels: Sequence[int] = (16, 32, 64, 128, 256),
        features: int = 32,
        hidden: int = 64,
        dropout: float = 0.3,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        if spatial_dims not in (2, 3) or len(channels) < 3 or not 0 <= dropout < 1:
            found = f"spatial_dims {spatial_dims}, channels {list(channels)}, dropout {dropout}"
            raise ConfigError(f"mask_guided: {found}: give 2 or 3 axes, at least 3 levels, dropout from 0 to below 1")
        levels = len(channels)
        trunk = nets.DynUNet(
            spatial_dims,
            in_channels,
            features,
            kernel_size=[3] * levels,
            strides=[2] * levels,
            upsample_kernel_size=[2] * (levels - 1),
            filters=list(channels),
            norm_name="batch",
        )
        self.encoder = nn.ModuleList([trunk.input_block, *trunk.downsamples, trunk.bottleneck])
        self.decoder = trunk.upsamples
        self.to_features = trunk.output_block
        self.to_mask = nn.Linear(features, 1)  # on the channels of each cell: a 1×1 convolution for any number of axes
        evidence = 2 * features + 1 + 2 * channels[-1]
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(evidence, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, out_channels),
        )
        self.multiple = 2**levels
        if spatial_dims == 2:  # less CPU time; outputs and keys are the same
            self.to(memory_format=torch.channels_last)
        if weights is not None:
            load_strictly(self, read_checkpoint(weights), weights)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return class logits (B,K) and mask logits (B,1,H,W); the mask is a localizer's map of the input's size."""
        coarser = [self.encoder[0](padded(images, (self.multiple,) * (images.ndim - 2)))]
        for block in self.encoder[1:]:
            coarser.append(block(coarser[-1]))
        deepest = finer = coarser.pop()
        for block in self.decoder:
            finer = block(finer, coarser.pop())
        features = self.to_features(finer).flatten(2)
        mask = self.to_mask(features.transpose(1, 2)).transpose(1, 2)
        inside, deep = torch.sigmoid(mask), deepest.flatten(2)
        evidence = [
            (features * inside).sum(2) / (inside.sum(2) + 1),
            features.mean(2),
            torch.log(inside.mean(2) + _AREA),
            deep.mean(2),
            deep.amax(2),
        ]
        maps = mask.unflatten(2, finer.shape[2:])
        mode = "bilinear" if images.ndim == 4 else "trilinear"
        maps = functional.interpolate(maps, scale_factor=2, mode=mode, align_corners=False)
        return self.classifier(torch.cat(evidence, dim=1)), maps[(..., *(slice(side) for side in images.shape[2:]))]
