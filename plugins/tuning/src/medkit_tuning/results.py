"""What a study has found: ``trials.csv``, ``best.yaml`` and the lines that the user reads at the end."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

import yaml
from optuna.trial import FrozenTrial, TrialState

from medkit.files import whole
from medkit.overrides import parse
from medkit.tables import write_csv
from medkit_tuning.objective import Objective
from medkit_tuning.plot import save_plot
from medkit_tuning.shared_study import SharedStudy, counted
from medkit_tuning.space import words

_STATES = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}


def write_results(shared: SharedStudy, bundle: Path, folder: Path) -> list[str]:
    """Write ``trials.csv``, ``best.yaml`` and ``tune.png`` of a study with a complete trial; return lines to print."""
    plan, trials = shared.plan, counted(shared.study.trials)
    ended = [trial for trial in trials if trial.state in _STATES]
    rows = [_row(trial, plan.space.objective, shared.file.parent) for trial in ended]
    columns = ["trial", "state", "value", "epochs", "seconds", *plan.space.parameters, "reason", "folder"]
    write_csv(folder / "trials.csv", columns, rows)
    best = shared.study.best_trial
    line = compared(best, trials, plan.space.objective)
    command = shlex.join(["medkit", "run", str(bundle), *plan.given, *words(best.params)])
    with whole(folder / "best.yaml") as temporary:
        found = yaml.safe_dump(parse(words(best.params)), sort_keys=False)
        temporary.write_text(f"# {line}\n# {command}\n{found}", encoding="utf-8")
    save_plot(shared.study, trials, plan, folder / "tune.png")
    counts = ", ".join(f"{sum(row['state'] == state for row in rows)} {state}" for state in _STATES.values())
    return [f"{counts}: {folder / 'trials.csv'}, {folder / 'tune.png'}", command, line]


def compared(best: FrozenTrial, trials: list[FrozenTrial], objective: Objective) -> str:
    """Return one line: the best value against that of the bundle's own values."""
    found = f"{objective.column}: best {best.value:.4g} (trial {best.number})"
    default = next((trial for trial in trials if trial.user_attrs.get("default")), None)
    if default is None or default.value is None:
        return f"{found}; the default has not ended: nothing to compare with"
    if best.number == default.number:
        return f"{found}: nothing found that is better than the default"
    return f"{found} against the default's {default.value:.4g}: {best.value - default.value:+.4g}"


def _row(trial: FrozenTrial, objective: Objective, home: Path) -> dict[str, Any]:
    value = objective.best(trial.intermediate_values.values())
    return {
        "trial": trial.number,
        "state": _STATES[trial.state],
        "value": "" if value is None else value,
        "epochs": max(trial.intermediate_values, default=0),
        "seconds": round(trial.duration.total_seconds(), 1) if trial.duration else "",
        **trial.params,
        "reason": trial.user_attrs.get("reason", ""),
        "folder": os.path.normpath(home / trial.user_attrs["folder"]),
    }
