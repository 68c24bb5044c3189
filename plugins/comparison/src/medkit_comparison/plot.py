"""The results as one figure: points with intervals, a panel a score, a line a row."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from medkit.files import whole
from medkit.plot_style import BLUE, METADATA, ORANGE, STYLE
from medkit_comparison.metric import METRICS
from medkit_comparison.statistics import HELPED, HURT, UNCLEAR

ACROSS = 4
"""Panels in a line."""
_LINE, _HEAD = 0.24, 0.75
"""Inches of a row, and of a panel's title and ticks."""
_MARKS = {
    "": ("s", "#000000", "#000000", "compared with none"),
    HELPED: (">", BLUE, BLUE, "helped"),
    UNCLEAR: ("o", BLUE, "#ffffff", "no clear difference"),
    HURT: ("<", ORANGE, ORANGE, "hurt"),
}
"""Verdict → marker, edge, face and legend: colours of Okabe and Ito, and a shape each for those who see none."""
_STYLE = {**STYLE, "font.size": 9, "axes.titlesize": 9}
Scores = Sequence[Mapping[str, Any] | None]
Panel = tuple[str, Scores, float | None, Sequence[str]]
"""Title, a score a row, the value that means nothing was gained, and what to write beside each row, if anything."""


def save_plot(results: Mapping[str, Any], path: Path) -> None:
    """Write the figure as PNG; equal results make equal bytes."""
    with style.context(["default", _STYLE]), whole(path) as temporary:
        figure_of(results).savefig(temporary, format="png", dpi=130, metadata=METADATA["png"])


def figure_of(results: Mapping[str, Any]) -> Figure:
    """Return the figure of ``comparison.json``: macro score, difference and boxes hit, then a panel a finding."""
    rows, metric = results["rows"], METRICS[results["metric"]]
    groups = [_overview(results), _per_class(results)]
    lines = [panels[start : start + ACROSS] for panels in groups for start in range(0, len(panels), ACROSS)]
    height = len(lines) * (_HEAD + _LINE * len(rows)) + 0.7
    figure = Figure((12, height), layout=ConstrainedLayoutEngine(h_pad=0.08))
    axes = figure.subplots(len(lines), ACROSS, squeeze=False)
    names = [textwrap.shorten(row["name"], 40, placeholder=" …") for row in rows]
    verdicts = [_verdict(row) for row in rows]
    for panels, line in zip(axes, lines):
        for panel, (title, scores, nothing, beside) in zip(panels, line):
            _draw(panel, title, scores, nothing, verdicts)
            for place, text in enumerate(beside):
                panel.text(1.03, place, text, va="center", transform=panel.get_yaxis_transform(), in_layout=False)
        panels[0].set_yticks(range(len(rows)), names)
        for panel in panels[len(line) :]:
            panel.remove()
    handles = [
        Line2D([], [], linestyle="", marker=marker, color=edge, markerfacecolor=face, label=label)
        for verdict, (marker, edge, face, label) in _MARKS.items()
        if verdict in verdicts
    ]
    legend = f"macro {metric.title}, paired difference to {'the row named' if _ladder(results) else results['against']}"
    figure.legend(handles=handles, title=legend, loc="outside lower center", ncols=len(handles), frameon=False)
    synthetic = "SYNTHETIC test images" if results["synthetic"] else ""
    figure.suptitle(": ".join(filter(None, (results["title"], synthetic))) or None)
    return figure


def _overview(results: Mapping[str, Any]) -> list[Panel]:
    rows, metric = results["rows"], METRICS[results["metric"]]
    gained = [row["difference"] for row in rows]
    gains = [gain and gain["macro"] for gain in gained]
    macro: Panel = (f"Macro {metric.title}", [row[metric.name]["macro"] for row in rows], metric.chance, [])
    boxes: Panel = ("True boxes hit (IoU > 0.3)", [row["boxes"] for row in rows], None, [])
    if _ladder(results):  # last, for there is room beside it
        others = [f"to {_short(gain['against'])}" if gain else "" for gain in gained]
        panels = [macro, boxes, ("Difference", gains, 0.0, others)]
    else:
        panels = [macro, (f"Difference to {_short(results['against'])}", gains, 0.0, []), boxes]
    return [panel for panel in panels if any(panel[1])]


def _per_class(results: Mapping[str, Any]) -> list[Panel]:
    metric = METRICS[results["metric"]]
    return [
        (
            f"{metric.title} {finding}",
            [row[metric.name]["per_class"][finding] for row in results["rows"]],
            metric.chance,
            [],
        )
        for finding in results["findings"]
    ]


def _draw(panel: Axes, title: str, scores: Scores, nothing: float | None, verdicts: Sequence[str]) -> None:
    """Draw one score, a row a line, the first on top."""
    panel.set_title(title)
    if nothing is not None:
        panel.axvline(nothing, color="#777777", linewidth=1, linestyle="--")
    for place, (score, verdict) in enumerate(zip(scores, verdicts)):
        if not score or score["value"] is None:
            continue
        marker, edge, face, _ = _MARKS[verdict]
        ends = [score["value"] if score[end] is None else score[end] for end in ("low", "high")]
        span = np.abs(np.subtract([[end] for end in ends], score["value"]))
        looks = {"color": edge, "markerfacecolor": face, "marker": marker, "markersize": 5, "capsize": 2}
        panel.errorbar(score["value"], place, xerr=span, **looks)
    panel.set_yticks(range(len(scores)), [])
    panel.set_ylim(len(scores) - 0.5, -0.5)


def _ladder(results: Mapping[str, Any]) -> bool:
    """Return whether a row is compared with another than the table's."""
    return any(row["difference"] and row["difference"]["against"] != results["against"] for row in results["rows"])


def _short(name: str) -> str:
    return textwrap.shorten(name, 24, placeholder=" …")


def _verdict(row: Mapping[str, Any]) -> str:
    return row["difference"]["verdict"] if row["difference"] else ""
