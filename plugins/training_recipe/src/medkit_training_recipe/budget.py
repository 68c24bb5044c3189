"""Training that ends when its CPU time is spent, so that networks of any cost can be compared fairly."""

from __future__ import annotations

import math
import time
from typing import Any, Literal

import torch
from ignite.engine import Engine, Events

from medkit.errors import ConfigError


class CpuBudget:
    """Ignite handler: spend ``seconds`` of CPU time on training, then end it as if ``max_epochs`` were reached.

    The learning rate follows what is spent, however many steps that makes: it rises linearly from 0 to each group's own
    rate over the first ``warm_up`` of the budget, then falls to 0 along a cosine, by one step, or not at all. What
    counts is the CPU time of this process, all threads and validation included, from the first epoch on; a last epoch
    that is cut short is validated and saved like any other. Worker processes of a DataLoader do not count: use none.

    Its state is that of a torch schedule: as ``lr_scheduler`` of `medkit.Checkpoints` it survives a resume. The same
    seed gives the same result only where the machine takes the same time.

    Args:
        optimizer: of the trainer.
        seconds: of CPU time.
        warm_up: share of the budget over which the learning rate rises, 0…1.
        decay: ``cosine``; ``step``: a tenth of the rate from half of the budget on; ``none``.

    Raises:
        ConfigError: an option has an impossible value.

    Reference:
        Loshchilov, Hutter 2017, arXiv:1608.03983 (cosine); the budget in place of steps is ours.

    Example:
        ```yaml
        budget: {_target_: medkit.handler, component: cpu_budget, optimizer: "@optimizer", seconds: 60}
        ```
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        seconds: float,
        warm_up: float = 0.2,
        decay: Literal["cosine", "step", "none"] = "cosine",
    ) -> None:
        if not seconds > 0:
            raise ConfigError(f"cpu_budget: seconds {seconds}: give a number above 0")
        if not 0 <= warm_up <= 1:
            raise ConfigError(f"cpu_budget: warm_up {warm_up}: give a share of the budget, 0…1")
        if decay not in ("cosine", "step", "none"):
            raise ConfigError(f'cpu_budget: decay "{decay}" is unknown: choose cosine, step or none')
        self.optimizer = optimizer
        self.decay = decay
        self.seconds = seconds
        self.warm_up = warm_up
        self.spent = 0.0
        self.rates = [group["lr"] for group in optimizer.param_groups]
        self._last = 0.0

    def attach(self, engine: Engine) -> None:
        """Register with the trainer; put it in front of what validates and saves."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.EPOCH_STARTED, self._require_rest)
        engine.add_event_handler(Events.ITERATION_STARTED, self._schedule)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._end)

    def factor(self, share: float) -> float:
        """Return what the learning rate is multiplied by after ``share`` of the budget, 0…1."""
        if share < self.warm_up:
            return share / self.warm_up
        if self.decay == "none":
            return 1.0
        if self.decay == "step":
            return 1.0 if share < 0.5 else 0.1
        rest = min((share - self.warm_up) / max(1 - self.warm_up, 1e-12), 1.0)
        return (1 + math.cos(math.pi * rest)) / 2

    def state_dict(self) -> dict[str, Any]:
        """Return what is spent."""
        return {"spent": self.spent}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what was spent."""
        self.spent = state["spent"]

    def _start(self, engine: Engine) -> None:
        self._last = time.process_time()

    def _account(self) -> None:
        now = time.process_time()
        self.spent, self._last = self.spent + now - self._last, now

    def _require_rest(self, engine: Engine) -> None:
        """End a training that was stopped behind its last epoch."""
        if self.spent >= self.seconds:
            engine.state.epoch -= 1
            engine.terminate()

    def _schedule(self, engine: Engine) -> None:
        self._account()
        factor = self.factor(self.spent / self.seconds)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor

    def _end(self, engine: Engine) -> None:
        self._account()
        if self.spent >= self.seconds:
            engine.state.max_epochs = engine.state.epoch
            engine.terminate_epoch()
