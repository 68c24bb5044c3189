"""The search as one figure: the best value over the trials, what matters, and a panel a parameter."""

from __future__ import annotations

import math
import textwrap
from pathlib import Path

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from medkit.files import whole
from medkit.plot_style import BLUE, METADATA, ORANGE, STYLE
from medkit_tuning.objective import Objective
from medkit_tuning.plan import Plan

ACROSS = 3
"""Panels of parameters in a line."""
_ENOUGH = 8
"""Trials below which shares of the variation would be noise."""
_MARKS = {
    "complete": {"marker": "o", "color": BLUE, "markersize": 5},
    "stopped early": {"marker": "x", "color": "#777777", "markersize": 5},
    "default": {"marker": "D", "color": "#000000", "markersize": 7},
    "best": {"marker": "*", "color": ORANGE, "markersize": 13},
}


def save_plot(study: Study, trials: list[FrozenTrial], plan: Plan, file: Path) -> None:
    """Write the figure as PNG."""
    with style.context(["default", STYLE]):
        figure = figure_of(study, trials, plan)
        with whole(file) as temporary:
            figure.savefig(temporary, format="png", dpi=150, metadata=METADATA["png"])


def figure_of(study: Study, trials: list[FrozenTrial], plan: Plan) -> Figure:
    """Return the figure of a study with at least one trial that was completed."""
    objective, parameters = plan.space.objective, plan.space.parameters
    points = {trial.number: (kind, trial) for kind, trial in _kinds(trials, study.best_trial.number)}
    lines = math.ceil(len(parameters) / ACROSS)
    figure = Figure((10, 3.2 + 2.6 * lines), layout=ConstrainedLayoutEngine(h_pad=0.12))
    top, bottom = figure.subfigures(2, 1, height_ratios=[3.2, 2.6 * lines])
    history, importance = top.subplots(1, 2, width_ratios=[2, 1])
    _draw_history(history, points, objective)
    _draw_importance(importance, study)
    panels = bottom.subplots(lines, ACROSS, squeeze=False, sharey=True).flatten()
    for panel, (key, limits) in zip(panels, parameters.items()):
        _draw_slice(panel, points, key, limits, objective)
    for panel in panels[len(parameters) :]:
        panel.remove()
    for panel in panels[: len(parameters) : ACROSS]:
        panel.set_ylabel(_wrapped(objective.column))
    return figure


def _kinds(trials: list[FrozenTrial], best: int) -> list[tuple[str, FrozenTrial]]:
    """Return what each trial that has a value is shown as, the most important drawn last."""
    shown = [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    kinds = [
        "best"
        if trial.number == best
        else "default"
        if trial.user_attrs.get("default")
        else "complete"
        if trial.state is TrialState.COMPLETE
        else "stopped early"
        for trial in shown
    ]
    return sorted(zip(kinds, shown), key=lambda pair: [*reversed(_MARKS)].index(pair[0]), reverse=True)


def _draw_history(panel: Axes, points: dict[int, tuple[str, FrozenTrial]], objective: Objective) -> None:
    shown = set()
    for number, (kind, trial) in points.items():
        value = objective.best(trial.intermediate_values.values())
        panel.plot(number, value, linestyle="", label=None if kind in shown else kind, **_MARKS[kind])
        shown.add(kind)
        if trial.user_attrs.get("default"):
            panel.axhline(value, color="#000000", linewidth=1, linestyle="--", label="value of the default")
    complete = sorted(number for number, (_, trial) in points.items() if trial.state is TrialState.COMPLETE)
    accumulate = np.maximum.accumulate if objective.direction == "maximize" else np.minimum.accumulate
    so_far = accumulate([points[number][1].value for number in complete])
    panel.step([*complete, max(points)], [*so_far, so_far[-1]], where="post", color=BLUE, linewidth=1)
    panel.set_xlim(-0.5, max(points) + 0.5)
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.set_xlabel("trial")
    panel.set_ylabel(_wrapped(objective.column))
    panel.set_title("best so far")
    panel.legend(frameon=False, fontsize=8)


def _draw_importance(panel: Axes, study: Study) -> None:
    values = [trial.value for trial in study.get_trials(states=[TrialState.COMPLETE])]
    panel.set_title("share of the variation (fANOVA)")
    if len(values) < _ENOUGH or len(set(values)) < 2:
        said = f"{_ENOUGH} complete trials needed,\nof different values"
        panel.text(0.5, 0.5, said, ha="center", va="center", transform=panel.transAxes)
        panel.set_axis_off()
        return
    shares = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
    panel.barh([_wrapped(key) for key in shares], list(shares.values()), color=BLUE)
    panel.invert_yaxis()
    panel.set_xlim(0, 1)
    panel.grid(False, axis="y")


def _draw_slice(
    panel: Axes,
    points: dict[int, tuple[str, FrozenTrial]],
    key: str,
    limits: BaseDistribution,
    objective: Objective,
) -> None:
    panel.set_xlabel(_wrapped(key))
    for kind, trial in points.values():
        place = trial.params[key]
        if isinstance(limits, CategoricalDistribution):
            place = limits.choices.index(place)
        value = objective.best(trial.intermediate_values.values())
        panel.plot(place, value, linestyle="", clip_on=False, **_MARKS[kind])
    if isinstance(limits, CategoricalDistribution):
        panel.set_xticks(range(len(limits.choices)), [_wrapped(choice) for choice in limits.choices])
        panel.set_xlim(-0.5, len(limits.choices) - 0.5)
        return
    if limits.log:
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 3) if limits.high < 300 * limits.low else (1,)))
        panel.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        panel.xaxis.set_minor_formatter(NullFormatter())
    panel.set_xlim(limits.low, limits.high)


def _wrapped(name: str) -> str:
    return "\n".join(textwrap.wrap(name, 24, max_lines=3, placeholder=" …"))
