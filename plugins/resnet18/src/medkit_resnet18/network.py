"""ResNet18 (He, Zhang, Ren, Sun 2016, arXiv:1512.03385): MONAI's, whose keys are torchvision's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from monai.networks.nets import ResNet

from medkit.encoder_head import EncoderHead
from medkit.errors import ConfigError
from medkit.pretrained import load_pretrained, scale_input
from medkit_resnet18.weights import RESNET

WIDTHS = (64, 128, 256, 512)


class ResNet18(EncoderHead, ResNet):
    """Logits (B,K) of MONAI's 2D ResNet18 from images (B,C,H,W) of any size.

    The head is a global average over ReLU'd maps and one linear layer, so class activation maps have a closed form.
    ``forward`` is ``head(encode(images))``: the features (B,512) of a frozen network may be kept and the head trained
    on them alone.

    Args:
        in_channels: C.
        out_channels: K.
        spatial_dims: 2.
        weights: a checkpoint file; ``imagenet`` downloads torchvision's; None starts at random.
            See `medkit.pretrained.load_pretrained` for the formats and ``first_layer``.
        labels: the findings in the order of the outputs: the file's last layer is taken too, its outputs matched by
            name. None: the last layer is new. ImageNet's classes are no findings: with ``imagenet`` it is always new.
        first_layer: ``strict``, or how to fit a file to other channels: ``sum`` from 3 to 1 and back; ``average``, or a
            copy of one colour, for each channel beyond the file's.
        frozen: the last layer trains, and nothing else: no gradients, not even work for them, and evaluation mode
            always, so that batch norm keeps its statistics too.

    Raises:
        ConfigError: an option has a value that is not listed here.
        CheckpointError: the weights do not fit.

    Example:
        ```yaml
        network_def: {_target_: medkit.network, component: resnet18, in_channels: 1, out_channels: 8,
                      weights: imagenet, first_layer: sum, frozen: true}
        ```
    """

    last = "fc"
    input_scaling: torch.Tensor | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        spatial_dims: int = 2,
        *,
        weights: str | Path | None = None,
        labels: Sequence[str] | None = None,
        first_layer: Literal["strict", "sum", "average", "copy_red", "copy_green", "copy_blue"] = "strict",
        frozen: bool = False,
    ) -> None:
        if spatial_dims != 2:
            raise ConfigError(f"ResNet: spatial_dims is {spatial_dims}: it is made for 2")
        super().__init__(
            "basic",
            [2, 2, 2, 2],
            list(WIDTHS),
            spatial_dims,
            in_channels,
            conv1_t_stride=2,
            num_classes=out_channels,
            bias_downsample=False,
        )
        self.to(memory_format=torch.channels_last)  # less CPU time; outputs and keys are the same
        head = "new" if labels is None else "strict"
        load_pretrained(self, weights, RESNET, labels=labels, head=head, first_layer=first_layer)
        if frozen:
            self.freeze()

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """Return the features (B,512) that the last layer takes; without gradients where all before it is frozen.

        Args:
            images: (B,C,H,W) float, grey values in 0…1.
        """
        with self.encoding():
            maps = self.act(self.bn1(self.conv1(scale_input(images, self.input_scaling))))
            for layer in (self.maxpool, self.layer1, self.layer2, self.layer3, self.layer4, self.avgpool):
                maps = layer(maps)
            return maps.flatten(1)

    def head(self, features: torch.Tensor) -> torch.Tensor:
        """(B,512) → logits (B,K)."""
        return self.fc(features)
