import logging
import math

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.bundle import ConfigParser

import medkit
from medkit.errors import ConfigError, DataError

NAN = math.nan


def weights(labels, **options):
    return medkit.handler("class_weights", labels=np.asarray(labels, np.float32), **options)


def showing(*counts, images=100):
    """Return labels with so many images a class."""
    return (np.arange(images)[:, None] < np.array(counts)).astype(np.float32)


def test_inverse_frequency_by_hand_counts_known_labels_alone():
    labels = [[1, 1, 0], [1, 0, 0], [0, 0, 1], [NAN, 0, 1]]
    raw = np.array([3 / 2, 4 / 1, 4 / 2])
    assert weights(labels) == pytest.approx(raw / raw.mean())


@settings(max_examples=50, deadline=None)
@given(counts=st.lists(st.integers(1, 100), min_size=1, max_size=6), beta=st.floats(0, 0.99999))
def test_effective_number_is_the_papers_sum(counts, beta):
    effective = np.array([sum(beta**j for j in range(n)) for n in counts])
    expected = (1 / effective) / (1 / effective).mean()
    assert weights(showing(*counts), rule="effective", beta=beta) == pytest.approx(expected, rel=1e-6)


def test_the_lightest_may_be_one_in_place_of_the_mean():
    labels = showing(80, 40, 1)
    assert weights(labels, one="lightest") == pytest.approx([1, 2, 80])
    assert weights(labels, one="lightest", cap=10) == pytest.approx([1, 2, 10])
    with pytest.raises(ConfigError, match="give mean or lightest"):
        weights(labels, one="heaviest")


def test_effective_number_lies_between_no_weights_and_inverse_frequency():
    labels = showing(90, 10, 1)
    assert weights(labels, rule="effective", beta=0) == [1, 1, 1]
    assert weights(labels, rule="effective", beta=1 - 1e-9) == pytest.approx(weights(labels), rel=1e-5)


@settings(max_examples=50, deadline=None)
@given(
    counts=st.lists(st.integers(0, 100), min_size=1, max_size=6).filter(any),
    rule=st.sampled_from(["inverse", "effective"]),
    cap=st.none() | st.floats(1, 200),
)
def test_weights_have_mean_one_fall_with_the_count_and_keep_the_cap(counts, rule, cap):
    found = np.array(weights(showing(*counts), rule=rule, cap=cap))
    assert found.mean() == pytest.approx(1)
    order = np.argsort(counts, kind="stable")
    assert (np.diff(found[order]) <= 1e-12).all()
    assert cap is None or found.max() <= cap * found.min() * (1 + 1e-9)


def test_the_cap_is_a_multiple_of_the_lightest():
    assert weights(showing(100, 50, 1), cap=5) == pytest.approx(np.array([1, 2, 5]) / (8 / 3))


def test_a_class_that_never_occurs_gets_the_largest_weight_and_is_named(caplog):
    labels = showing(50, 0, 5, 0)
    labels[:, 3] = NAN
    with caplog.at_level(logging.WARNING):
        found = weights(labels, class_names=["a", "b", "c", "d"])
    assert found[1] == found[3] == found[2] > found[0]
    assert caplog.messages == ["no image shows b, d: the largest class weight is taken"]


def test_a_bundle_gives_them_to_a_loss_in_one_line():
    config = ConfigParser(
        yaml.safe_load("""
        samples: [{label: [1, 0]}, {label: [1, 0]}, {label: [1, 1]}, {label: [0, 0]}]
        loss:
          _target_: medkit.loss
          component: focal
          class_weights: {_target_: medkit.handler, component: class_weights, labels: {_target_: medkit.labels, data: "@samples"}}
        """)  # noqa: E501
    )
    loss = config.get_parsed_content("loss")
    torch.testing.assert_close(loss.class_weights, torch.tensor([0.5, 1.5]))


@pytest.mark.parametrize(
    ("labels", "options", "error", "message"),
    [
        ([[1, 0]], {"rule": "inverted"}, ConfigError, 'rule "inverted" is unknown. Did you mean "inverse"'),
        ([[1, 0]], {"beta": 1.0}, ConfigError, "beta is 1.0"),
        ([[1, 0]], {"cap": 0.5}, ConfigError, "cap is 0.5"),
        ([[1, 0]], {"class_names": ["a"]}, ConfigError, "1 class_names for 2 classes"),
        ([[0, NAN]], {}, DataError, "none of 1 images shows any class"),
        ([[1, 0.5]], {}, DataError, "1, 0 or NaN, found 0.5"),
        ([1, 0], {}, DataError, r"found shape \(2,\)"),
        (np.empty((0, 2)), {}, DataError, r"found shape \(0, 2\)"),
    ],
)
def test_what_cannot_be_weighted_is_named(labels, options, error, message):
    with pytest.raises(error, match=message):
        weights(labels, **options)
