"""DenseNet (Huang, Liu, van der Maaten, Weinberger 2017, arXiv:1608.06993): MONAI's, under torchvision's keys."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from monai.networks.nets import DenseNet
from torch import nn

from medkit.errors import ConfigError
from medkit.pretrained import load_pretrained, scale_input
from medkit_densenet121.weights import DENSENET


class DenseNet121(DenseNet):
    """Logits (B,K) of MONAI's DenseNet from images (B,C,H,W), whose state dict has torchvision's keys.

    The defaults are DenseNet121; ``blocks``, ``growth_rate`` and ``init_features`` give the rest of the family. The
    head is a global average over ReLU'd maps and one linear layer, so class activation maps have a closed form.

    Pretrained networks expect an input scaling of their own. Where it is known (the card beside the weights) it becomes
    the buffer ``input_scaling`` and part of the network: images stay grey values in 0…1, and a checkpoint trained from
    those weights carries it along. A network without it has exactly torchvision's keys.

    Args:
        in_channels: C.
        out_channels: K.
        spatial_dims: 2, or 3 for volumes (no public weights).
        blocks: layers in each dense block; ``(6, 12, 24)`` is DenseNet121 without its last block.
        growth_rate: maps that a layer adds.
        init_features: maps of the first convolution.
        stride: input pixels a cell of the last maps: a power of two from 4 to the family's own, 4·2^(blocks − 1),
            which is the default (32 for DenseNet121). A finer one leaves out the pooling of the last transitions:
            the weights still fit, but pretrained ones then want fine-tuning.
        dropout_prob: after each dense layer.
        weights: a checkpoint file; ``imagenet`` downloads torchvision's; None starts at random.
            See `medkit.pretrained.load_pretrained` for the formats, ``head`` and ``first_layer``.
        labels: the findings in the order of the outputs, to match the head of the file by name.
        head: ``strict`` takes the file's; ``new`` leaves it out and trains a new one.
        first_layer: ``strict``, or how to fit a file to other channels: ``sum`` from 3 to 1 and back; ``average``, or a
            copy of one colour, for each channel beyond the file's.

    Raises:
        ConfigError: an option has a value that is not listed here.
        CheckpointError: the weights do not fit.

    Example:
        ```yaml
        network_def: {_target_: medkit.network, component: densenet121, in_channels: 1, out_channels: 8, stride: 16}
        ```
    """

    input_scaling: torch.Tensor | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        spatial_dims: int = 2,
        *,
        blocks: Sequence[int] = (6, 12, 24, 16),
        growth_rate: int = 32,
        init_features: int = 64,
        stride: int | None = None,
        dropout_prob: float = 0.0,
        weights: str | Path | None = None,
        labels: Sequence[str] | None = None,
        head: Literal["strict", "new"] = "strict",
        first_layer: Literal["strict", "sum", "average", "copy_red", "copy_green", "copy_blue"] = "strict",
    ) -> None:
        super().__init__(
            spatial_dims,
            in_channels,
            out_channels,
            init_features=init_features,
            growth_rate=growth_rate,
            block_config=blocks,
            dropout_prob=dropout_prob,
        )
        for index in range(1, len(blocks) + 1):
            block = self.features.get_submodule(f"denseblock{index}")
            for name, layer in block.named_children():
                block.set_submodule(name, _DenseLayer(OrderedDict(layer.layers.named_children())))
        self.classifier = self.class_layers.out
        del self.class_layers.out
        self._set_stride(len(blocks), stride)
        if spatial_dims == 2:  # a fifth to a third less CPU time; outputs and keys are the same
            self.to(memory_format=torch.channels_last)
        load_pretrained(self, weights, DENSENET, labels=labels, head=head, first_layer=first_layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.class_layers(self.features(scale_input(x, self.input_scaling))))

    def _set_stride(self, blocks: int, stride: int | None) -> None:
        """Leave out the pooling of the last transitions until a cell of the last maps covers ``stride`` pixels."""
        strides = [4 * 2**n for n in range(blocks)]
        if stride is not None and stride not in strides:
            raise ConfigError(f"densenet121: stride {stride} with {blocks} blocks: choose one of {strides}")
        kept = blocks - 1 if stride is None else strides.index(stride)
        for index in range(kept + 1, blocks):
            del self.features.get_submodule(f"transition{index}").pool


class _DenseLayer(nn.Sequential):
    """MONAI's dense layer without the level ``layers``, which torchvision's keys do not have."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return torch.cat([input, super().forward(input)], 1)
