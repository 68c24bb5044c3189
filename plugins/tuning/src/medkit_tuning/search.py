"""The search: trials side by side, watched while they train, stopped where they are not worth going on with."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from optuna.trial import Trial

from medkit.errors import TrainingError
from medkit_tuning.objective import Objective
from medkit_tuning.plan import Plan
from medkit_tuning.shared_study import SharedStudy
from medkit_tuning.space import Value
from medkit_tuning.trial_process import TrialProcess

_PAUSE = 0.3
"""Seconds between looks at the trials."""


def search(shared: SharedStudy, total: int, jobs: int, announce: Callable[[str], None]) -> None:
    """Run trials, up to ``jobs`` at once, until ``total`` have ended, here or in other processes.

    Whatever ends this ends its own trials.

    Raises:
        ConfigError: what a trial wrote has no such column as the objective.
        TrainingError: the bundle's own values fail; the next search begins with them again.
    """
    objective = shared.plan.space.objective
    running: list[_Running] = []
    free = True
    try:
        while True:
            busy = shared.busy  # asked first: what another process leaves undone meanwhile is not missed
            while (free or not running) and len(running) < jobs and (following := shared.next(total)):
                running.append(_Running(shared.plan, *following, jobs))
                announce(f"trial {following[0].number}: {_shown(following[0].params)}")
            if not running and not busy:
                return
            free = False
            for one in list(running):
                ended = one.process.ended  # asked first, so that its last epoch is not missed
                if one.watch(objective) and not ended:
                    one.process.interrupt()
                    one.process.end()
                    running.remove(one)
                    shared.prune(one.trial)
                    outcome = f"stopped after epoch {max(one.values)}, {_best(objective, one)}"
                elif ended:
                    one.process.end()
                    running.remove(one)
                    outcome = _conclude(shared, objective, one)
                else:
                    continue
                free = True
                announce(f"trial {one.trial.number}: {outcome}, {time.monotonic() - one.began:.0f} s")
            if not free:
                time.sleep(_PAUSE)
    finally:
        for one in running:
            one.process.interrupt()
        for one in running:
            one.process.end()
            shared.put_back(one.trial.number)


class _Running:
    """A trial that runs."""

    def __init__(self, plan: Plan, trial: Trial, folder: Path, jobs: int) -> None:
        self.trial, self.folder = trial, folder
        self.values: dict[int, float] = {}
        self.began = time.monotonic()
        command = plan.command(folder, trial.params)
        self.process = TrialProcess(command, folder / "logs" / "tune.txt", max(1, torch.get_num_threads() // jobs))

    def watch(self, objective: Objective) -> bool:
        """Report epochs that have ended since; return whether to stop. The bundle's own values are never stopped."""
        new = {step: v for step, v in objective.values(self.folder).items() if step not in self.values}
        self.values |= new
        for step, value in new.items():
            self.trial.report(value, step)
        return bool(new) and "default" not in self.trial.user_attrs and self.trial.should_prune()


def _conclude(shared: SharedStudy, objective: Objective, one: _Running) -> str:
    reason, value = one.process.why_failed(), objective.best(one.values.values())
    if not reason and value is not None:
        shared.complete(one.trial, value)
        return _best(objective, one)
    reason = reason or f"it ended without a value of {objective.column} in {objective.file}"
    if "default" in one.trial.user_attrs:
        shared.put_back(one.trial.number)
        raise TrainingError(f"the bundle's own values failed, so others would too: {reason} ({one.process.log})")
    shared.fail(one.trial, reason)
    return f"failed: {reason}"


def _best(objective: Objective, one: _Running) -> str:
    return f"{objective.column} {objective.best(one.values.values()):.4g}"


def _shown(values: Mapping[str, Value]) -> str:
    texts = {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in values.items()}
    return ", ".join(f"{key} {text}" for key, text in texts.items())
