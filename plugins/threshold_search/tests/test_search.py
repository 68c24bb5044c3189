import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from medkit_threshold_search.search import best_f1_thresholds, operating_point
from sklearn.metrics import f1_score

few = st.integers(1, 12).flatmap(lambda n: arrays(np.float32, n, elements=st.integers(-4, 4).map(float)))


def measured(positive, negative, threshold):
    """F1, Youden's index, the mean of the F1 of presence and absence, and sensitivity at one threshold."""
    true, false = (positive >= threshold).sum(), (negative >= threshold).sum()
    sensitivity = true / positive.size
    absent = negative.size - false
    both = true / (positive.size + true + false) + absent / (2 * absent + false + positive.size - true)
    return 2 * true / (positive.size + true + false), sensitivity - false / negative.size, both, sensitivity


@given(few, few)
def test_f1_youden_and_f1_of_both_sides_equal_brute_force_over_all_thresholds(positive, negative):
    everything = [measured(positive, negative, t) for t in [*positive, *negative, np.inf]]
    for column, rule in enumerate(("f1", "youden", "f1_both")):
        found = measured(positive, negative, operating_point(positive, negative, rule))[column]
        assert found == pytest.approx(max(row[column] for row in everything))


@given(few, few, st.floats(0.05, 1))
def test_fixed_sensitivity_is_the_highest_threshold_that_reaches_it(positive, negative, wanted):
    threshold = operating_point(positive, negative, "sensitivity", wanted)
    assert measured(positive, negative, threshold)[3] >= wanted - 1e-9
    higher = [t for t in [*positive, *negative] if t > threshold]
    lower_score = [t for t in higher if (positive >= t).sum() != (positive >= threshold).sum()]
    assert all(measured(positive, negative, t)[3] < wanted for t in lower_score)
    assert set(higher) - set(lower_score) <= {min(positive[positive >= threshold])}


def test_never_below_a_grid_of_scikit_learn():
    random = np.random.default_rng(0)
    labels = (random.random((400, 5)) < [0.5, 0.2, 0.1, 0.05, 0.01]).astype(np.float32)
    scores = np.clip(0.3 * labels + 0.7 * random.random((400, 5)), 0, 1) ** 3
    exact = best_f1_thresholds(labels, scores)
    for truth, score, threshold in zip(labels.T, scores.T, exact):
        grid = max(f1_score(truth, score >= t, zero_division=0) for t in np.linspace(0.01, 0.99, 99))
        assert f1_score(truth, score >= threshold) >= grid


def test_where_nothing_is_best_said_the_threshold_is_above_all_scores():
    positive, negative = np.array([0.1]), np.linspace(0.2, 0.9, 50)
    assert operating_point(positive, negative, "f1_both") > 0.9
    assert operating_point(positive, negative, "f1") <= 0.1


def test_threshold_lies_midway_between_neighbours():
    assert operating_point(np.array([0.8, 0.9]), np.array([0.2, 0.4])) == pytest.approx(0.6)


def test_threshold_separates_neighbouring_floats():
    low = np.float64(0.5)
    high = np.nextafter(low, 1)
    threshold = operating_point(np.array([high]), np.array([low]))
    assert low < threshold <= high


def test_ties_stay_on_one_side():
    positive, negative = np.array([0.5, 0.5, 0.9]), np.array([0.5, 0.1])
    threshold = operating_point(positive, negative)
    assert 0.1 < threshold <= 0.5


def test_unknown_labels_are_skipped_and_a_class_without_positives_has_no_threshold():
    labels = np.array([[1, 0], [0, 0], [np.nan, 0], [np.nan, np.nan]])
    scores = np.array([[0.8, 0.1], [0.2, 0.2], [0.6, 0.3], [0.1, 0.4]])
    first, second = best_f1_thresholds(labels, scores)
    assert first == pytest.approx(0.5)
    assert np.isnan(second)
