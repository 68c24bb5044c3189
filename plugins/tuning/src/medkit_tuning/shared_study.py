"""The study in its SQLite file, which several processes may share: who runs which trial, and what became of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import optuna
from filelock import FileLock, Timeout
from optuna.pruners import MedianPruner, NopPruner
from optuna.samplers import CmaEsSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from medkit.errors import ConfigError
from medkit_tuning.plan import Plan

SAMPLERS = {
    "tpe": lambda seed: TPESampler(seed=seed),
    "random": lambda seed: RandomSampler(seed=seed),
    "cmaes": lambda seed: CmaEsSampler(seed=seed, warn_independent_sampling=False),
    "nsga2": lambda seed: NSGAIISampler(seed=seed, population_size=10),
}
PRUNERS = {"median": lambda: MedianPruner(n_startup_trials=5, n_warmup_steps=2), "none": NopPruner}
_NAME = "medkit"
_LOCK = "tune.lock"


class SharedStudy:
    """A study, opened; a context manager.

    A trial belongs to the process that holds the lock ``trials/0007/tune.lock``, which the system releases however that
    process ends. A running trial whose lock is free was interrupted: it is marked failed and its values are enqueued
    again, to go on in the same folder.

    Args:
        file: the SQLite file; made where there is none.
        plan: what is searched; what the file's study was made for must be the same.
        folder: new trials get a folder each below it.
        sampler: a key of `SAMPLERS`.
        pruner: a key of `PRUNERS`.
        seed: of the sampler; every trial is drawn from ``(seed, number)``, whichever process draws it.

    Raises:
        ConfigError: the file is no study, or one of something else.
    """

    def __init__(self, file: Path, plan: Plan, folder: Path, sampler: str, pruner: str, seed: int) -> None:
        self.file, self.plan, self.folder = file, plan, folder
        self.sampler, self.seed = SAMPLERS[sampler], seed
        self.held: dict[int, FileLock] = {}
        file.parent.mkdir(parents=True, exist_ok=True)
        self.lock = FileLock(f"{file}.lock")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        url = URL.create("sqlite", database=str(file)).render_as_string()
        with self.lock:
            try:
                self.storage = optuna.storages.RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 60}})
                self.study = optuna.create_study(
                    study_name=_NAME,
                    storage=self.storage,
                    direction=plan.space.objective.direction,
                    pruner=PRUNERS[pruner](),
                    load_if_exists=True,
                )
            except (SQLAlchemyError, optuna.exceptions.OptunaError, RuntimeError) as error:
                reason = " ".join(str(getattr(error, "orig", error)).split())[:200]
                raise ConfigError(f"{file} cannot be opened as a study of Optuna: {reason}") from error
            self._require_same()

    def __enter__(self) -> SharedStudy:
        return self

    def __exit__(self, *error: object) -> None:
        for lock in self.held.values():
            lock.release()
        self.storage.remove_session()
        self.storage.engine.dispose()

    @property
    def busy(self) -> bool:
        """Whether a trial runs, here or in another process."""
        running = (TrialState.RUNNING,)
        return bool(self.held) or bool(self.study.get_trials(deepcopy=False, states=running))

    def next(self, total: int) -> tuple[Trial, Path] | None:
        """Return a trial to run and its folder; None when the study has, or other processes run, all of ``total``."""
        with self.lock:
            trials = self._take_back()
            if not trials:
                self.study.enqueue_trial(self.plan.defaults, user_attrs={"default": True})
            if len(counted(trials)) >= total:
                return None
            seed = np.random.SeedSequence([self.seed, len(trials)]).generate_state(1).item()
            self.study.sampler = self.sampler(seed)
            trial = self.study.ask(self.plan.space.parameters)
            folder = self.folder / f"{trial.number:04d}"
            if "folder" in trial.user_attrs:
                folder = self.file.parent / trial.user_attrs["folder"]
            folder.mkdir(parents=True, exist_ok=True)
            self.held[trial.number] = FileLock(folder / _LOCK)
            self.held[trial.number].acquire(blocking=False)
            trial.set_user_attr("folder", os.path.relpath(folder, self.file.parent))
            return trial, folder

    def complete(self, trial: Trial, value: float) -> None:
        """Note what a trial has reached."""
        self._tell(trial, TrialState.COMPLETE, value)

    def prune(self, trial: Trial) -> None:
        """Note that a trial was not worth going on with."""
        self._tell(trial, TrialState.PRUNED)

    def fail(self, trial: Trial, reason: str) -> None:
        """Note why a trial has failed."""
        trial.set_user_attr("reason", reason)
        self._tell(trial, TrialState.FAIL)

    def put_back(self, number: int) -> None:
        """Note that a trial was interrupted, and enqueue its values to be tried again."""
        with self.lock:
            self._put_back(self.study.trials, number)
            self.held.pop(number).release()  # before another process may take the values, and the folder, up again

    def _tell(self, trial: Trial, state: TrialState, value: float | None = None) -> None:
        self.study.tell(trial, value, state)
        self.held.pop(trial.number).release()

    def _take_back(self) -> list[FrozenTrial]:
        """Put back trials of processes that have ended; return all trials."""
        trials = self.study.get_trials(deepcopy=False)
        for trial in trials:
            if trial.state is not TrialState.RUNNING:
                continue
            with suppress(Timeout):
                self._require_left(trial)
                self._put_back(trials, trial.number)
        return self.study.get_trials(deepcopy=False)

    def _require_left(self, trial: FrozenTrial) -> None:
        """Return if no process runs a trial: its lock is free, or its process ended before it took one.

        Raises:
            filelock.Timeout: one does.
        """
        folder = self.file.parent / trial.user_attrs.get("folder", "")
        if "folder" in trial.user_attrs and folder.is_dir():
            with FileLock(folder / _LOCK).acquire(blocking=False):
                pass

    def _put_back(self, trials: list[FrozenTrial], number: int) -> None:
        if number not in _repeated(trials):
            old = trials[number]
            values = self.plan.defaults if old.user_attrs.get("default") else old.params
            self.study.enqueue_trial(values, user_attrs={**old.user_attrs, "repeats": number})
        self.study.tell(number, state=TrialState.FAIL)

    def _require_same(self) -> None:
        stored: Mapping[str, object] | None = self.study.user_attrs.get("made_for")
        asked = self.plan.definition
        if stored is None:
            if self.folder.is_dir() and any(self.folder.iterdir()):
                raise ConfigError(f"{self.folder} holds trials of another study: give another -o, or its --study")
            self.study.set_user_attr("made_for", asked)
            return
        for what, value in asked.items():
            if stored.get(what) == value:
                continue
            told = f" ({stored.get(what)} instead of {value})" if what in ("bundle", "stages", "objective") else ""
            also = " or other data" if what == "configuration" else ""
            raise ConfigError(f"{self.file} holds a study of another {what}{also}{told}: give another --study or -o")


def counted(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """Return the trials that run or have ended; one that was interrupted counts when it is tried again."""
    repeated = _repeated(trials)
    return [trial for trial in trials if trial.state is not TrialState.WAITING and trial.number not in repeated]


def _repeated(trials: list[FrozenTrial]) -> set[int]:
    return {trial.user_attrs["repeats"] for trial in trials if "repeats" in trial.user_attrs}
