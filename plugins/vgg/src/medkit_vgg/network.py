"""VGG16 and VGG19 (Simonyan, Zisserman 2015, arXiv:1409.1556) under torchvision's keys, with a head by name."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from medkit.encoder_head import EncoderHead
from medkit.errors import ConfigError, DataError
from medkit.pretrained import load_pretrained, scale_input
from medkit_vgg.pooling import LogSumExpPool
from medkit_vgg.weights import published

WIDTHS = (64, 128, 256, 512, 512)
HIDDEN = {
    "published": (4096, 4096),
    "1024-256": (1024, 256),
    "convolutions": (1024, 256),
    "average": (),
    "max": (),
    "log_sum_exp": (),
}
STRIDE = 32


class VGG(EncoderHead):
    """Logits (B,K) from images (B,C,H,W): five stages of 3×3 convolutions and max-pooling, then a head.

    ``forward`` is ``head(encode(images))``: the features (B,F) of a frozen network may be kept and the head trained on
    them alone.

    Heads:
        ``published``: adaptive average pooling to 7×7, linear 4096, 4096 and K; images of any size from 32×32 on.
        ``1024-256``: all cells behind the last pooling, linear 1024, 256 and K. The first linear layer is made for the
            cells of ``spatial_size``, and images of another size are refused.
        ``convolutions``: two more 3×3 convolutions of 512 maps, which belong to the head, then ``1024-256``.
        ``average``, ``max``, ``log_sum_exp``: one value a map, then one linear layer, so that a class activation map
            is the sum of the maps with that layer's weights (Zhou et al. 2016, arXiv:1512.04150; Oquab et al. 2015,
            doi:10.1109/CVPR.2015.7298668; Pinheiro, Collobert 2015, arXiv:1411.6228). The last max-pooling is left
            out, as Zhou et al. do, which makes maps twice as fine; images of any size from 16×16 on.

    Args:
        in_channels: C.
        out_channels: K.
        spatial_dims: 2.
        head: one of those above.
        dropout: behind each hidden layer of the head, in training; the three global heads have none.
        spatial_size: (H,W) of the images in pixels, or one number for both; for ``1024-256`` and ``convolutions``.
        batch_norm: behind each convolution, under the keys of torchvision's ``vgg16_bn`` and ``vgg19_bn``: for
            pretraining, since so many layers hardly start without on a few thousand images. `fold_batch_norm` then
            turns the weights into those of the plain network.
        sharpness: r of ``log_sum_exp``; 10 was best on ChestX-ray8 (Wang et al. 2017, arXiv:1705.02315).
        weights: a checkpoint file; ``imagenet`` downloads torchvision's; None starts at random.
            See `medkit.pretrained.load_pretrained` for the formats and ``first_layer``.
        labels: the findings in the order of the outputs: the file's head is taken too, its outputs matched by name.
            None: the last layer is new, and so are the hidden ones where the file's have other shapes. ImageNet's
            classes are no findings: with ``imagenet`` the last layer is always new.
        first_layer: ``strict``, or how to fit a file to other channels: ``sum`` from 3 to 1 and back; ``average``, or a
            copy of one colour, for each channel beyond the file's.
        frozen: the convolutions stay as they are: no gradients, not even work for them, and evaluation mode always.

    Raises:
        ConfigError: an option has a value that is not listed here.
        CheckpointError: the weights do not fit.

    Example:
        ```yaml
        network_def: {_target_: medkit.network, component: vgg19, in_channels: 1, out_channels: 8, head: 1024-256,
                      weights: imagenet, first_layer: sum, frozen: true}
        ```
    """

    last = "classifier"
    convolutions: tuple[int, ...]
    url: str
    bn_url: str
    input_scaling: torch.Tensor | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        spatial_dims: int = 2,
        *,
        head: Literal["published", "1024-256", "convolutions", "average", "max", "log_sum_exp"] = "published",
        dropout: float = 0.5,
        spatial_size: Sequence[int] | int = (224, 224),
        batch_norm: bool = False,
        sharpness: float = 10.0,
        weights: str | Path | None = None,
        labels: Sequence[str] | None = None,
        first_layer: Literal["strict", "sum", "average", "copy_red", "copy_green", "copy_blue"] = "strict",
        frozen: bool = False,
    ) -> None:
        super().__init__()
        if spatial_dims != 2:
            raise ConfigError(f"VGG: spatial_dims is {spatial_dims}: it is made for 2")
        if head not in HIDDEN:
            raise ConfigError(f'VGG: head "{head}" is not known: choose one of {", ".join(HIDDEN)}')
        if not 0 <= dropout < 1:
            raise ConfigError(f"VGG: dropout {dropout}: give a number from 0 to below 1")
        self.spatial_size = _size(spatial_size) if head in ("1024-256", "convolutions") else None
        self.smallest_side = STRIDE if HIDDEN[head] else STRIDE // 2

        layers: list[nn.Module] = []
        before = in_channels
        for convolutions, width in zip(self.convolutions, WIDTHS, strict=True):
            for _ in range(convolutions):
                layers.append(nn.Conv2d(before, width, 3, padding=1))
                layers += [nn.BatchNorm2d(width)] if batch_norm else []
                layers.append(nn.ReLU(inplace=True))
                before = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*(layers if HIDDEN[head] else layers[:-1]))
        self.pool = _pool(head, sharpness)
        cells = 7 * 7 if head == "published" else math.prod(side // STRIDE for side in self.spatial_size or ())
        values = [WIDTHS[-1] * cells, *HIDDEN[head]]
        layers = _convolutions(self.spatial_size) if head == "convolutions" else []
        for before, after in itertools.pairwise(values):
            layers += [nn.Linear(before, after), nn.ReLU(inplace=True), nn.Dropout(dropout)]
        self.classifier = nn.Sequential(*layers, nn.Linear(values[-1], out_channels))
        for layer in (*self.features, *self.classifier):
            if isinstance(layer, nn.Conv2d):  # He et al. 2015, arXiv:1502.01852: without batch norm it is needed
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        self.to(memory_format=torch.channels_last)  # less CPU time; outputs and keys are the same
        load_pretrained(
            self,
            weights,
            published(self.bn_url if batch_norm else self.url, last=len(layers)),
            labels=labels,
            head="new" if labels is None else "strict",
            first_layer=first_layer,
        )
        if frozen:
            self.freeze()

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """Return the features (B,F) that the head takes; without gradients where the convolutions are frozen.

        Args:
            images: (B,C,H,W) float, grey values in 0…1.

        Raises:
            DataError: the images are too small, or not of ``spatial_size`` where the head needs it.
        """
        size = tuple(images.shape[2:])
        if self.spatial_size not in (None, size):
            asked, found = ("×".join(map(str, sides)) for sides in (self.spatial_size, size))
            raise DataError(f"VGG's head was made for images of {asked}, found {found}: resize, or set spatial_size")
        if min(size) < self.smallest_side:
            found = "×".join(map(str, size))
            raise DataError(f"VGG: images of {found} are too small: give at least {self.smallest_side} pixels a side")
        with self.encoding():
            return self.pool(self.features(scale_input(images, self.input_scaling))).flatten(1)

    def head(self, features: torch.Tensor) -> torch.Tensor:
        """(B,F) → logits (B,K)."""
        return self.classifier(features)


class VGG16(VGG):
    convolutions = (2, 2, 3, 3, 3)
    url = "https://download.pytorch.org/models/vgg16-397923af.pth"
    bn_url = "https://download.pytorch.org/models/vgg16_bn-6c64b313.pth"


class VGG19(VGG):
    convolutions = (2, 2, 4, 4, 4)
    url = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
    bn_url = "https://download.pytorch.org/models/vgg19_bn-c79401a0.pth"


def _size(spatial_size: Sequence[int] | int) -> tuple[int, ...]:
    size = (spatial_size,) * 2 if isinstance(spatial_size, int) else tuple(spatial_size)
    if len(size) != 2 or min(size) < STRIDE:
        raise ConfigError(f"VGG: spatial_size {list(size)}: give rows and columns of at least {STRIDE} pixels")
    return size


def _convolutions(spatial_size: Sequence[int]) -> list[nn.Module]:
    """Return what takes the features (B,F) of images of that size as maps again, and gives (B,F)."""
    layers: list[nn.Module] = [nn.Unflatten(1, (WIDTHS[-1], *(side // STRIDE for side in spatial_size)))]
    for _ in range(2):
        layers += [nn.Conv2d(WIDTHS[-1], WIDTHS[-1], 3, padding=1), nn.ReLU(inplace=True)]
    return [*layers, nn.Flatten()]


def _pool(head: str, sharpness: float) -> nn.Module:
    if head == "log_sum_exp":
        return LogSumExpPool(sharpness)
    pools = {"published": nn.AdaptiveAvgPool2d(7), "average": nn.AdaptiveAvgPool2d(1), "max": nn.AdaptiveMaxPool2d(1)}
    return pools.get(head, nn.Identity())
