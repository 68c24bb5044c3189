"""The gradient of every class's logit by one layer's maps, from one forward pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from medkit.errors import ConfigError

MOST_VALUES = 2**26
"""Gradients of at most this many values are held at a time: 256 MiB in float32."""


@dataclass(frozen=True, slots=True)
class Pass:
    """What one forward pass leaves.

    Attributes:
        logits: (B,K), with a graph that begins at ``features``.
        features: (B,C,h,w), a leaf: the layer's output.
        head: the last linear layer, if it made the logits, and its input (B,C); else None.
    """

    logits: torch.Tensor
    features: torch.Tensor
    head: tuple[nn.Linear, torch.Tensor] | None

    @property
    def maps(self) -> torch.Tensor:
        """``features`` without a graph, in float32 at least."""
        return _precise(self.features.detach())

    def pooled_head(self) -> torch.Tensor | None:
        """Return the (K,C) weights if the logits are a linear layer of the global average of the maps, else None.

        Found by comparing numbers, whatever the network's code looks like.
        """
        if self.head is None or self.head[1].shape != self.features.shape[:2]:
            return None
        linear, given = self.head
        maps = self.maps.flatten(2)
        # Pooling in bfloat16 rounds its result; another pooling than the average differs by far more.
        tolerance = max(1e-5, *(4 * torch.finfo(tensor.dtype).eps for tensor in (given, self.features)))
        same = ((given - maps.mean(2)).abs() <= tolerance * maps.abs().mean(2)).all()
        return _precise(linear.weight.detach()) if same else None

    def gradients(self) -> Iterator[torch.Tensor]:
        """Yield d logits / d features, some classes at a time: (k,B,C,h,w), or (K,1,C,1,1) where it is constant.

        Where the logits are linear in the average map, they are known without a backward pass. Elsewhere one batched
        backward pass, from the logits down to the layer and no further, serves all classes.
        """
        if (weight := self.pooled_head()) is not None:
            shape = self.features.shape
            yield (weight / shape[2:].numel()).reshape(len(weight), 1, shape[1], *[1] * (len(shape) - 2))
            return
        classes = self.logits.shape[1]
        one_hot = torch.eye(classes, dtype=self.logits.dtype, device=self.logits.device)
        seeds = one_hot[:, None].expand(classes, *self.logits.shape)
        for some in seeds.split(max(1, MOST_VALUES // self.features.numel())):
            (gradient,) = torch.autograd.grad(
                self.logits, self.features, some, retain_graph=True, is_grads_batched=True, allow_unused=True
            )
            if gradient is None:
                raise ConfigError("the logits do not depend on target_layer: name another layer")
            yield _precise(gradient)


def forward(network: nn.Module, layer: nn.Module, images: torch.Tensor) -> Pass:
    """Run ``network`` once; below ``layer`` without a graph, above it with one.

    Args:
        network: in evaluation mode, where an image's logits depend on that image alone.
        layer: one of its modules.
        images: (B,C,H,W).

    Raises:
        ConfigError: the layer took no part or gave no maps, or the logits are not (B,K).
    """
    features: list[torch.Tensor] = []
    linears: list[tuple[nn.Linear, torch.Tensor, torch.Tensor]] = []

    def cut(_module: nn.Module, _given: object, output: object) -> torch.Tensor:
        if not isinstance(output, torch.Tensor) or output.ndim != images.ndim:
            found = f"shape {tuple(output.shape)}" if isinstance(output, torch.Tensor) else type(output).__name__
            raise ConfigError(f"target_layer must give maps (B,C,h,w), found {found}: name another layer")
        features.append(output.detach().requires_grad_())
        torch.set_grad_enabled(True)
        return features[-1].clone()  # what comes next may write in place

    def note(module: nn.Linear, given: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        linears.append((module, given[0].detach(), output.detach()))

    plain = [m for m in network.modules() if isinstance(m, nn.Linear) and type(m).forward is nn.Linear.forward]
    handles = [layer.register_forward_hook(cut), *(module.register_forward_hook(note) for module in plain)]
    try:
        with torch.no_grad():  # until the layer's hook switches gradients on
            logits = network(images)
        if features and isinstance(logits, torch.Tensor) and not logits.requires_grad:
            # A no_grad block inside the network restored what was there when it began: let gradients be on there.
            features.clear()
            linears.clear()
            with torch.enable_grad():
                logits = network(images)
    finally:
        for handle in handles:
            handle.remove()
    if not features:
        raise ConfigError("target_layer takes no part in the forward pass: name another layer")
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2:
        found = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ConfigError(f"class activation maps need a classifier: logits (B,K), found {found}")
    if not logits.requires_grad:
        raise ConfigError("the logits do not depend on target_layer: name another layer")
    head = None
    if linears and linears[-1][2].shape == logits.shape and torch.equal(linears[-1][2].to(logits.dtype), logits):
        head = linears[-1][:2]
    return Pass(logits, features[-1], head)


def _precise(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
