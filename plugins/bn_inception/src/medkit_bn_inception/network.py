"""BN-Inception (Ioffe, Szegedy 2015, arXiv:1502.03167), also Inception v2: GoogLeNet with batch norm."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import nn
from torch.nn.functional import avg_pool2d, max_pool2d, pad, relu

from medkit.encoder_head import EncoderHead
from medkit.errors import ConfigError
from medkit.pretrained import load_pretrained, scale_input
from medkit_bn_inception.weights import BN_INCEPTION


def average(maps: torch.Tensor) -> torch.Tensor:
    return avg_pool2d(maps, 3, stride=1, padding=1)


def maximum(maps: torch.Tensor) -> torch.Tensor:
    return max_pool2d(maps, 3, stride=1, padding=1)


def halve(maps: torch.Tensor) -> torch.Tensor:
    """Max-pool to half the size, rounded up as by a convolution; zeros change no maximum, for the maps are ReLU'd."""
    return max_pool2d(pad(maps, (0, 1, 0, 1)), 3, stride=2, ceil_mode=True)


STEM = (64, 64, 192)
BLOCKS = {  # 1×1; reduced, 3×3; reduced, double 3×3; pooling, projected. A block without 1×1 halves the maps.
    "3a": (64, 64, 64, 64, 96, average, 32),
    "3b": (64, 64, 96, 64, 96, average, 64),
    "3c": (0, 128, 160, 64, 96, halve, 0),
    "4a": (224, 64, 96, 96, 128, average, 128),
    "4b": (192, 96, 128, 96, 128, average, 128),
    "4c": (160, 128, 160, 128, 160, average, 128),
    "4d": (96, 128, 192, 160, 192, average, 128),
    "4e": (0, 128, 192, 192, 256, halve, 0),
    "5a": (352, 192, 320, 160, 224, average, 128),
    "5b": (352, 192, 320, 192, 224, maximum, 128),
}


class BNInception(EncoderHead):
    """Logits (B,K) from images (B,C,H,W) of any size from 7×7 on.

    Keys and arithmetic are those of the published weights. A block that meets maps of an odd size rounds up; the
    published network cannot take them.

    The maps of block 3a are the output of the layer ``inception_3a_output``, and so on to the last, (B,1024,H/32,W/32)
    of ``inception_5b_output``. The head is their global average and one linear layer, so class activation maps have a
    closed form. ``forward`` is ``head(encode(images))``: the features (B,1024) of a frozen network may be kept and the
    head trained on them alone.

    Args:
        in_channels: C; three are red, green and blue.
        out_channels: K.
        spatial_dims: 2.
        weights: a checkpoint file; ``imagenet`` downloads the published one; None starts at random.
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
        network_def: {_target_: medkit.network, component: bn_inception, in_channels: 4, out_channels: 28,
                      weights: imagenet, first_layer: average}
        ```
    """

    last = "last_linear"
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
        super().__init__()
        if spatial_dims != 2:
            raise ConfigError(f"BNInception: spatial_dims is {spatial_dims}: it is made for 2")
        self._add("conv1_7x7_s2", in_channels, STEM[0], 7, stride=2)
        self._add("conv2_3x3_reduce", STEM[0], STEM[1], 1)
        self._add("conv2_3x3", STEM[1], STEM[2], 3)
        before = STEM[2]
        for name, (one, reduced, three, reduced_double, double, _, projected) in BLOCKS.items():
            block, stride = f"inception_{name}", 1 if one else 2
            if one:
                self._add(f"{block}_1x1", before, one, 1)
            self._add(f"{block}_3x3_reduce", before, reduced, 1)
            self._add(f"{block}_3x3", reduced, three, 3, stride)
            self._add(f"{block}_double_3x3_reduce", before, reduced_double, 1)
            self._add(f"{block}_double_3x3_1", reduced_double, double, 3)
            self._add(f"{block}_double_3x3_2", double, double, 3, stride)
            if projected:
                self._add(f"{block}_pool_proj", before, projected, 1)
            self.add_module(f"{block}_output", _Concatenate())
            before = one + three + double + (projected or before)
        self.last_linear = nn.Linear(before, out_channels)
        self.to(memory_format=torch.channels_last)  # less CPU time; outputs and keys are the same
        head = "new" if labels is None else "strict"
        load_pretrained(self, weights, BN_INCEPTION, labels=labels, head=head, first_layer=first_layer)
        if frozen:
            self.freeze()

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """Return the features (B,1024) that the last layer takes; without gradients where all before it is frozen.

        Args:
            images: (B,C,H,W) float, values in 0…1.
        """
        with self.encoding():
            maps = self._layer("conv1_7x7_s2", scale_input(images, self.input_scaling))
            maps = self._layer("conv2_3x3_reduce", max_pool2d(maps, 3, stride=2, ceil_mode=True))
            maps = max_pool2d(self._layer("conv2_3x3", maps), 3, stride=2, ceil_mode=True)
            for name in BLOCKS:
                maps = self._block(name, maps)
            return maps.mean((2, 3))

    def head(self, features: torch.Tensor) -> torch.Tensor:
        """(B,1024) → logits (B,K)."""
        return self.last_linear(features)

    def _add(self, name: str, before: int, width: int, size: int, stride: int = 1) -> None:
        self.add_module(name, nn.Conv2d(before, width, size, stride, padding=size // 2))
        self.add_module(f"{name}_bn", nn.BatchNorm2d(width))

    def _layer(self, name: str, maps: torch.Tensor) -> torch.Tensor:
        return relu(self.get_submodule(f"{name}_bn")(self.get_submodule(name)(maps)))

    def _block(self, name: str, maps: torch.Tensor) -> torch.Tensor:
        one, *_, pool, projected = BLOCKS[name]

        def through(maps: torch.Tensor, *layers: str) -> torch.Tensor:
            for layer in layers:
                maps = self._layer(f"inception_{name}_{layer}", maps)
            return maps

        branches = [
            through(maps, "3x3_reduce", "3x3"),
            through(maps, "double_3x3_reduce", "double_3x3_1", "double_3x3_2"),
            through(pool(maps), *(["pool_proj"] if projected else [])),
        ]
        return self.get_submodule(f"inception_{name}_output")(*([through(maps, "1x1")] if one else []), *branches)


class _Concatenate(nn.Module):
    """The branches of a block side by side: a layer, so that its maps can be asked for by name."""

    def forward(self, *branches: torch.Tensor) -> torch.Tensor:
        return torch.cat(branches, 1)
