"""Which layer's maps are explained."""

from __future__ import annotations

import torch
from torch import nn

from medkit.errors import ConfigError, did_you_mean

_NOT_FEATURES = (
    nn.modules.pooling._MaxPoolNd,
    nn.modules.pooling._AvgPoolNd,
    nn.modules.pooling._AdaptiveMaxPoolNd,
    nn.modules.pooling._AdaptiveAvgPoolNd,
    nn.modules.pooling._LPPoolNd,
    nn.modules.dropout._DropoutNd,
)


def layer_by_name(network: nn.Module, name: str) -> nn.Module:
    """Return the layer ``name``, as ``named_modules`` spells it.

    Raises:
        ConfigError: the network has no such layer.
    """
    layers = dict(network.named_modules())
    if not name or name not in layers:
        parts = [known for known in layers if known and known.count(".") <= 1]
        raise ConfigError(
            f'target_layer "{name}": {type(network).__name__} has no such layer.'
            f"{did_you_mean(name, layers)} Its outer layers: {', '.join(parts)}"
        )
    return layers[name]


def last_map_layer(network: nn.Module, images: torch.Tensor) -> str:
    """Return the name of the last layer that makes spatial maps, found by running ``network`` once.

    That is the last module whose output is new, has spatial dimensions of more than one cell, and is not merely pooled
    or dropped out: the last ReLU of DenseNet, ResNet and VGG.

    Args:
        network: in evaluation mode.
        images: (B,C,H,W); one is enough.

    Raises:
        ConfigError: no layer makes maps.
    """
    found: list[str] = []
    # A container returns the tensor of its last layer, which is that layer's; written in place it is another one.
    latest: list[tuple[torch.Tensor, int]] = []

    def watch(name: str):
        def hook(module: nn.Module, _: object, output: object) -> None:
            if not isinstance(output, torch.Tensor) or output.ndim != images.ndim or output.shape[2:].numel() == 1:
                return
            if any(output is tensor and output._version == version for tensor, version in latest):
                return
            latest[:] = [(output, output._version)]
            if not isinstance(module, _NOT_FEATURES):
                found.append(name)

        return hook

    handles = [module.register_forward_hook(watch(name)) for name, module in network.named_modules() if name]
    try:
        with torch.no_grad():
            network(images)
    finally:
        for handle in handles:
            handle.remove()
    if not found:
        raise ConfigError(f"{type(network).__name__} has no layer with spatial maps: name one with target_layer")
    return found[-1]
