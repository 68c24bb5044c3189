"""The geometry of the tree, by hand and for any size."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from medkit_beam_search_windows.tree import children, level_sides

SIDES = st.tuples(st.integers(1, 90), st.integers(1, 90))
SHARES = st.floats(0.01, 0.99)


def test_windows_by_hand():
    assert level_sides((100, 60), shrink=0.7, depth=4, smallest_side=16) == [(70, 42), (49, 29), (34, 20)]
    assert level_sides((100, 60), shrink=0.7, depth=2, smallest_side=16) == [(70, 42), (49, 29)]
    assert level_sides((100, 60), shrink=0.7, depth=4, smallest_side=42) == [(70, 42)]
    assert level_sides((100, 60), shrink=0.7, depth=4, smallest_side=43) == []
    # Rows move by 4 and columns by 3; the last end at row 1 + 16 and at column 2 + 12.
    corners = children((1, 2), (16, 12), (10, 8), 0.4)
    assert corners == [(1, 2), (1, 5), (1, 6), (5, 2), (5, 5), (5, 6), (7, 2), (7, 5), (7, 6)]


@settings(max_examples=40, deadline=None)
@given(SIDES, SHARES, st.integers(1, 12), st.integers(1, 20))
def test_sides_fall_by_the_same_share_down_to_the_smallest(image, shrink, depth, smallest_side):
    sides = level_sides(image, shrink=shrink, depth=depth, smallest_side=smallest_side)
    assert len(sides) <= depth
    for parent, child in zip([image, *sides], sides):
        for outer, inner in zip(parent, child):
            assert smallest_side <= inner < outer
            assert abs(inner - shrink * outer) <= 0.5 or inner == outer - 1
    if len(sides) < depth:
        last = sides[-1] if sides else image
        assert min(min(side - 1, round(side * shrink)) for side in last) < smallest_side


@settings(max_examples=40, deadline=None)
@given(SIDES, st.tuples(st.integers(0, 50), st.integers(0, 50)), st.data(), st.floats(0.01, 1))
def test_children_lie_inside_their_parent_and_cover_it(child, corner, data, stride):
    parent = tuple(data.draw(st.integers(side + 1, 2 * side + 20)) for side in child)
    corners = children(corner, parent, child, stride)
    assert corners == sorted(set(corners))
    rows, columns = (sorted({found[axis] for found in corners}) for axis in (0, 1))
    assert len(corners) == len(rows) * len(columns)
    for starts, first, outer, inner in zip((rows, columns), corner, parent, child):
        assert starts[0] == first
        assert starts[-1] + inner == first + outer
        steps = [after - before for before, after in pairwise(starts)]
        assert max(steps) <= inner  # no gap
        assert all(step == max(1, round(stride * inner)) for step in steps[:-1])
        assert steps[-1] <= max(1, round(stride * inner))


@settings(max_examples=40, deadline=None)
@given(st.integers(40, 300), st.integers(10, 90), st.data())
def test_what_is_three_quarters_of_a_window_lies_inside_a_child(side, percent, data):
    (child, _), *_ = level_sides((side, side), shrink=percent / 100, depth=1, smallest_side=1)
    size = child - max(1, round(child * 0.25))
    start = data.draw(st.integers(0, side - size))
    starts = {y for y, _ in children((0, 0), (side, 2), (child, 1), 0.25)}
    assert any(y <= start and start + size <= y + child for y in starts)
