import contextlib
import itertools
import logging

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from medkit_epoch_sampling.label_sets import apportion, label_sets
from scipy.optimize import linear_sum_assignment
from torch.utils.data import DataLoader, TensorDataset

import medkit
from medkit.errors import ConfigError, DataError

SAMPLERS = ["seed_proportional", "oversample"]
NAMES = ["Effusion", "Mass", "Nodule", "Hernia"]
LABELS = (np.random.default_rng(1).random((601, 4)) < [0.4, 0.2, 0.1, 0.03]).astype(np.float32)
MATRICES = arrays(
    np.float32,
    st.tuples(st.integers(1, 10), st.integers(1, 4)),
    elements=st.sampled_from([0.0, 0.0, 1.0, np.nan]),
).filter(lambda labels: not np.isnan(labels).all())


def sampler(component, labels=LABELS, **options):
    return medkit.sampler(component, labels=np.asarray(labels, np.float32), **options)


def shown(labels, no_finding_is_class=True):
    """Return the classes of each image (N,K) bool; none of an image whose labels are all unknown."""
    labels = np.asarray(labels)
    if not no_finding_is_class:
        return labels == 1
    normal = ~(labels == 1).any(axis=1) & ~np.isnan(labels).all(axis=1)
    return np.column_stack([labels == 1, normal])


def matched(classes, counts):
    """Return how many images (N,K) can stand for a class of theirs, each for one, ``counts`` for each class."""
    cost = -np.repeat(classes, counts, axis=1).astype(float)
    return -int(cost[linear_sum_assignment(cost)].sum())


# -- both --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("component", SAMPLERS)
def test_epoch_and_seed_decide_the_order_and_nothing_else_does(component):
    first, again = sampler(component, seed=3), sampler(component, seed=3)
    assert list(first) == list(first) == list(again)
    epochs = []
    for epoch in range(3):
        first.set_epoch(epoch)
        epochs.append(list(first))
    assert epochs[0] != epochs[1] != epochs[2]
    assert len({len(epoch) for epoch in epochs} | {len(first)}) == 1
    again.set_epoch(2)
    assert list(again) == epochs[2] == list(sampler(component, seed=5))


@pytest.mark.parametrize("component", SAMPLERS)
@pytest.mark.parametrize("world_size", [2, 3, 7])
def test_ranks_share_one_global_draw_and_have_equally_many(component, world_size):
    ranks = [sampler(component, rank=rank, world_size=world_size) for rank in range(world_size)]
    shares = [list(rank) for rank in ranks]
    whole = list(sampler(component))
    assert {len(share) for share in shares} == {len(rank) for rank in ranks} == {-(-len(whole) // world_size)}
    together = [index for step in zip(*shares) for index in step]
    assert together == (whole + whole)[: len(together)]


@pytest.mark.parametrize("component", SAMPLERS)
def test_process_group_that_starts_after_the_sampler_is_respected(component, monkeypatch):
    one = sampler(component)
    whole = list(one)
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    assert list(one) == (whole + whole)[1 : 2 * len(one) : 2]


@pytest.mark.parametrize("component", SAMPLERS)
def test_torch_loader_takes_it_and_never_sees_unreadable_images(component):
    labels = LABELS.copy()
    labels[::3] = np.nan
    loader = DataLoader(TensorDataset(torch.arange(601)), batch_size=64, sampler=sampler(component, labels))
    seen = torch.cat([batch for (batch,) in loader])
    assert len(seen) == len(loader.sampler)
    assert (seen % 3 != 0).all()


@pytest.mark.parametrize("component", SAMPLERS)
@pytest.mark.parametrize(
    ("labels", "options", "error", "message"),
    [
        ([0, 1], {}, DataError, r"must be a matrix.*shape \(2,\)"),
        ([[0, 2]], {}, DataError, "1, 0 or NaN, found 2"),
        ([[np.nan, np.nan]], {}, DataError, "none of the 1 images has a known label"),
        ([[0, 1]], {"class_names": ["a"]}, ConfigError, "1 names for 2 columns"),
        ([[0, 1]], {"rank": 1}, ConfigError, "belong together"),
        ([[0, 1]], {"rank": 2, "world_size": 2}, ConfigError, "rank 2 is not one of 2"),
        ([[0, 1]], {"sead": 1}, ConfigError, 'Did you mean "seed"'),
    ],
)
def test_wrong_input_is_named(component, labels, options, error, message):
    with pytest.raises(error, match=message):
        sampler(component, labels, **options)


def test_label_sets_group_all_known_images():
    labels = LABELS.copy()
    labels[5] = np.nan
    sets = label_sets(labels)
    expected, counts = np.unique(shown(labels)[np.arange(601) != 5], axis=0, return_counts=True)
    assert sorted(map(tuple, sets.has.T)) == sorted(map(tuple, expected))
    assert sorted(sets.sizes) == sorted(counts)
    np.testing.assert_array_equal(shown(labels)[sets.images], np.repeat(sets.has.T, sets.sizes, axis=0))
    assert sorted(sets.images) == [index for index in range(601) if index != 5]


@settings(max_examples=50, deadline=None)
@given(total=st.integers(0, 1000), weights=st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(any))
def test_apportioned_numbers_sum_and_stay_within_one_of_their_quota(total, weights):
    parts = apportion(total, np.array(weights, float))
    quotas = np.array([total * weight for weight in weights]) / sum(weights)
    assert parts.sum() == total
    assert (np.abs(parts - quotas) < 1).all()
    assert all(part == 0 for part, weight in zip(parts, weights) if weight == 0)


# -- seed_proportional -------------------------------------------------------------------------------------------------
def test_single_findings_have_exactly_their_proportions():
    labels = np.repeat(np.vstack([np.eye(4), np.zeros(4)]), [200, 100, 40, 10, 250], axis=0)
    drawing = sampler("seed_proportional", labels, num_samples=100, proportions=[0.4, 0.25, 0.2, 0.1, 0.05])
    for epoch in range(3):
        drawing.set_epoch(epoch)
        indices = list(drawing)
        assert len(indices) == len(set(indices)) == 100
        assert shown(labels)[indices].sum(axis=0).tolist() == [40, 25, 20, 10, 5]
    named = {"Hernia": 1, "no finding": 3}
    indices = list(sampler("seed_proportional", labels, num_samples=40, proportions=named, class_names=NAMES))
    assert shown(labels)[indices].sum(axis=0).tolist() == [0, 0, 0, 10, 30]


def test_images_with_several_findings_are_drawn_for_one_of_them():
    drawing = sampler("seed_proportional", num_samples=50, proportions=[1, 1, 1, 1, 1])
    indices = list(drawing)
    assert len(set(indices)) == 50
    assert matched(shown(LABELS)[indices], [10] * 5) == 50
    assert (shown(LABELS)[indices].sum(axis=0) >= 10).all()


def test_the_default_epoch_is_equal_and_as_long_as_the_rarest_class_allows():
    labels = np.repeat(np.vstack([np.eye(3), np.zeros(3)]), [50, 20, 7, 90], axis=0)
    assert shown(labels)[list(sampler("seed_proportional", labels))].sum(axis=0).tolist() == [7, 7, 7, 7]
    without = sampler("seed_proportional", labels, no_finding_is_class=False)
    assert shown(labels)[list(without)].sum(axis=0).tolist() == [7, 7, 7, 0]
    # the only two with A are the only two with B: one seed each
    shared = np.repeat([[1, 1, 0], [0, 0, 1]], [2, 9], axis=0)
    assert sampler("seed_proportional", shared, no_finding_is_class=False).seeds.tolist() == [1, 1, 1]


def test_images_are_handed_over_where_chance_would_take_the_wrong_ones():
    # C needs all of its images, so B those that A has too, so A the others
    labels = np.repeat([[1, 1, 0], [1, 0, 0], [0, 1, 1], [0, 0, 1]], [2, 2, 2, 3], axis=0)
    for seed in range(20):
        indices = list(sampler("seed_proportional", labels, num_samples=9, proportions=[2, 2, 5, 0], seed=seed))
        assert sorted(indices) == list(range(9))


def test_every_image_is_drawn_in_some_epoch():
    drawing, seen = sampler("seed_proportional"), set()
    for epoch in range(300):
        drawing.set_epoch(epoch)
        seen |= set(drawing)
    assert len(seen) == 601


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"proportions": [0, 0, 0, 1, 9], "num_samples": 300}, r"Hernia: 30 images were asked for, there are 13,"),
        (
            {"proportions": {"Mass": 1, "Hernia": 1}, "num_samples": 900},
            r"Hernia: 450 images were asked for, there are 13,",
        ),
        ({"proportions": [0, 0, 0, 1, 0]}, None),
    ],
)
def test_proportions_that_cannot_be_met_name_the_class(options, message):
    labels = LABELS.copy()
    labels[np.flatnonzero(labels[:, 3])[13:], 3] = 0
    if message is None:
        assert len(sampler("seed_proportional", labels, class_names=NAMES, **options)) == 13
        return
    with pytest.raises(DataError, match=message) as caught:
        sampler("seed_proportional", labels, class_names=NAMES, **options)
    assert "\n" not in str(caught.value)


def test_classes_that_share_their_images_are_named_together():
    labels = np.repeat([[1, 1, 0], [0, 0, 1]], [5, 50], axis=0)
    names = ["A", "B", "C"]
    with pytest.raises(DataError, match=r"A and B: 8 images were asked for, there are 5, and none is drawn twice"):
        sampler("seed_proportional", labels, num_samples=12, proportions=[1, 1, 1, 0], class_names=names)
    with pytest.raises(DataError, match="A and B: too few images for these proportions"):
        sampler("seed_proportional", labels[4:], class_names=names, no_finding_is_class=False)


def test_a_class_that_never_occurs_is_left_out_or_named(caplog):
    labels = np.insert(LABELS, 2, 0, axis=1)
    names = [*NAMES[:2], "Fibrosis", *NAMES[2:]]
    with caplog.at_level(logging.WARNING):
        drawing = sampler("seed_proportional", labels, class_names=names)
    assert "no image shows Fibrosis" in caplog.text
    assert list(drawing.seeds) == list(np.insert(sampler("seed_proportional").seeds, 2, 0))
    with pytest.raises(DataError, match="Fibrosis: 1 images were asked for, there are 0"):
        sampler("seed_proportional", labels, class_names=names, num_samples=6, proportions=[1] * 6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_samples": 0}, "at least 1, found 0"),
        ({"proportions": [1, 2]}, "2 numbers: give one for each of class 0"),
        ({"proportions": [1, -1, 0, 0, 0]}, "at least 0"),
        ({"proportions": [0] * 5}, "one of them above"),
        ({"proportions": {"Hernja": 1}, "class_names": NAMES}, 'name "Hernja". Did you mean "Hernia"'),
    ],
)
def test_wrong_proportions_are_errors(options, message):
    with pytest.raises(ConfigError, match=message):
        sampler("seed_proportional", **options)


@settings(max_examples=50, deadline=None)
@given(
    labels=MATRICES,
    weights=st.lists(st.integers(0, 3), min_size=5, max_size=5),
    num_samples=st.integers(1, 12),
    no_finding_is_class=st.booleans(),
)
def test_counts_are_met_exactly_wherever_an_assignment_exists(labels, weights, num_samples, no_finding_is_class):
    classes = shown(labels, no_finding_is_class)
    weights = [1, *weights][: classes.shape[1]]
    counts = apportion(num_samples, np.array(weights, float))
    possible = matched(classes, counts) == num_samples
    options = {"num_samples": num_samples, "proportions": weights, "no_finding_is_class": no_finding_is_class}
    if not possible:
        with pytest.raises(DataError, match="images were asked for, there are"):
            sampler("seed_proportional", labels, **options)
        return
    drawing = sampler("seed_proportional", labels, **options)
    for epoch in range(2):
        drawing.set_epoch(epoch)
        indices = list(drawing)
        assert len(set(indices)) == len(indices) == num_samples
        assert matched(classes[indices], counts) == num_samples


@settings(max_examples=50, deadline=None)
@given(labels=MATRICES, weights=st.one_of(st.just([1] * 5), st.lists(st.integers(1, 3), min_size=5, max_size=5)))
def test_the_default_length_is_what_the_rarest_classes_allow(labels, weights):
    classes = shown(labels)
    weights = np.array(weights[: classes.shape[1]], float) * classes.any(axis=0)
    shares = weights / weights.sum()
    some = [list(v) for n in range(1, 6) for v in itertools.combinations(np.flatnonzero(shares), n)]
    most = min(classes[:, v].any(axis=1).sum() / shares[v].sum() for v in some)
    least = np.floor(most * shares + 1e-9)
    seeds = None
    with contextlib.suppress(DataError):
        seeds = sampler("seed_proportional", labels, proportions=weights).seeds
    if seeds is None:
        assert (least[shares > 0] == 0).any()
        return
    assert seeds[shares > 0].all()
    assert (seeds >= least).all()
    assert matched(classes, seeds) == seeds.sum()
    if len(set(weights[shares > 0])) == 1:
        np.testing.assert_array_equal(seeds, least)


# -- oversample --------------------------------------------------------------------------------------------------------
def test_single_findings_all_become_as_frequent_as_the_most_frequent():
    labels = np.repeat(np.vstack([np.eye(3), np.zeros(3)]), [50, 20, 7, 90], axis=0)
    for options, counts in (
        ({}, [90, 90, 90, 90]),
        ({"share": 0.5}, [50, 45, 45, 90]),
        ({"no_finding_is_class": False}, [50, 50, 50, 90]),
    ):
        drawing = sampler("oversample", labels, **options)
        indices = list(drawing)
        assert shown(labels)[indices].sum(axis=0).tolist() == counts
        assert len(drawing) == sum(counts)
        times = np.bincount(indices)
        assert max(np.ptp(times[labels[:, k] == 1]) for k in range(3)) <= 1  # evenly within a class


def test_which_images_repeat_most_changes_from_epoch_to_epoch():
    labels = np.repeat(np.eye(2), [10, 3], axis=0)
    drawing, most = sampler("oversample", labels, no_finding_is_class=False), set()
    for epoch in range(20):
        drawing.set_epoch(epoch)
        most.add(int(np.bincount(list(drawing)).argmax()))
    assert most == {10, 11, 12}


@settings(max_examples=50, deadline=None)
@given(labels=MATRICES, share=st.sampled_from([0.3, 0.5, 1.0]), no_finding_is_class=st.booleans())
def test_every_image_comes_and_every_class_reaches_the_goal(labels, share, no_finding_is_class):
    classes = shown(labels, no_finding_is_class)
    drawing = sampler("oversample", labels, share=share, no_finding_is_class=no_finding_is_class)
    indices = list(drawing)
    assert set(indices) == set(np.flatnonzero(~np.isnan(labels).all(axis=1)))
    counts, goal = classes.sum(axis=0), np.ceil(share * classes.sum(axis=0).max() - 1e-9)
    assert (classes[indices].sum(axis=0)[counts > 0] >= goal).all()
    lacking = np.maximum(goal - counts, 0)[counts > 0].sum()
    assert len(set(indices)) <= len(indices) == len(drawing) <= len(set(indices)) + lacking


def test_classes_without_images_are_named(caplog):
    with caplog.at_level(logging.WARNING):
        sampler("oversample", np.insert(LABELS, 2, 0, axis=1), class_names=[*NAMES[:2], "Fibrosis", *NAMES[2:]])
    assert "no image shows Fibrosis" in caplog.text


@pytest.mark.parametrize("share", [0, 1.5, float("nan")])
def test_wrong_shares_are_errors(share):
    with pytest.raises(ConfigError, match=f"oversample: share {share}"):
        sampler("oversample", share=share)
