"""Save and resume training, load checkpoints strictly, and the card that goes with one."""

from __future__ import annotations

import copy
import pickle
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from monai.engines.utils import IterationEvents
from torch import nn

from medkit import contracts as c
from medkit.card import Card, read_card, write_card
from medkit.device import unwrapped
from medkit.errors import CheckpointError, ConfigError, TrainingError
from medkit.files import whole
from medkit.pretrained import STARTED_FROM

_LEARNT_SYNTHETIC = "learnt_synthetic"
"""Of an engine's state: what was learnt before a resume was synthetic."""


def read_checkpoint(path: str | Path, device: Any = "cpu") -> Any:
    """Return what ``torch.load(weights_only=True)`` reads.

    Raises:
        CheckpointError: the file is missing, is not a checkpoint, or holds more than weights.
    """
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"checkpoint {path} does not exist: train first, or give --model_dir") from error
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise CheckpointError(f"{path} cannot be read as a file of weights: {reason}") from error


def load_strictly(network: nn.Module, state: Mapping[str, Any], source: str | Path) -> None:
    """Load ``state``, every key of it and no other.

    Raises:
        CheckpointError: with the missing, unexpected and mis-shaped keys.
    """
    trial = copy.deepcopy(unwrapped(network))  # a network may take keys that it does not have yet: let it say so
    own = trial.state_dict()
    shapes = [
        f"{k} is {tuple(state[k].shape)}, the network's is {tuple(own[k].shape)}"
        for k in sorted(own.keys() & state.keys())
        if state[k].shape != own[k].shape
    ]
    fitting = {k: v for k, v in state.items() if k not in own or v.shape == own[k].shape}
    result = trial.load_state_dict(fitting, strict=False)
    missing = sorted(set(result.missing_keys) - state.keys())
    found = [("missing", missing), ("unexpected", sorted(result.unexpected_keys)), ("of another shape", shapes)]
    if any(keys for _, keys in found):
        report = "; ".join(f"{len(keys)} {what}: {_few(keys)}" for what, keys in found if keys)
        raise CheckpointError(f"{source} belongs to another network: keys {report}. Use its own configuration")
    unwrapped(network).load_state_dict(state)


def _few(keys: Sequence[str], at_most: int = 3) -> str:
    return ", ".join(keys[:at_most]) + (f" and {len(keys) - at_most} more" if len(keys) > at_most else "")


def load_trained(
    network: nn.Module, path: str | Path, labels: Sequence[str] | None = None, device: Any = "cpu"
) -> Card | None:
    """Load a checkpoint strictly, put the network in evaluation mode, and return the checkpoint's card if it has one.

    Raises:
        CheckpointError: another network, other labels than the card's, or a file that is not weights.
    """
    card = read_card(path)
    load_strictly(network, read_checkpoint(path, device), path)
    if card is not None and None not in (card.labels, labels) and card.labels != labels:
        raise CheckpointError(f"{path} was trained for {card.labels}, the bundle asks for {labels}")
    network.eval()
    return card


class LearntFrom:
    """Ignite handler: what a training learns from, for the card of its weights.

    Some images are made by a program, as the data set says or, once they are read, the files themselves.

    Args:
        data: the samples; None where they are not known.
    """

    def __init__(self, data: Sequence[c.Sample] | None = None) -> None:
        self.images = None if data is None else len(data)
        self.synthetic = any(sample.get(c.SYNTHETIC, False) for sample in data or ())

    def attach(self, engine: Engine) -> None:
        """Register with the trainer."""
        engine.add_event_handler(Events.ITERATION_STARTED, self.look)

    def look(self, engine: Engine) -> None:
        """Ask the images of a batch."""
        batch = engine.state.batch
        if not self.synthetic and isinstance(batch, Mapping):
            self.synthetic = bool(torch.as_tensor(batch.get(c.SYNTHETIC, False)).any())

    def facts(self, engine: Engine) -> dict[str, Any]:
        """Return ``images`` and ``synthetic``, of all processes and of what was resumed; every process must ask."""
        synthetic = self.synthetic or getattr(engine.state, _LEARNT_SYNTHETIC, False)
        return {"images": self.images, "synthetic": bool(idist.all_reduce(float(synthetic), "MAX"))}


class Checkpoints:
    """Ignite handler: training that can be killed at any moment and continues to the same result.

    After every epoch, model, optimizer, schedule and progress go to ``checkpoint.pt`` beside ``final``, written whole
    or not at all. When training starts, an existing ``checkpoint.pt`` is loaded and its epoch is the first not to be
    repeated. When training is completed, the epoch with the best validation metric (without one: the last) becomes
    ``final``, with a card, and what was kept for a resume goes. A loss that is not a number stops training and is never
    saved.

    Put it last in the trainer's handlers, so that it sees what validation and schedules did in the same epoch.

    Args:
        model: the network that trains.
        optimizer: its optimizer.
        final: path of the finished weights, e.g. ``models/model.pt``.
        lr_scheduler: a torch schedule whose state belongs to the run.
        validator: the evaluator that measures each epoch; its key metric decides, higher is better.
        labels: the findings that the outputs stand for, for the card.
        data: the samples that it learns from; the card says how many, and whether they are synthetic.

    Raises:
        TrainingError: the loss is not finite.
        CheckpointError: ``checkpoint.pt`` belongs to another network.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        final: str,
        lr_scheduler: Any = None,
        validator: Engine | None = None,
        labels: Sequence[str] | None = None,
        data: Sequence[c.Sample] | None = None,
    ) -> None:
        self.model = model
        self.parts = {"optimizer": optimizer} | ({"lr_scheduler": lr_scheduler} if lr_scheduler is not None else {})
        self.final = Path(final)
        self.progress_file = self.final.with_name("checkpoint.pt")
        self.best_file = self.final.with_name("best.pt")
        self.validator = validator
        self.facts: dict[str, Any] = {
            "labels": None if labels is None else list(labels),
            "source": getattr(unwrapped(model), STARTED_FROM, ""),
        }
        self.learnt_from = LearntFrom(data)
        self.best: tuple[int, float] | None = None

    def attach(self, engine: Engine) -> None:
        """Register with the trainer."""
        self.learnt_from.attach(engine)
        engine.add_event_handler(Events.STARTED, self.resume)
        engine.add_event_handler(IterationEvents.LOSS_COMPLETED, self.check_loss)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.save)
        engine.add_event_handler(Events.COMPLETED, self.finish)

    def resume(self, engine: Engine) -> None:
        """Continue behind the last completed epoch, if there is one."""
        if not self.progress_file.is_file():
            return
        saved = read_checkpoint(self.progress_file)
        load_strictly(self.model, saved["model"], self.progress_file)
        scaler = getattr(engine, "scaler", None)
        for name, part in {**self.parts, **({"scaler": scaler} if scaler else {})}.items():
            if name in saved:
                part.load_state_dict(saved[name])
        engine.state.epoch, engine.state.iteration = saved["epoch"], saved["iteration"]
        self.best = tuple(saved["best"]) if saved["best"] else None
        setattr(engine.state, _LEARNT_SYNTHETIC, saved.get("synthetic", False))
        engine.logger.info("continuing behind epoch %d of %s", saved["epoch"], self.progress_file)

    def check_loss(self, engine: Engine) -> None:
        """Stop before a loss that is not a number reaches the weights."""
        loss = engine.state.output["loss"]
        if not torch.isfinite(loss).all():
            kept = (
                f"{self.progress_file} keeps the last good epoch" if self.progress_file.is_file() else "nothing saved"
            )
            raise TrainingError(
                f"the loss is {loss.item()} in epoch {engine.state.epoch}, iteration {engine.state.iteration}: "
                f"training stopped, {kept}. Lower the learning rate, or look at the images and labels of this batch"
            )

    def save(self, engine: Engine) -> None:
        """Write the completed epoch; first the best weights, then the progress that names them."""
        facts = self.learnt_from.facts(engine)
        if idist.get_rank() != 0:
            return
        weights = unwrapped(self.model).state_dict()
        if self.validator is not None and self.validator.state.epoch == engine.state.epoch:
            value = float(self.validator.state.metrics[self.validator.state.key_metric_name])
            if self.best is None or value > self.best[1]:
                self.best = (engine.state.epoch, value)
                with whole(self.best_file) as temporary:
                    torch.save(weights, temporary)
        progress = {name: part.state_dict() for name, part in self.parts.items()}
        scaler = getattr(engine, "scaler", None)
        if scaler:
            progress["scaler"] = scaler.state_dict()
        progress |= {"model": weights, "epoch": engine.state.epoch, "iteration": engine.state.iteration}
        progress |= {"best": list(self.best) if self.best else None, "synthetic": facts["synthetic"]}
        with whole(self.progress_file) as temporary:
            torch.save(progress, temporary)

    def finish(self, engine: Engine) -> None:
        """Write the finished weights and their card; remove what was kept for a resume."""
        facts = {**self.facts, **self.learnt_from.facts(engine)}
        if idist.get_rank() != 0:
            return
        with whole(self.final) as temporary:
            if self.best is not None:
                shutil.copyfile(self.best_file, temporary)
            else:
                torch.save(unwrapped(self.model).state_dict(), temporary)
        epoch, validation = self.best or (engine.state.epoch, None)
        write_card(self.final, **facts, epoch=epoch, validation=validation)
        self.progress_file.unlink(missing_ok=True)
        self.best_file.unlink(missing_ok=True)


class LoadCheckpoint:
    """Ignite handler: before an evaluator runs, load a checkpoint strictly and put the network in evaluation mode.

    MONAI's evaluators would otherwise change the mode of every module, there and back, in each iteration.

    Args:
        path: a file of weights; a card beside it is checked against it.
        model: the network that takes them.
        labels: the findings that the network's outputs stand for; a card with others is an error.
        allow_synthetic_model: let a model that was trained on synthetic images see real ones.

    Raises:
        CheckpointError: another network, other labels, or a file that is not weights.
        ConfigError: a model trained on synthetic images meets a real one.
    """

    def __init__(
        self, path: str, model: nn.Module, labels: Sequence[str] | None = None, allow_synthetic_model: bool = False
    ) -> None:
        self.path = path
        self.model = model
        self.labels = None if labels is None else list(labels)
        self.allow_synthetic_model = allow_synthetic_model

    def attach(self, engine: Engine) -> None:
        """Register with an evaluator."""
        engine.add_event_handler(Events.STARTED, self.load)

    def load(self, engine: Engine) -> None:
        """Load, and keep watch over the images if the model is synthetic."""
        card = load_trained(self.model, self.path, self.labels, engine.state.device)
        engine.state.synthetic_model = card is not None and card.synthetic
        if card is not None and card.synthetic and not self.allow_synthetic_model:
            engine.add_event_handler(Events.ITERATION_STARTED, self.refuse_real_images)

    def refuse_real_images(self, engine: Engine) -> None:
        """Stop at the first real image."""
        batch = engine.state.batch
        for index, status in enumerate(batch[c.STATUS]):
            if status == "ok" and not batch[c.SYNTHETIC][index]:
                raise ConfigError(
                    f"{self.path} was trained on synthetic images and {batch[c.FILE][index]} is a real one: train on "
                    "real images (--dataset_dir), or add --allow-synthetic-model to see output that means nothing"
                )
