"""A GAN's training that can be killed at any moment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.utils import GanKeys
from torch import nn

from medkit import contracts as c
from medkit.checkpoint import Checkpoints
from medkit.device import unwrapped
from medkit.errors import TrainingError


class GanCheckpoints(Checkpoints):
    """Ignite handler: `medkit.Checkpoints` for MONAI's ``GanTrainer``, with both networks and both optimizers.

    ``final`` holds the weights of the last epoch under ``generator.`` and ``discriminator.``.

    Args:
        generator: the trainer's ``g_network``.
        discriminator: its ``d_network``.
        g_optimizer: the generator's.
        d_optimizer: the discriminator's.
        final: path of the finished weights, e.g. ``models/gan.pt``.
        data: the samples that it learns from, for the card.
        lr_scheduler: a schedule whose state belongs to the run, such as `cpu_budget`.

    Raises:
        TrainingError: a loss is not finite.
        CheckpointError: ``checkpoint.pt`` beside ``final`` belongs to other networks.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        g_optimizer: torch.optim.Optimizer,
        d_optimizer: torch.optim.Optimizer,
        final: str,
        data: Sequence[c.Sample] | None = None,
        lr_scheduler: Any = None,
    ) -> None:
        both = nn.ModuleDict({"generator": unwrapped(generator), "discriminator": unwrapped(discriminator)})
        super().__init__(both, g_optimizer, final, lr_scheduler, data=data)
        self.parts["d_optimizer"] = d_optimizer

    def attach(self, engine: Engine) -> None:
        """Register with the trainer."""
        super().attach(engine)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.check_loss)  # GanTrainer has no LOSS_COMPLETED

    def check_loss(self, engine: Engine) -> None:
        """Stop before an epoch whose loss is not a number is saved."""
        for key in (GanKeys.DLOSS, GanKeys.GLOSS):
            loss, epoch = engine.state.output[key], engine.state.epoch
            if not math.isfinite(loss):
                raise TrainingError(
                    f"the GAN's {key.value} is {loss} in epoch {epoch}: training stopped. Lower the learning rates"
                )
