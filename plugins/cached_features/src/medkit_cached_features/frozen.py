"""Whether a network's features stay as they are while its head trains."""

from __future__ import annotations

import ignite.distributed as idist
import torch
from torch import nn

from medkit.device import evaluating, unwrapped
from medkit.errors import ConfigError

CHANGING = (nn.modules.batchnorm._NormBase, nn.modules.dropout._DropoutNd)
"""What gives other features in training than in evaluation."""


def require_head(network: nn.Module, asked: str) -> None:
    """Refuse a network whose head cannot be trained by itself.

    Raises:
        ConfigError: it has no ``encode`` and ``head``, or several processes train it: gradients are averaged where the
            whole network is called, which a head by itself goes round.
    """
    if idist.get_world_size() > 1 or unwrapped(network) is not network:
        raise ConfigError(f"{asked} works in one process: train without torchrun; a head on cached features is fast")
    for method in ("encode", "head"):
        if not callable(getattr(network, method, None)):
            raise ConfigError(
                f"{asked}: the network {type(network).__name__} has no {method}(): take one whose forward is "
                "head(encode(images)), such as vgg19 or resnet18"
            )


def require_frozen(network: nn.Module, images: torch.Tensor) -> None:
    """Refuse a network of whose ``encode`` anything trains or changes in training.

    Args:
        network: with ``encode``; left as it was.
        images: (B,C,H,W), one batch, from which the modules at work in ``encode`` are seen.

    Raises:
        ConfigError: with the name of the first parameter or module that is not fixed.
    """
    used: set[nn.Module] = set()
    hooks = [m.register_forward_hook(lambda module, *_: used.add(module)) for m in network.modules()]
    try:
        with evaluating(network), torch.enable_grad():
            learns = network.encode(images).requires_grad
    finally:
        for hook in hooks:
            hook.remove()
    parts = [(name, module) for name, module in network.named_modules() if module in used]
    loose = [
        f"parameter {part}.{name}" for part, m in parts for name, value in m.named_parameters() if value.requires_grad
    ]
    modes = [(module, module.training) for module in network.modules()]
    network.train()
    loose += [f"{type(m).__name__} {part}" for part, m in parts if m.training and isinstance(m, CHANGING)]
    for module, mode in modes:
        module.training = mode
    if loose or learns:
        raise ConfigError(
            f"cached_features: the encoder of {type(network).__name__} changes in training "
            f"({loose[0] if loose else 'its features have a gradient'}): freeze it (frozen: true), or train on images"
        )
