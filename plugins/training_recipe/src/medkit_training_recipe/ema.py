"""Exponential moving average of weights: torch's AveragedModel, through validation, saving and a resume."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from ignite.engine import Engine, Events
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from medkit.device import unwrapped
from medkit.errors import CheckpointError, ConfigError

KEY = "other_weights"


class ExponentialMovingAverage:
    """Ignite handler: train the weights, but validate and save their moving average.

    The average starts with the weights after the first optimizer step. After n more steps it moves by 1 − d of the way
    to the trained weights, where ``d = min(decay, (1 + n) / (10 + n))``: early on it follows closely, so that short
    runs gain too. Statistics of batch norm are averaged as well.

    With an epoch's last iteration the model is given the average: validation, history and `medkit.Checkpoints` see and
    save that, under the model's own keys, wherever they stand among the handlers. When the next epoch starts, the model
    gets its trained weights back. In between these travel in the optimizer's state, as schedule-free optimizers keep
    theirs, so one ``checkpoint.pt`` holds everything, whole or not at all, and a resumed run ends in the same result.
    After training the model holds the average.

    Args:
        model: the network that trains.
        optimizer: its optimizer.
        decay: of the average in the long run; about 1/(1 − decay) steps count. A tenth of the run's steps serve well.

    Raises:
        ConfigError: ``decay`` is not between 0 and 1.
        CheckpointError: the optimizer's state comes from a run without an average.

    Example:
        ```yaml
        handlers:
        - {_target_: medkit.handler, component: ema, model: "@network", optimizer: "@optimizer", decay: 0.998}
        ```

    Reference:
        Polyak, Juditsky 1992, doi:10.1137/0330046; Tarvainen, Valpola 2017, arXiv:1703.01780.
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, decay: float = 0.998) -> None:
        if not 0 < decay < 1:
            raise ConfigError(f"ema: decay {decay}: give a number between 0 and 1, e.g. 0.998")
        self.model = unwrapped(model)
        self.optimizer = optimizer
        self.decay = decay
        self.other = AveragedModel(self.model, multi_avg_fn=self._average, use_buffers=True)
        self.model_is_average = False

    def attach(self, engine: Engine) -> None:
        """Register with the trainer, and with the optimizer for its steps and its state."""
        engine.add_event_handler(Events.EPOCH_STARTED, self.give_trained)
        engine.add_event_handler(Events.ITERATION_COMPLETED(event_filter=_is_last_of_epoch), self.give_average)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.give_average)  # where the length was not known before
        self.optimizer.register_step_post_hook(self.update)
        self.optimizer.register_state_dict_post_hook(self.save)
        self.optimizer.register_load_state_dict_pre_hook(self.load)

    def update(self, *_: Any) -> None:
        """Move the average after a step."""
        self.other.update_parameters(self.model)

    def give_average(self) -> None:
        """Let the model hold the average."""
        if not self.model_is_average:
            self._swap()

    def give_trained(self) -> None:
        """Let the model hold the weights that are trained."""
        if self.model_is_average:
            self._swap()

    def save(self, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
        """Add to the optimizer's state the weights that the model does not hold now."""
        state[KEY] = {"model_is_average": self.model_is_average, **self.other.state_dict()}

    def load(self, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
        """Take back what `save` added; the model's own weights are loaded by who saved them."""
        if KEY not in state:
            raise CheckpointError("the checkpoint is of a run without ema: continue without it, or start a new run")
        kept = dict(state.pop(KEY))
        self.model_is_average = bool(kept.pop("model_is_average"))
        self.other.load_state_dict(kept)

    def _average(self, averages: Any, weights: Any, _: Any) -> None:
        """Move tensors of one dtype towards others; counters are copied."""
        if not averages[0].is_floating_point():
            for average, weight in zip(averages, weights, strict=True):
                average.copy_(weight)
            return
        updates = int(self.other.n_averaged)
        get_ema_multi_avg_fn(min(self.decay, (1 + updates) / (10 + updates)))(averages, weights, updates)

    @torch.no_grad()
    def _swap(self) -> None:
        mine, others = (
            itertools.chain(module.parameters(), module.buffers()) for module in (self.model, self.other.module)
        )
        for one, other in zip(mine, others, strict=True):
            kept = one.clone()
            one.copy_(other)
            other.copy_(kept)
        self.model_is_average = not self.model_is_average


def _is_last_of_epoch(engine: Engine, iteration: int) -> bool:
    return bool(engine.state.epoch_length) and iteration == engine.state.epoch * engine.state.epoch_length
