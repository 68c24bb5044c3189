"""Weight clipping, as Wasserstein GANs use it (Arjovsky, Chintala, Bottou 2017, arXiv:1701.07875, algorithm 1)."""

from __future__ import annotations

import torch
from ignite.engine import Engine

from medkit.errors import ConfigError


class WeightClipping:
    """Ignite handler: after every step of the optimizer, each weight that it trains is put back into −limit…limit.

    Biases and the scales of normalisation are weights too. With gradient accumulation or a step that mixed precision
    skips, nothing happens until the optimizer steps.

    Args:
        optimizer: of the trainer.
        limit: the largest magnitude of a weight.

    Raises:
        ConfigError: ``limit`` is not above 0.

    Example:
        ```yaml
        handlers:
        - {_target_: medkit.handler, component: weight_clipping, optimizer: "@optimizer", limit: 5}
        ```
    """

    def __init__(self, optimizer: torch.optim.Optimizer, limit: float = 5.0) -> None:
        if not limit > 0:
            raise ConfigError(f"weight_clipping: limit {limit}: give a number above 0")
        self.optimizer = optimizer
        self.limit = limit

    def attach(self, engine: Engine) -> None:
        """Follow the trainer's optimizer. Put it before `ema`, so that what is averaged is clipped."""
        self.optimizer.register_step_post_hook(self.clip)

    @torch.no_grad()
    def clip(self, optimizer: torch.optim.Optimizer, *_: object) -> None:
        """Put every weight of ``optimizer`` back into the limits."""
        for group in optimizer.param_groups:
            for weight in group["params"]:
                weight.clamp_(-self.limit, self.limit)
