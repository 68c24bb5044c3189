import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from medkit_classifier_gate.thresholds import GRID, best_gate, grid_ious, iou
from monai.metrics import MeanIoU
from torch import as_tensor

gates = st.one_of(st.integers(0, 5).map(lambda n: n / 5), st.floats(0, 1, width=32), st.just(np.nan))
images = st.lists(st.tuples(gates, st.floats(0, 1), st.booleans()), min_size=1, max_size=12)


def mean_iou(threshold, gates, ious, empty):
    return np.where(gates < threshold, empty, ious).mean()


@given(images)
def test_the_gate_equals_brute_force_over_all_thresholds_and_closes_least(drawn):
    columns = [np.array(column) for column in zip(*drawn)]
    found = best_gate(*columns)
    every = [0.0, *columns[0][~np.isnan(columns[0])], np.nextafter(1, 2)]
    best = max(mean_iou(threshold, *columns) for threshold in every)
    assert mean_iou(found, *columns) == pytest.approx(best)
    fewest = min((columns[0] < t).sum() for t in every if mean_iou(t, *columns) >= best - 1e-10)
    assert (columns[0] < found).sum() == fewest
    assert found >= 0


@given(images, st.sampled_from([0.5, 1.0, 2.0]))
def test_within_standard_errors_of_the_best_the_gate_closes_least(drawn, standard_errors):
    gates, ious, empty = (np.array(column) for column in zip(*drawn))

    def gated(threshold):
        return np.where(gates < threshold, empty, ious)

    every = sorted({0.0, *gates[~np.isnan(gates)], np.nextafter(1, 2)})
    best = next(gated(t) for t in every if gated(t).mean() >= max(gated(u).mean() for u in every) - 1e-10)
    found = best_gate(gates, ious, empty, standard_errors)
    for threshold in every:
        short = best - gated(threshold)
        tolerated = short.mean() <= standard_errors * short.std() / np.sqrt(len(short)) + 1e-8
        if tolerated:
            assert (gates < found).sum() <= (gates < threshold).sum()
            break
    assert (best - gated(found)).mean() <= standard_errors * (best - gated(found)).std() / np.sqrt(len(ious)) + 1e-7


def test_the_threshold_lies_midway_and_where_nothing_is_gained_at_zero():
    empty = np.array([True, True, False])
    assert best_gate(np.array([0.1, 0.3, 0.7]), np.array([0.0, 0.0, 0.8]), empty) == pytest.approx(0.5)
    assert best_gate(np.array([0.1, 0.3, 0.7]), np.array([1.0, 1.0, 0.8]), empty) == 0
    assert best_gate(np.array([np.nan] * 3), np.zeros(3), empty) == 0
    assert best_gate(np.array([0.1, 0.7, 0.3]), np.zeros(3), empty) == pytest.approx(np.nextafter(0.7, 1))


def test_the_threshold_separates_neighbouring_floats():
    low = 0.5
    high = float(np.nextafter(low, 1))
    assert low < best_gate(np.array([low, high]), np.array([0.0, 0.9]), np.array([True, False])) <= high


def test_iou_equals_monais_and_that_of_two_empty_masks_is_one():
    random = np.random.default_rng(0)
    for share in (0, 0.2, 0.7):
        truth, predicted = random.random((2, 9, 7)) < share
        theirs = MeanIoU(ignore_empty=False)(as_tensor(predicted)[None, None], as_tensor(truth)[None, None])
        assert iou(truth, predicted) == pytest.approx(theirs.item())
    assert iou(np.zeros((2, 2), bool), np.ones((2, 2), bool)) == 0


def test_the_grid_is_in_steps_of_five_hundredths():
    np.testing.assert_allclose(GRID, np.arange(0.05, 0.96, 0.05))
    ious = grid_ious(np.array([[True, True, False]]), np.array([[0.9, 0.5, 0.2]], np.float32))
    np.testing.assert_allclose(ious, [2 / 3] * 4 + [1] * 6 + [0.5] * 8 + [0])
