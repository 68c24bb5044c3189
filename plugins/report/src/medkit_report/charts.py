"""The geometry of small charts; the page's template draws them as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Roc:
    """One ROC curve in the unit square, y up.

    Attributes:
        points: (false positive rate, sensitivity) from (0, 0) to (1, 1).
        operating: the same of the operating point; None where nobody decided.
        positives: images that show the finding.
        negatives: images that do not.
    """

    points: list[tuple[float, float]]
    operating: tuple[float, float] | None
    positives: int
    negatives: int


def roc(labels: np.ndarray, scores: np.ndarray, present: np.ndarray) -> Roc | None:
    """Return the curve of one finding, or None without both positives and negatives.

    Args:
        labels: (N,) 1, 0 or NaN (skipped).
        scores: (N,), higher = more likely; NaN is skipped.
        present: (N,) 1, 0 or NaN.
    """
    known = ~np.isnan(labels) & ~np.isnan(scores)
    labels, scores, present = labels[known] == 1, scores[known], present[known]
    positives, negatives = int(labels.sum()), int((~labels).sum())
    if not positives or not negatives:
        return None
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))  # equal scores are one step of the curve
    true = np.append(0, np.cumsum(labels[order])[ends]) / positives
    false = np.append(0, np.cumsum(~labels[order])[ends]) / negatives
    # A quarter of a per cent is finer than the picture; it keeps large test sets out of the page.
    points = list(dict.fromkeys(zip((np.round(false * 400) / 400).tolist(), (np.round(true * 400) / 400).tolist())))
    operating = None
    if not np.isnan(present).any():
        said = present == 1
        operating = (float((said & ~labels).sum() / negatives), float((said & labels).sum() / positives))
    return Roc(points, operating, positives, negatives)


@dataclass(frozen=True, slots=True)
class Line:
    """One curve with its axes, all coordinates in the unit square, y up.

    Attributes:
        name: what is drawn.
        points: (x, y).
        x_ticks: (x, text).
        y_ticks: (y, text).
        last: the last value, as text.
    """

    name: str
    points: list[tuple[float, float]]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    last: str


def line(name: str, x: Sequence[float], y: Sequence[float]) -> Line | None:
    """Return the curve of the finite values, or None where there are none."""
    pairs = [(a, b) for a, b in zip(x, y) if math.isfinite(a) and math.isfinite(b)]
    if not pairs:
        return None
    x_low, x_high = min(a for a, _ in pairs), max(a for a, _ in pairs)
    x_span = (x_high - x_low) or 1.0
    y_ticks = _ticks(min(b for _, b in pairs), max(b for _, b in pairs), 4)
    y_span = y_ticks[-1] - y_ticks[0]
    x_ticks = sorted({x_low, x_high, *(t for t in _ticks(x_low, x_high, 5) if x_low < t < x_high and t == round(t))})
    if len(x_ticks) > 3 and x_ticks[-1] - x_ticks[-2] < x_span / 10:
        del x_ticks[-2]  # its text would touch the last one's
    return Line(
        name,
        [((a - x_low) / x_span, (b - y_ticks[0]) / y_span) for a, b in pairs],
        [((tick - x_low) / x_span, f"{tick:g}") for tick in x_ticks],
        [((tick - y_ticks[0]) / y_span, f"{tick:.6g}") for tick in y_ticks],
        f"{pairs[-1][1]:.4g}",
    )


def _ticks(low: float, high: float, about: int) -> list[float]:
    """Return at least two round numbers from at or below ``low`` to at or above ``high``."""
    span = max((high - low) or abs(high) or 1.0, 1e-9 * abs(high), 1e-9 * abs(low), 1e-30)
    power = 10 ** math.floor(math.log10(span / about))
    step = next(power * m for m in (1, 2, 5, 10) if power * m * about >= span * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{index * step:.12g}") for index in range(first, max(last, first + 1) + 1)]


def learning_curves(history: Sequence[dict[str, Any]]) -> list[Line]:
    """Return a curve for each column of history.csv but the epoch and the time it took; cells may be missing."""
    names = [name for name in (history[0] if history else {}) if name not in ("epoch", "seconds")]
    epochs = [number(row.get("epoch", "")) for row in history]
    lines = [line(name, epochs, [number(row.get(name, "")) for row in history]) for name in names]
    return [curve for curve in lines if curve is not None]


def number(text: str) -> float:
    """Return the number that a table's cell holds, NaN where it holds none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
