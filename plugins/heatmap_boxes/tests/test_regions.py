import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from medkit_heatmap_boxes.evidence import region_boxes
from medkit_heatmap_boxes.geometry import moved, to_frame


def bump(rows, columns, x, y, width, height):
    """A smooth bump with its centre and spread given as fractions of the input."""
    across = (np.arange(columns) + 0.5) / columns
    down = ((np.arange(rows) + 0.5) / rows)[:, None]
    return torch.tensor(np.exp(-(((across - x) / width) ** 2) - ((down - y) / height) ** 2))


def test_one_bright_cell_gives_a_box_around_that_cell():
    heatmap = torch.zeros(4, 8)
    heatmap[1, 5] = 1
    ((box,),) = region_boxes(heatmap, [0.5])
    np.testing.assert_allclose(box, [5 / 8, 1 / 4, 6 / 8, 2 / 4, 1], atol=1 / 64)


@settings(deadline=None, max_examples=30)
@given(st.floats(0.3, 0.7), st.floats(0.3, 0.7), st.floats(0.1, 0.2), st.floats(0.1, 0.2))
def test_box_of_a_smooth_bump_is_finer_than_a_cell(x, y, width, height):
    """exp(-d²) is 0.5 at d = √ln 2; cells are 1/12 and 1/16 wide."""
    ((box,),) = region_boxes(bump(12, 16, x, y, width, height), [0.5])
    reach = np.sqrt(np.log(2))
    expected = [x - reach * width, y - reach * height, x + reach * width, y + reach * height]
    np.testing.assert_allclose(box[:4], expected, atol=0.04)


def test_a_higher_threshold_gives_a_box_inside():
    boxes = region_boxes(bump(8, 12, 0.4, 0.5, 0.2, 0.3), [0.2, 0.5, 0.8])[:, 0]
    assert (np.diff(boxes[:, :2], axis=0) > 0).all()
    assert (np.diff(boxes[:, 2:4], axis=0) < 0).all()


def test_the_highest_peak_wins_over_the_larger_region():
    heatmap = 0.6 * bump(16, 24, 0.3, 0.5, 0.2, 0.3) + bump(16, 24, 0.85, 0.5, 0.08, 0.08)
    ((box,),) = region_boxes(heatmap, [0.3])
    assert box[0] > 0.7


def test_several_boxes_come_strongest_first():
    heatmap = 0.8 * bump(16, 24, 0.2, 0.5, 0.05, 0.05) + bump(16, 24, 0.8, 0.5, 0.05, 0.05)
    (boxes,) = region_boxes(heatmap, [0.5], count=3)
    assert boxes[0, 0] > 0.5 > boxes[1, 0]
    assert boxes[0, 4] == pytest.approx(1)
    assert boxes[1, 4] == pytest.approx(0.8, abs=0.03)
    assert np.isnan(boxes[2]).all()


@pytest.mark.parametrize("value", [0.0, 3.0, float("nan"), float("inf")])
def test_a_map_without_contrast_shows_nothing(value):
    assert np.isnan(region_boxes(torch.full((4, 6), value), [0.5])).all()


def test_one_bright_region_over_the_whole_map_is_the_whole_input():
    heatmap = torch.ones(4, 8)
    heatmap[:, 0] = 0
    ((box,),) = region_boxes(heatmap, [0.01])
    np.testing.assert_allclose(box[:4], [0, 0, 1, 1], atol=0.1)


numbers = st.floats(-3, 3)


@given(numbers, numbers, numbers, numbers, numbers, numbers, st.integers(0, 1000))
def test_a_moved_box_surrounds_every_moved_point(a, b, c, d, e, f, seed):
    random = np.random.default_rng(seed)
    affine = np.array([[a, b, c], [d, e, f], [0, 0, 1]])
    low, size = random.random(2) * 50, random.random(2) * 50
    box = np.concatenate([low, low + size])
    there = moved(box, affine)
    points = low + random.random((50, 2)) * size
    points = points @ affine[:2, :2].T + affine[:2, 2]
    assert (points >= there[:2] - 1e-6).all()
    assert (points <= there[2:] + 1e-6).all()


@given(st.floats(0.2, 5), st.floats(0.2, 5), st.booleans(), st.booleans(), st.booleans(), st.integers(0, 1000))
def test_resizing_flipping_and_quarter_turns_are_undone_exactly(sx, sy, flip_x, flip_y, turn, seed):
    random = np.random.default_rng(seed)
    linear = np.diag([sx * (-1) ** flip_x, sy * (-1) ** flip_y])
    affine = np.eye(3)
    affine[:2, :2] = linear[::-1] if turn else linear
    affine[:2, 2] = random.normal(0, 20, 2)
    low, size = random.random(2) * 50, random.random(2) * 50 + 1
    box = np.concatenate([low, low + size])[None]
    np.testing.assert_allclose(moved(moved(box, affine), np.linalg.inv(affine)), box, atol=1e-6)


def test_boxes_are_cut_off_at_the_frame():
    boxes = to_frame(np.array([[-5.0, -5.0, 500.0, 500.0]]), np.eye(3), np.array([100, 200]))
    assert boxes.tolist() == [[0, 0, 200, 100]]
