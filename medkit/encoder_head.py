"""Classifiers that are an encoder and a head, and whose encoder may be frozen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn


class EncoderHead(nn.Module):
    """Base of networks whose ``forward`` is ``head(encode(images))``: features of a frozen encoder may be kept.

    A subclass gives ``encode`` ((B,C,H,W) → (B,F)), which it runs within `encoding`, and ``head`` ((B,F) → (B,K)).

    Attributes:
        last: the name of the child module that ``head`` runs; all others are the encoder.
        frozen: the encoder stays as it is: no gradients, not even work for them, and evaluation mode always, so that
            batch norm keeps its statistics.
    """

    encode: Callable[[torch.Tensor], torch.Tensor]
    head: Callable[[torch.Tensor], torch.Tensor]
    last: str
    frozen: bool = False

    def freeze(self) -> None:
        """Let nothing train but the head."""
        self.frozen = True
        self.requires_grad_(False).get_submodule(self.last).requires_grad_(True)
        self.train(self.training)

    def train(self, mode: bool = True) -> Any:
        """Set the mode; a frozen encoder stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            for name, layer in self.named_children():
                layer.train(mode and name == self.last)
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.encode(x))

    def encoding(self) -> Any:
        """Return the context in which the encoder runs: without gradients where it is frozen."""
        return torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen)
