"""The training curve, as a file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from monai.engines.utils import IterationEvents

from medkit.tables import read_csv, write_csv


class History:
    """Ignite handler: one row an epoch in a CSV file: loss, validation metrics, learning rate, seconds.

    Args:
        path: the CSV file; rows of epochs that are repeated after a resume are replaced.
        optimizer: its learning rate is recorded.
        validator: its metrics are recorded.
    """

    def __init__(self, path: str, optimizer: torch.optim.Optimizer, validator: Engine | None = None) -> None:
        self.path = Path(path)
        self.optimizer = optimizer
        self.validator = validator
        self.losses: list[torch.Tensor] = []
        self.began = 0.0

    def attach(self, engine: Engine) -> None:
        """Register with the trainer, behind the handler that validates."""
        engine.add_event_handler(Events.EPOCH_STARTED, self.begin)
        engine.add_event_handler(IterationEvents.LOSS_COMPLETED, self.note)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.write)

    def begin(self, engine: Engine) -> None:
        """Start the epoch's account."""
        self.losses, self.began = [], time.monotonic()

    def note(self, engine: Engine) -> None:
        """Keep this iteration's loss, on its device."""
        self.losses.append(engine.state.output["loss"].detach())

    def write(self, engine: Engine) -> None:
        """Rewrite the file with this epoch's row at the end."""
        if idist.get_rank() != 0:
            return
        row: dict[str, Any] = {"epoch": engine.state.epoch, "train_loss": torch.stack(self.losses).mean().item()}
        if self.validator is not None:
            validated = self.validator.state.epoch == engine.state.epoch
            names = [self.validator.state.key_metric_name, *self.validator.state.metrics]
            row |= {f"validation_{n}": self.validator.state.metrics[n] if validated else "" for n in names}
        row["learning_rate"] = self.optimizer.param_groups[0]["lr"]
        row["seconds"] = round(time.monotonic() - self.began, 2)
        earlier = [r for r in read_csv(self.path) if int(r["epoch"]) < engine.state.epoch]
        write_csv(self.path, list(row), [*earlier, row])
