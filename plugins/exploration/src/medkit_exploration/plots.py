"""Plots of label statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from medkit.files import whole
from medkit.plot_style import BLUE, METADATA, STYLE

_STYLE = {**STYLE, "axes.grid": False, "hatch.color": "#777777", "hatch.linewidth": 0.6}
_LOOKS = (
    ("positive", {"color": BLUE}),
    ("unknown", {"facecolor": "#ffffff", "edgecolor": "#777777", "hatch": "////", "linewidth": 0}),
    ("negative", {"color": "#e6e6e6"}),
)
"""What a bar is made of, from the left; blue is Okabe and Ito's."""
_COLUMN = {"positive": 0, "negative": 1, "unknown": 2}


def save_figure(figure: Figure, path: Path, synthetic: bool) -> None:
    """Write a PNG, which says so where images are synthetic; equal figures make equal bytes."""
    if synthetic:
        figure.supxlabel("SYNTHETIC images", fontsize="small")
    with style.context(["default", _STYLE]), whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150, metadata=METADATA["png"])


def heat_map_figure(share: np.ndarray, images: np.ndarray, findings: Sequence[str]) -> Figure:
    """Return P(j|i) in per cent as a heat map: row i given, column j.

    Args:
        share: (K,K) in 0…1, NaN where no image counts.
        images: (K,) how many images show each finding.
        findings: K names.
    """
    with style.context(["default", _STYLE]):
        side = max(4.5, 2.2 + 0.55 * len(findings))
        figure = Figure((side + 0.8, side), layout=ConstrainedLayoutEngine())
        axes = figure.subplots()
        drawn = axes.imshow(np.ma.masked_invalid(100 * share), cmap="Blues", vmin=0, vmax=100, aspect="auto")
        places = range(len(findings))
        axes.set_xticks(places, findings, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(places, [f"{name} ({count})" for name, count in zip(findings, images)])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_ylabel("given (images)")
        axes.set_title("Images with the row's finding that show the column's too (%)")
        for (i, j), value in np.ndenumerate(share):
            text = "–" if np.isnan(value) else f"{100 * value:.0f}"
            axes.text(j, i, text, ha="center", va="center", color="#ffffff" if value > 0.5 else "#000000")
        figure.colorbar(drawn, ax=axes, shrink=0.7, label="%")
        return figure


def distribution_figure(counts: Mapping[str, np.ndarray], names: Sequence[str]) -> Figure:
    """Return bars of positive, unknown and negative images a class, a panel a section.

    Args:
        counts: section → (K,3) positive, negative, unknown.
        names: K classes.
    """
    with style.context(["default", _STYLE]):
        figure = Figure((2.2 + 3.4 * len(counts), 1.5 + 0.32 * len(names)), layout=ConstrainedLayoutEngine())
        panels = figure.subplots(1, len(counts), squeeze=False, sharey=True)[0]
        for panel, (section, table) in zip(panels, counts.items()):
            images, left = int(table[0].sum()), np.zeros(len(names))
            for label, looks in _LOOKS:
                width = table[:, _COLUMN[label]]
                panel.barh(range(len(names)), width, left=left, label=label, height=0.7, **looks)
                left = left + width
            for place, (positive, negative, _) in enumerate(table.tolist()):
                known = positive + negative
                text = f"{positive} ({positive / known:.1%})" if known else "unknown"
                panel.text(images * 1.02, place, text, va="center")
            panel.set_xlim(0, images * 1.38)
            panel.set_xticks([tick for tick in panel.get_xticks() if tick <= images])
            panel.set_title(f"{section}: {images} images")
            panel.set_xlabel("images")
            panel.grid(axis="x")
            panel.tick_params(axis="y", length=0)
        panels[0].set_yticks(range(len(names)), names)
        panels[0].invert_yaxis()
        used = [n for n, (label, _) in enumerate(_LOOKS) if any(t[:, _COLUMN[label]].any() for t in counts.values())]
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(
            [handles[n] for n in used], [labels[n] for n in used], loc="outside lower center", ncols=3, frameon=False
        )
        figure.suptitle("Beside each bar: positive images, and their share of those that are known")
        return figure
