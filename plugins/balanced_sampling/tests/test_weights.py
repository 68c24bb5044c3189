import csv
import gzip
import logging
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from medkit_balanced_sampling.dual import nearest_frequencies
from medkit_balanced_sampling.weights import balanced_probabilities, label_sets
from scipy.optimize import minimize

from medkit.errors import ConfigError, DataError

FINDINGS = [
    *("Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax"),
    *("Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia"),
]


def with_no_finding(labels):
    return np.column_stack([labels == 1, ~(labels == 1).any(axis=1)]).astype(float)


def skewed(images=400, seed=0):
    """Labels whose classes differ twentyfold in frequency and occur together."""
    return (np.random.default_rng(seed).random((images, 4)) < [0.4, 0.2, 0.1, 0.02]).astype(np.float32)


@pytest.fixture(scope="module")
def real():
    folder = Path(os.environ.get("MEDKIT_DATA", Path(__file__).parents[4] / "shared" / "data"))
    path = folder / "nih_chestxray14" / "Data_Entry_2017_v2020.csv.gz"
    if not path.is_file():
        pytest.skip(f"no real data: {path} is missing (set MEDKIT_DATA)")
    with gzip.open(path, "rt") as file:
        texts = [row[1] for row in csv.reader(file)][1:]
    rows = {text: np.isin(FINDINGS, text.split("|")) for text in set(texts)}
    return np.array([rows[text] for text in texts], np.float32)


@pytest.mark.parametrize("classes", [8, 14])
@pytest.mark.parametrize("spread", ["variance", "entropy"])
def test_expected_class_counts_are_equal_on_the_real_table(real, classes, spread):
    labels = real[:, :classes]
    assert len(labels) == 112_120
    probabilities = balanced_probabilities(labels, spread=spread)
    expected = len(labels) * probabilities @ with_no_finding(labels)
    np.testing.assert_allclose(expected, expected.mean(), rtol=1e-6)
    assert probabilities.sum() == pytest.approx(1)
    assert probabilities.min() > 0


def test_every_image_of_the_real_table_stays_in_at_little_cost(real):
    most = {share: balanced_probabilities(real, least_share=share).max() * len(real) for share in (0.0, 0.1)}
    assert most[0.1] < 1.05 * most[0.0]
    assert (balanced_probabilities(real) * len(real) >= 0.1 - 1e-9).all()
    assert (balanced_probabilities(real, least_share=0.0) == 0).mean() > 0.1


@pytest.mark.parametrize(
    ("spread", "least_share", "cost"),
    [
        ("variance", 0.1, lambda p: (p**2).sum()),
        ("variance", 0.0, lambda p: (p**2).sum()),
        ("entropy", 0.0, lambda p: (p * np.log(np.maximum(p, 1e-300))).sum()),
    ],
)
def test_solution_equals_a_general_purpose_optimiser(spread, least_share, cost):
    labels = skewed(25, seed=3)
    truth = with_no_finding(labels)
    truth = truth[:, truth.any(axis=0)]
    ours = balanced_probabilities(labels, spread=spread, least_share=least_share)
    contrasts = truth[:, 1:] - truth[:, :1]
    found = minimize(
        cost,
        np.full(len(labels), 1 / len(labels)),
        method="SLSQP",
        bounds=[(least_share / len(labels), 1)] * len(labels),
        constraints=[{"type": "eq", "fun": lambda p: np.r_[contrasts.T @ p, p.sum() - 1]}],
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert found.success
    np.testing.assert_allclose(ours, found.x, atol=2e-5)
    assert cost(ours) <= cost(found.x) + 1e-9


@settings(max_examples=150, deadline=None)
@given(
    labels=arrays(
        np.float32,
        st.tuples(st.integers(1, 30), st.integers(1, 6)),
        elements=st.sampled_from([0.0, 0.0, 1.0, np.nan]),
    ).filter(lambda labels: not np.isnan(labels).all()),
    spread=st.sampled_from(["variance", "entropy"]),
    no_finding_is_class=st.booleans(),
)
def test_any_label_matrix_gives_the_most_equal_frequencies_there_are(labels, spread, no_finding_is_class):
    probabilities = balanced_probabilities(labels, spread=spread, no_finding_is_class=no_finding_is_class)
    assert probabilities.sum() == pytest.approx(1)
    assert (probabilities >= 0).all()
    known = ~np.isnan(labels).all(axis=1)
    assert (probabilities[~known] == 0).all()
    truth = with_no_finding(labels)
    if not no_finding_is_class:
        np.testing.assert_allclose(probabilities[known & (truth[:, -1] == 1)], 1 / known.sum())
        truth = truth[:, :-1]
    truth = truth[known][:, truth[known].any(axis=0)]
    if not truth.size:
        return
    expected = probabilities[known] @ truth
    target = nearest_frequencies(np.unique(truth, axis=0).T)
    np.testing.assert_allclose(expected / expected.max(), target / target.max(), atol=1e-6)


def test_frequencies_that_cannot_be_equal_come_near_with_a_warning(caplog):
    # B and C occur only beside A and never together: A is as frequent as both together, or more
    labels = np.repeat([[1, 0, 0], [1, 1, 0], [1, 0, 1]], [5, 2, 3], axis=0).astype(np.float32)
    with caplog.at_level(logging.WARNING):
        probabilities = balanced_probabilities(labels, class_names=["A", "B", "C"])
    np.testing.assert_allclose(probabilities @ labels, [1, 0.5, 0.5], atol=1e-9)
    assert "cannot be made equally frequent" in caplog.text
    assert "A 1.33, B 0.67, C 0.67" in caplog.text
    assert "no room for 5 of 10 images" in caplog.text


def test_share_that_equality_leaves_no_room_for_is_lowered(caplog):
    labels = np.repeat([[1, 0], [1, 1], [0, 1]], [50, 1, 1], axis=0).astype(np.float32)
    with caplog.at_level(logging.WARNING):
        probabilities = balanced_probabilities(labels, least_share=0.9)
    np.testing.assert_allclose(np.ptp(probabilities @ labels), 0, atol=1e-9)
    assert probabilities.min() > 0
    caplog.clear()
    balanced_probabilities(labels, least_share=0.01)
    assert not caplog.text


def test_classes_without_positives_are_named_and_left_out(caplog):
    labels = np.insert(skewed(), 2, 0, axis=1)
    with caplog.at_level(logging.WARNING):
        probabilities = balanced_probabilities(labels, class_names=["a", "b", "Hernia", "d", "e"])
    assert "no image shows Hernia" in caplog.text
    np.testing.assert_array_equal(probabilities, balanced_probabilities(skewed()))


def test_unknown_labels_count_as_absent_and_unreadable_images_are_never_drawn():
    labels = skewed()
    expected = balanced_probabilities(labels)
    labels[labels[:, 0] == 0, 1] *= np.where(labels[labels[:, 0] == 0, 1] == 0, np.nan, 1)
    np.testing.assert_array_equal(balanced_probabilities(labels), expected)
    padded = np.vstack([labels, np.full((7, 4), np.nan, np.float32)])
    np.testing.assert_array_equal(balanced_probabilities(padded), [*expected, *[0] * 7])


def test_no_finding_keeps_its_share_where_it_is_no_class():
    labels = skewed()
    normal = ~labels.any(axis=1)
    probabilities = balanced_probabilities(labels, no_finding_is_class=False)
    assert probabilities[normal].sum() == pytest.approx(normal.mean())
    np.testing.assert_allclose(np.ptp(probabilities @ labels), 0, atol=1e-9)


def test_images_without_any_finding_are_drawn_alike():
    np.testing.assert_allclose(balanced_probabilities(np.zeros((5, 2))), 0.2)
    np.testing.assert_allclose(balanced_probabilities(np.zeros((5, 2)), no_finding_is_class=False), 0.2)


@pytest.mark.parametrize(
    ("labels", "options", "error", "message"),
    [
        ([0, 1], {}, DataError, r"must be a matrix.*shape \(2,\)"),
        (np.empty((0, 3)), {}, DataError, "must be a matrix"),
        ([[0, 2]], {}, DataError, "1, 0 or NaN, found 2"),
        ([[np.nan, np.nan]], {}, DataError, "none of the 1 images has a known label"),
        ([[0, 1]], {"spread": "max"}, ConfigError, "Choices: variance, entropy"),
        ([[0, 1]], {"least_share": 1.0}, ConfigError, "least_share must be"),
        ([[0, 1]], {"class_names": ["a"]}, ConfigError, "1 names for 2 columns"),
    ],
)
def test_wrong_input_is_named(labels, options, error, message):
    with pytest.raises(error, match=message):
        balanced_probabilities(labels, **options)


def test_label_sets_count_what_numpy_counts():
    labels = skewed() == 1
    sets, member_of, images = label_sets(labels)
    expected, counts = np.unique(labels, axis=0, return_counts=True)
    assert sorted(map(tuple, sets)) == sorted(map(tuple, expected))
    assert sorted(images) == sorted(counts)
    np.testing.assert_array_equal(sets[member_of], labels)
