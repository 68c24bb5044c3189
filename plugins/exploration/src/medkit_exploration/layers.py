"""The convolution layers of a network: which there are, in the order in which they run, and what they give."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn

from medkit.errors import ConfigError, did_you_mean

DEEPEST = 2
"""Layers that are shown where none are named."""
_ENDS = 6
"""Names at either end of a long list that are shown in a message."""


def convolutions(network: nn.Module, images: torch.Tensor) -> list[str]:
    """Return the names of the network's 2D convolutions in the order in which they first run on ``images``.

    Raises:
        ConfigError: there is none.
    """
    found: dict[str, None] = {}
    named = [name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)]
    with _hooked(network, named, lambda name, _: found.setdefault(name)), torch.no_grad():
        network(images)
    if not found:
        raise ConfigError("feature_maps: the network has no 2D convolution: there is nothing to show")
    return list(found)


def maps_of(network: nn.Module, images: torch.Tensor, names: Sequence[str], count: int) -> dict[str, torch.Tensor]:
    """Return name → (B,C,h,w) on the CPU: the first ``count`` maps of each layer, before its activation.

    A layer that runs several times gives what it gave last.
    """
    found: dict[str, torch.Tensor] = {}

    def keep(name: str, maps: torch.Tensor) -> None:
        found[name] = maps[:, :count].detach().float().to("cpu", copy=True)  # an activation may work in place

    with _hooked(network, names, keep), torch.no_grad():
        network(images)
    return found


def chosen(layers: Sequence[str | int] | None, known: Sequence[str]) -> list[str]:
    """Return the names of the layers that were asked for, each once.

    Args:
        layers: names, numbers in the order in which they run (-1 is the last), ``first`` or ``last``; None: the
            deepest.
        known: all names, in that order.

    Raises:
        ConfigError: there is no such layer.
    """
    if layers is None:
        return list(known[-DEEPEST:])
    ends = {"first": 0, "last": -1}
    names: dict[str, None] = {}
    for layer in layers:
        place = ends.get(str(layer), layer) if layer not in known else layer
        if isinstance(place, int) and -len(known) <= place < len(known):
            place = known[place]
        if place not in known:
            hint = did_you_mean(str(layer), known)
            raise ConfigError(
                f'feature_maps: the network has no convolution layer "{layer}".{hint} Give first, last, a number below '
                f"{len(known)}, or one of {_listed(known)}"
            )
        names[place] = None
    return list(names)


def _listed(names: Sequence[str]) -> str:
    ends = names if len(names) <= 2 * _ENDS else [*names[:_ENDS], "…", *names[-_ENDS:]]
    return ", ".join(ends)


@contextmanager
def _hooked(network: nn.Module, names: Iterable[str], call: Callable[[str, torch.Tensor], object]) -> Iterator[None]:
    """Call ``call(name, output)`` whenever one of the modules has run."""

    def hook(name: str, module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        call(name, output)

    handles = [network.get_submodule(name).register_forward_hook(partial(hook, name)) for name in names]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
