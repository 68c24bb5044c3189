"""The tree of windows: the whole image at its root, smaller windows inside each window."""

from __future__ import annotations

from itertools import product

Side = tuple[int, int]
"""Height and width of a level's windows, in pixels."""
Corner = tuple[int, int]
"""Top row and left column of a window, in pixels of the whole image."""


def level_sides(image: Side, *, shrink: float, depth: int, smallest_side: int) -> list[Side]:
    """Return the sides of the windows of each level below the root, largest first.

    Both are ``shrink`` times those of the level above, rounded, and at least a pixel less. There are ``depth`` levels,
    or fewer where the next one would have a side below ``smallest_side``: perhaps none.
    """
    sides: list[Side] = []
    height, width = image
    for _ in range(depth):
        height, width = (min(side - 1, round(side * shrink)) for side in (height, width))
        if min(height, width) < smallest_side:
            break
        sides.append((height, width))
    return sides


def children(corner: Corner, parent: Side, child: Side, stride: float) -> list[Corner]:
    """Return the windows inside a window, in reading order; together they cover it.

    They are moved by ``stride`` times their side, rounded, along each axis; the last in a row or column ends where the
    parent ends, however far that is.
    """
    starts = []
    for first, outer, inner in zip(corner, parent, child):
        room, step = outer - inner, max(1, round(inner * stride))
        starts.append([*range(first, first + room, step), first + room])
    return list(product(*starts))
