import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from medkit_report.contours import svg_path
from skimage.measure import points_in_poly


def inside(path, shape):
    """Return which pixel centres lie inside SVG path data by the even-odd rule."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    centres = np.column_stack([columns.ravel(), rows.ravel()]) + 0.5
    found = np.zeros(len(centres), bool)
    for ring in re.findall(r"M(.*?)Z", path):
        found ^= points_in_poly(centres, [[float(v) for v in point.split(",")] for point in ring.split()])
    return found.reshape(shape)


@given(arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_the_line_holds_exactly_the_pixels_of_the_mask(mask):
    assert (inside(svg_path(mask, tolerance=0), mask.shape) == mask).all()


def test_a_simpler_line_has_fewer_points_and_the_same_area():
    y, x = np.mgrid[:300, :400]
    mask = ((y - 140) / 90) ** 2 + ((x - 210) / 120) ** 2 < 1
    fine, simple = svg_path(mask, tolerance=0), svg_path(mask)
    assert len(simple) < len(fine) / 4
    assert inside(simple, mask.shape).sum() == pytest.approx(mask.sum(), rel=0.005)


def test_the_smallest_mask_and_the_whole_frame_have_an_edge():
    dot = np.zeros((2000, 2000), bool)
    dot[5, 7] = True
    assert (inside(svg_path(dot)[:200], (10, 10)) == dot[:10, :10]).all()
    numbers = [float(v) for v in re.findall(r"[-\d.]+", svg_path(np.ones((30, 50), bool)))]
    assert (min(numbers), max(numbers[::2]), max(numbers[1::2])) == pytest.approx((0, 50, 30), abs=0.6)
    assert svg_path(np.zeros((3, 4), bool)) == ""
