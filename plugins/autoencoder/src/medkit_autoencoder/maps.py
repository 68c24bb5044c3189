"""Where a classifier's last spatial maps come from, and what of it takes part in making them."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import dataclass

import torch
from torch import nn

from medkit.errors import ConfigError


@dataclass(frozen=True, slots=True)
class LastMaps:
    """The last maps of a network.

    Attributes:
        layer: name of the module that makes them, as ``named_modules`` spells it.
        call: which of its calls in one pass does, from 1 on: ResNet's blocks use one ReLU twice.
        modules: names of all modules that have begun by then; the head is not among them.
        shape: channels and sides.
    """

    layer: str
    call: int
    modules: frozenset[str]
    shape: tuple[int, ...]


class _Reached(Exception):
    """Ends a pass that has come far enough."""


def find_last_maps(network: nn.Module, images: torch.Tensor) -> LastMaps:
    """Run ``network`` once and return its last maps before they are pooled for the head.

    The last module counts whose output is new (a container returns that of its last layer), has the dimensions of an
    image, and is neither pooling nor dropout: the last ReLU of DenseNet, ResNet and VGG.

    Args:
        network: in evaluation mode.
        images: (B,C,H,W); one is enough.

    Raises:
        ConfigError: no module makes maps.
    """
    begun: list[str] = []
    found: list[LastMaps] = []
    latest: list[tuple[torch.Tensor, int]] = []  # kept, so that no other tensor takes its place in memory

    def note(name: str):
        def hook(module: nn.Module, _: object, output: object) -> None:
            if not name or not isinstance(output, torch.Tensor) or output.ndim != images.ndim:
                return
            if any(output is tensor and output._version == version for tensor, version in latest):
                return
            latest[:] = [(output, output._version)]
            kind = type(module).__name__
            if "Pool" not in kind and "Dropout" not in kind:
                found.append(LastMaps(name, begun.count(name), frozenset(begun), tuple(output.shape[1:])))

        return hook

    with ExitStack() as hooks, torch.no_grad():
        for name, module in network.named_modules():
            hooks.enter_context(module.register_forward_pre_hook(lambda *_, name=name: begun.append(name)))
            hooks.enter_context(module.register_forward_hook(note(name)))
        network(images)
    if not found:
        raise ConfigError(f"{type(network).__name__} makes no maps: an auto-encoder needs a convolutional encoder")
    return found[-1]


def run_to(network: nn.Module, maps: LastMaps, images: torch.Tensor) -> torch.Tensor:
    """Return the maps (B,…) of ``images``; nothing behind them is run."""
    outputs: list[torch.Tensor] = []

    def stop(_module: nn.Module, _input: object, output: torch.Tensor) -> None:
        outputs.append(output)
        if len(outputs) == maps.call:
            raise _Reached

    with network.get_submodule(maps.layer).register_forward_hook(stop), suppress(_Reached):
        network(images)
    return outputs[-1]
