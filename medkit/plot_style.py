"""How plots look: for ``matplotlib.style.context(["default", STYLE])``, so that a user's own settings change none."""

from __future__ import annotations

from typing import Any

STYLE: dict[str, Any] = {
    "font.size": 10,
    "axes.titlesize": 10,
    "figure.titlesize": 10,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#dddddd",
    "text.parse_math": False,
    "svg.hashsalt": "medkit",
}
METADATA: dict[str, dict[str, Any]] = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
"""By format: what `Figure.savefig` leaves out so that equal figures make equal bytes."""
BLUE, ORANGE = "#0072B2", "#D55E00"
"""Okabe and Ito's, which people with any colour vision tell apart."""
