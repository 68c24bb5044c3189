"""Gradient clipping (Pascanu, Mikolov, Bengio 2013, arXiv:1211.5063, algorithm 1)."""

from __future__ import annotations

import torch
from ignite.engine import Engine

from medkit.errors import ConfigError


class GradientClipping:
    """Ignite handler: before every step of the optimizer, a gradient longer than a limit is scaled down to it.

    The norm is that of all weights' gradients together. Under mixed precision it is the true one, not the scaled one.

    Args:
        optimizer: of the trainer.
        max_norm: the limit, above 0.

    Raises:
        ConfigError: ``max_norm`` is not above 0.

    Example:
        ```yaml
        handlers:
        - {_target_: medkit.handler, component: gradient_clipping, optimizer: "@optimizer", max_norm: 1}
        ```
    """

    def __init__(self, optimizer: torch.optim.Optimizer, *, max_norm: float = 1.0) -> None:
        if not max_norm > 0:
            raise ConfigError(f"gradient_clipping: max_norm {max_norm}: give a number above 0")
        self.optimizer = optimizer
        self.max_norm = max_norm

    def attach(self, engine: Engine) -> None:
        """Follow the trainer's optimizer."""
        self.optimizer.register_step_pre_hook(self.clip)

    def clip(self, optimizer: torch.optim.Optimizer, *_: object) -> None:
        """Scale the gradients of ``optimizer``'s weights, in place."""
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        torch.nn.utils.clip_grad_norm_(weights, self.max_norm)
