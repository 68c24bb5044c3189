"""Batch norm as a part of the convolution in front of it: what a frozen network needs no longer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from medkit.card import Card, read_card, write_card
from medkit.checkpoint import read_checkpoint
from medkit.device import unwrapped
from medkit.errors import ConfigError
from medkit.files import whole
from medkit_vgg.network import VGG


class FoldBatchNorm:
    """Ignite handler: when training completes, write the weights of the plain VGG that computes the same.

    In evaluation mode batch norm is a scale and a shift a map, which the convolution in front of it can do itself. Put
    the handler behind `medkit.Checkpoints`, whose file it reads.

    Args:
        network: a VGG with ``batch_norm``, as it is or data-parallel.
        weights: its finished weights, e.g. ``models/model.pt``.
        output: the file for a network without ``batch_norm``; the card goes with it.

    Raises:
        ConfigError: another network.

    Example:
        ```yaml
        - {_target_: medkit.handler, component: fold_batch_norm, network: "@network",
           weights: "$@output_dir + '/models/pretrained_bn.pt'", output: "$@output_dir + '/models/pretrained.pt'"}
        ```
    """

    def __init__(self, network: nn.Module, weights: str, output: str) -> None:
        inner = unwrapped(network)
        if not isinstance(inner, VGG) or not any(isinstance(layer, nn.BatchNorm2d) for layer in inner.features):
            raise ConfigError(
                f"fold_batch_norm: the network is {type(inner).__name__}: give a VGG with batch_norm: true"
            )
        self.features = inner.features
        self.weights = Path(weights)
        self.output = Path(output)

    def attach(self, engine: Engine) -> None:
        """Register with the trainer."""
        engine.add_event_handler(Events.COMPLETED, self.write)

    def write(self, engine: Engine) -> None:
        """Write the folded weights and their card."""
        if idist.get_rank() != 0:
            return
        with whole(self.output) as temporary:
            torch.save(folded(self.features, read_checkpoint(self.weights)), temporary)
        facts = asdict(read_card(self.weights) or Card(sha256=""))
        del facts["sha256"]
        write_card(self.output, **facts)


def folded(features: nn.Sequential, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return ``state`` of a network with these layers for one that has no batch norm and so fewer of them."""
    plain = {key: value for key, value in state.items() if not key.startswith("features.")}
    place = 0
    for number, layer in enumerate(features):
        if isinstance(layer, nn.BatchNorm2d):
            continue
        if isinstance(layer, nn.Conv2d):
            norm = features[number + 1]
            names = ("running_mean", "running_var", "weight", "bias")
            mean, variance, scale, shift = (state[f"features.{number + 1}.{name}"] for name in names)
            weight, bias = (state[f"features.{number}.{name}"] for name in ("weight", "bias"))
            weight, bias = fuse_conv_bn_weights(weight, bias, mean, variance, norm.eps, scale, shift)
            plain |= {f"features.{place}.weight": weight.detach(), f"features.{place}.bias": bias.detach()}
        place += 1
    return plain
