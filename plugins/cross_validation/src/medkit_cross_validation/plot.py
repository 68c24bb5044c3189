"""The results as one figure: points with intervals, a panel a score."""

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
from medkit_cross_validation.scores import TITLES, titles_of

ACROSS = 3
"""Panels in a line."""
_MARKS = {
    None: ("s", "#000000", "#000000", "compared with none"),
    "above 0": (">", BLUE, BLUE, "paired difference above 0"),
    "includes 0": ("o", BLUE, "#ffffff", "paired difference includes 0"),
    "below 0": ("<", ORANGE, ORANGE, "paired difference below 0"),
}
"""Verdict → marker, edge, face and legend: colours of Okabe and Ito, and a shape each for those who see none."""


def save_plot(results: Mapping[str, Any], output_dir: Path) -> None:
    """Write ``plot.png`` and ``plot.svg``."""
    with style.context(["default", STYLE]):
        figure = figure_of(results)
        for form, metadata in METADATA.items():
            with whole(output_dir / f"plot.{form}") as temporary:
                figure.savefig(temporary, format=form, dpi=150, metadata=metadata)


def figure_of(results: Mapping[str, Any]) -> Figure:
    """Return the figure of ``results.json``: a line of panels for each kind and for the learning curve."""
    sections = [[row for row in results["rows"] if row["kind"] == kind] for kind in TITLES]
    if results["learning_curve"]:
        sections.append(results["learning_curve"]["points"])
    lines = [(rows, names) for rows in sections for names in _lines(rows)]
    heights = [2.6 if "training_images" in rows[0] else 0.9 + 0.36 * len(rows) for rows, _ in lines]
    figure = Figure((10, sum(heights) + 0.8), layout=ConstrainedLayoutEngine(h_pad=0.12))
    axes = figure.subplots(len(lines), ACROSS, squeeze=False, height_ratios=heights)
    for (rows, names), panels in zip(lines, axes):
        for panel, name in zip(panels, names):
            _draw(panel, rows, name)
        if "training_images" in rows[0]:
            panels[0].set_ylabel(_wrapped(results["learning_curve"]["name"]))
        else:
            panels[0].set_yticks(range(len(rows)), [_wrapped(row["name"]) for row in rows])
        for panel in panels[len(names) :]:
            panel.remove()
    shown = {_verdict(row, name) for row in results["rows"] for name in row["scores"]}
    if shown - {None}:
        handles = [
            Line2D([], [], linestyle="", marker=marker, color=edge, markerfacecolor=face, label=label)
            for verdict, (marker, edge, face, label) in _MARKS.items()
            if verdict in shown
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    figure.suptitle(results["title"] or None)
    return figure


def _lines(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return the names of the scores that are shown, `ACROSS` a line."""
    names = list(titles_of(rows)) if rows else []
    return [names[start : start + ACROSS] for start in range(0, len(names), ACROSS)]


def _draw(panel: Axes, rows: Sequence[Mapping[str, Any]], name: str) -> None:
    """Draw one score: against the training-set size for a learning curve, else a row a line, the first on top."""
    panel.set_title(titles_of(rows)[name])
    sizes = [row["training_images"] for row in rows if "training_images" in row]
    for place, row in zip(sizes or range(len(rows)), rows):
        score = row["scores"].get(name)
        if score is None or score["value"] is None:
            continue
        marker, edge, face, _ = _MARKS[_verdict(row, name)]
        ends = [score["value"] if score[end] is None else score[end] for end in ("low", "high")]
        span = np.abs(np.subtract([[end] for end in ends], score["value"]))
        looks = {"color": edge, "markerfacecolor": face, "marker": marker, "markersize": 7, "capsize": 3}
        if sizes:
            panel.errorbar(place, score["value"], yerr=span, **looks)
        else:
            panel.errorbar(score["value"], place, xerr=span, **looks)
    if sizes:
        values = [row["scores"][name]["value"] for row in rows]
        panel.plot(sizes, [np.nan if value is None else value for value in values], color="#000000", linewidth=1)
        panel.set_xscale("log")
        panel.set_xticks(sizes, [str(size) for size in sizes])
        panel.minorticks_off()
        panel.set_xlabel("training images")
    else:
        panel.set_yticks(range(len(rows)), [])
        panel.set_ylim(len(rows) - 0.5, -0.5)


def _verdict(row: Mapping[str, Any], name: str) -> str | None:
    """Return the verdict on a score, None where there is none."""
    return row.get("difference", {}).get(name, {}).get("verdict") or None


def _wrapped(name: str) -> str:
    return "\n".join(textwrap.wrap(name, 28, max_lines=3, placeholder=" …"))
