"""The Ignite handlers that make runs reproducible and complete."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from filelock import FileLock
from ignite.engine import Engine, Events
from monai.utils import set_determinism

from medkit import contracts as c
from medkit.errors import CheckpointError, DataError
from medkit.files import require_writable, sha256, write_json
from medkit.tables import read_csv, write_csv


def merged(engine: Engine) -> list[dict[str, Any]]:
    """Return this iteration's samples: decollated batch and output as one dictionary each.

    The label is the batch's: an engine's output has there what the network is trained for, which may be a mask.
    """
    pairs = zip(engine.state.batch, engine.state.output)
    return [{**batch, **{k: v for k, v in output.items() if k != c.LABEL}} for batch, output in pairs]


class EpochSeed:
    """Ignite handler: every epoch draws from ``seed + epoch`` and from nothing before it.

    So an epoch is the same whether the run was interrupted before it or not. Seeds torch, numpy and Python, the data
    set's random transforms, and the sampler (``set_epoch``).

    Args:
        seed: of the run.
        dataset: MONAI's data set whose ``transform`` is random.
    """

    def __init__(self, seed: int, dataset: Any = None) -> None:
        self.seed = seed
        self.dataset = dataset

    def attach(self, engine: Engine) -> None:
        """Register with the trainer."""
        engine.add_event_handler(Events.EPOCH_STARTED, self.reseed)

    def reseed(self, engine: Engine) -> None:
        """Seed for the epoch that starts; each process of several draws its own augmentation."""
        epoch = engine.state.epoch
        seed = (self.seed + epoch) * idist.get_world_size() + idist.get_rank()
        set_determinism(seed)
        transform: Any = getattr(self.dataset, "transform", None)
        if hasattr(transform, "set_random_state"):
            transform.set_random_state(seed=seed)
        sampler: Any = getattr(getattr(engine, "data_loader", None), "sampler", None)
        if hasattr(sampler, "set_epoch"):
            sampler.set_epoch(epoch)


class Problems:
    """Ignite handler: list in one CSV file every input that was not assessed or could not be read.

    Args:
        path: the file; rows of other stages stay.
        stage: written in each row.

    Raises:
        DataError: not one file could be read.
    """

    columns = ("file", "stage", "status", "reason")

    def __init__(self, path: str, stage: str) -> None:
        self.path = Path(path)
        self.stage = stage
        self.rows: dict[str, dict[str, str]] = {}
        self.seen: set[str] = set()

    def attach(self, engine: Engine) -> None:
        """Register with a trainer or an evaluator, before the handler that keeps what was trained."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.note)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.write)

    def note(self, engine: Engine) -> None:
        """Keep the rows of this iteration."""
        for sample in engine.state.batch:
            self.seen.add(sample[c.FILE])
            if sample[c.STATUS] != "ok":
                row = (sample[c.FILE], self.stage, sample[c.STATUS], sample[c.REASON])
                self.rows[sample[c.FILE]] = dict(zip(self.columns, row))
        alone = idist.get_world_size() == 1
        if alone and len(self.rows) == len(self.seen) and engine.state.iteration == engine.state.epoch_length:
            self.write(engine)  # before validation or metrics find nothing to measure, and say only that

    def write(self, engine: Engine) -> None:
        """Replace this stage's rows in the file; from the second epoch on, rows of earlier epochs stay."""
        if engine.state.epoch > 1:
            self.rows = {row["file"]: row for row in read_csv(self.path) if row["stage"] == self.stage} | self.rows
        for rows, seen in gathered((self.rows, self.seen)):
            self.rows |= rows
            self.seen |= seen
        if idist.get_rank() == 0:
            require_writable(self.path)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path.with_name(f".{self.path.name}.lock")):  # stages side by side share the file
                others = [row for row in read_csv(self.path) if row["stage"] != self.stage]
                write_csv(self.path, self.columns, [*others, *self.rows.values()])
        failed = [row for row in self.rows.values() if row["status"] == "error"]
        if failed and len(failed) >= len(self.seen):
            file, reason = failed[0]["file"], failed[0]["reason"]
            raise DataError(f"none of {len(self.seen)} files could be read; the first, {file}: {reason}")


def gathered(value: Any) -> list[Any]:
    """Return every process's ``value``, the own one alone where there is one process."""
    values = [value] * idist.get_world_size()
    if len(values) > 1:
        torch.distributed.all_gather_object(values, value)
    return values


class Fit:
    """Ignite handler: let post-processing parts learn from one pass over validation data, and store what they learnt.

    The file holds each part's state and the checkpoint's hash, so that it can be used with no other checkpoint.

    Args:
        parts: name → part with ``fit`` and ``state_dict`` (`medkit.contracts.Fittable`).
        path: the JSON file.
        checkpoint: the weights that the network uses; all the files that what is learnt depends on.

    Raises:
        DataError: no sample could be read.
    """

    def __init__(self, parts: Mapping[str, c.Fittable], path: str, checkpoint: str | Sequence[str]) -> None:
        self.parts = dict(parts)
        self.path = path
        self.checkpoint = checkpoint
        self.samples: list[dict[str, Any]] = []

    def attach(self, engine: Engine) -> None:
        """Register with an evaluator that runs over validation data."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.collect)
        engine.add_event_handler(Events.COMPLETED, self.fit)

    def collect(self, engine: Engine) -> None:
        """Keep everything of the readable samples but their pixels."""
        for sample in merged(engine):
            if sample[c.STATUS] == "ok":
                height, width = sample[c.IMAGE].shape[-2:]
                kept = {k: v.cpu() if isinstance(v, torch.Tensor) else v for k, v in sample.items()}
                kept[c.IMAGE] = torch.empty((0, height, width))
                self.samples.append(kept)

    def fit(self, engine: Engine) -> None:
        """Fit every part and write the file."""
        if not self.samples:
            raise DataError("no validation image could be read, so nothing can be fitted")
        for part in self.parts.values():
            part.fit(self.samples)
        states = {name: part.state_dict() for name, part in self.parts.items()}
        if idist.get_rank() == 0:
            write_json(self.path, {"format": 1, "checkpoint_sha256": _hashes(self.checkpoint), "parts": states})


def _hashes(files: str | Sequence[str]) -> str | list[str]:
    """Return the SHA-256 of a file, or of each of several.

    Raises:
        CheckpointError: one is not there.
    """
    try:
        return sha256(files) if isinstance(files, str) else [sha256(file) for file in files]
    except FileNotFoundError as error:
        raise CheckpointError(f"{error.filename} is not there: run the stage that makes it") from error


class LoadFit:
    """Ignite handler: before an evaluator runs, give post-processing parts what `Fit` stored.

    Args:
        parts: name → part, as given to `Fit`.
        path: the JSON file.
        checkpoint: the weights that the network uses; the files, in order, that were given to `Fit`.

    Raises:
        CheckpointError: the file is missing, lacks a part, or was fitted for another checkpoint.
    """

    def __init__(self, parts: Mapping[str, c.Fittable], path: str, checkpoint: str | Sequence[str]) -> None:
        self.parts = dict(parts)
        self.path = path
        self.checkpoint = checkpoint

    def attach(self, engine: Engine) -> None:
        """Register with an evaluator."""
        engine.add_event_handler(Events.STARTED, self.load)

    def load(self, engine: Engine) -> None:
        """Check the hash and hand out the states."""
        try:
            stored = json.loads(Path(self.path).read_text(encoding="utf-8"))
            states, fitted_for = stored["parts"], stored["checkpoint_sha256"]
        except (OSError, ValueError, KeyError) as error:
            raise CheckpointError(
                f"operating points {self.path} cannot be read ({error}): run the fit stage"
            ) from error
        if fitted_for != _hashes(self.checkpoint):
            raise CheckpointError(
                f"{self.path} was fitted for another checkpoint than {self.checkpoint}: run the fit stage for this one"
            )
        for name, part in self.parts.items():
            if name not in states:
                raise CheckpointError(f'{self.path} holds nothing for "{name}": run the fit stage again')
            part.load_state_dict(states[name])
