"""Beam search down the tree of windows, for all classes of all images at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import inf, nan

from medkit_beam_search_windows.tree import Corner, Side, children

Window = tuple[int, int, int]
"""Index of the image, top row, left column."""


def best_windows(
    classify: Callable[[Sequence[Window], Side], Sequence[Sequence[float]]],
    *,
    images: int,
    classes: int,
    sides: Sequence[Side],
    stride: float,
    beam_width: int,
) -> list[list[list[float]]]:
    """Return for each image and class ``x_min, y_min, x_max, y_max, value`` of the best window below the root.

    Of equal values the larger window is the best, then the upper, then the left one. The edges are NaN where all values
    are -inf.

    Args:
        classify: called once a level, with distinct windows in a fixed order and their sides; returns a value for each
            class, never NaN.
        images: B.
        classes: K.
        sides: of the root, then of the windows of each level.
        stride: share of a window's side by which it is moved inside its parent.
        beam_width: windows that each class of each image keeps on a level.
    """
    best = [[[nan, nan, nan, nan, -inf] for _ in range(classes)] for _ in range(images)]
    beams: list[list[list[Corner]]] = [[[(0, 0)] for _ in range(classes)] for _ in range(images)]
    for parent, side in pairwise(sides):
        for beam in beams:
            for k, kept in enumerate(beam):
                beam[k] = sorted({new for corner in kept for new in children(corner, parent, side, stride)})
        windows = sorted({(b, *corner) for b, beam in enumerate(beams) for kept in beam for corner in kept})
        values = dict(zip(windows, classify(windows, side)))
        for b, beam in enumerate(beams):
            for k, grown in enumerate(beam):
                value = {corner: values[b, *corner][k] for corner in grown}
                beam[k] = sorted(grown, key=value.__getitem__, reverse=True)[:beam_width]  # equal ones stay in order
                y, x = first = beam[k][0]
                if value[first] > best[b][k][4]:
                    best[b][k] = [x, y, x + side[1], y + side[0], value[first]]
    return best
