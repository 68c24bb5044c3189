"""The split: brute force, iterative stratification beside it, and tables of every kind."""

import os
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medkit_protein_atlas.split import divide
from medkit_protein_atlas.table import read_table

from medkit.errors import ConfigError
from medkit.folds import SECTIONS


def names(count):
    return [f"{n:05d}-bbc3" for n in range(count)]


def skewed(images, most, least, seed=0):
    """Return (N,28) labels whose counts fall from ``most`` to ``least``; an image has one class at least."""
    random = np.random.default_rng(seed)
    labels = np.zeros((images, 28), np.float32)
    for k, count in enumerate(np.geomspace(most, least, 28).round().astype(int)):
        labels[random.choice(images, count, replace=False), k] = 1
    labels[~labels.any(axis=1), 1] = 1
    return labels


def distances(labels, sections, shares):
    """Return every class's distance from its share in every section, in units of 1 % or one image, by counting."""
    total, found = Counter(), Counter()
    for row, section in zip(labels, sections):
        for k in np.flatnonzero(row).tolist():
            total[k] += 1
            found[k, section] += 1
    wanted = {(k, s): total[k] * share for k, (s, share) in product(total, zip(SECTIONS, shares))}
    return {place: abs(found[place] - want) / max(0.01 * want, 1) for place, want in wanted.items()}, found


@pytest.mark.parametrize(("validation", "test"), [(0.1, 0.1), (0.15, 0.2)])
def test_every_class_of_a_skewed_table_has_its_share_to_one_percent_or_one_image(validation, test):
    labels = skewed(31_072, 12_900, 11)
    sections = [section for _, section in divide(names(len(labels)), labels, validation, test, 0).rows]
    off, found = distances(labels, sections, (1 - validation - test, validation, test))
    assert len(off) == 28 * 3
    assert max(off.values()) <= 1
    assert min(found[place] for place in off) >= 1
    sizes = Counter(sections)
    assert sizes["validation"] == pytest.approx(31_072 * validation, rel=0.01)
    assert sizes["test"] == pytest.approx(31_072 * test, rel=0.01)


@pytest.mark.parametrize(("validation", "test"), [(0.1, 0.1), (0.15, 0.2)])
def test_the_real_table_is_divided_to_one_percent_or_one_image(validation, test):
    path = Path(os.environ.get("MEDKIT_DATA", Path(__file__).parents[4] / "shared" / "data")) / "hpa" / "train.csv"
    if not path.is_file():
        pytest.skip(f"no real data: {path} is missing (set MEDKIT_DATA)")
    table = read_table(path, 28)
    sections = [section for _, section in divide(table.ids, table.labels, validation, test, 0).rows]
    assert len(sections) == 31_072
    off, found = distances(table.labels, sections, (1 - validation - test, validation, test))
    assert max(off.values()) <= 1
    assert min(found[place] for place in off) >= 1


def iterative_stratification(labels, shares):
    """Return sections as Sechidis, Tsoumakas, Vlahavas 2011, algorithm 1, gives them; ties go to the first."""
    size = np.array(shares) * len(labels)
    wanted = np.outer(labels.sum(axis=0), shares)
    left, place = np.ones(len(labels), bool), np.zeros(len(labels), int)
    while (count := labels[left].sum(axis=0)).any():
        rarest = np.where(count > 0, count, np.inf).argmin()
        for n in np.flatnonzero(left & (labels[:, rarest] > 0)):
            best = max(range(len(shares)), key=lambda s: (wanted[rarest, s], size[s]))
            wanted[labels[n] > 0, best] -= 1
            size[best] -= 1
            left[n], place[n] = False, best
    return [SECTIONS[s] for s in place]


def test_a_class_that_comes_with_rare_ones_is_where_iterative_stratification_loses_it():
    labels = np.zeros((200, 32), np.float32)
    labels[:100, 0] = labels[100:, 1] = 1
    labels[np.arange(90), 2 + np.arange(90) // 3] = 1  # thirty classes of three images, all in class 0
    shares = (0.8, 0.1, 0.1)
    assert distances(labels, iterative_stratification(labels, shares), shares)[0][0, "training"] > 5
    sections = [section for _, section in divide(names(200), labels, 0.1, 0.1, 0).rows]
    assert max(distances(labels, sections, shares)[0].values()) <= 1


def test_on_an_easy_table_it_is_as_good_as_iterative_stratification():
    labels, shares = skewed(2000, 800, 20), (0.8, 0.1, 0.1)
    sections = [section for _, section in divide(names(2000), labels, 0.1, 0.1, 0).rows]
    theirs = max(distances(labels, iterative_stratification(labels, shares), shares)[0].values())
    assert max(distances(labels, sections, shares)[0].values()) <= max(theirs, 1)


@pytest.mark.parametrize("count", range(5, 12))
def test_a_class_with_half_an_image_for_a_section_is_in_every_section(count):
    labels = np.zeros((300, 2), np.float32)
    labels[:, 0] = labels[:count, 1] = 1
    for seed in range(5):
        there = Counter(s for s, row in zip(divide(names(300), labels, 0.1, 0.1, seed).rows, labels) if row[1])
        assert {section for _, section in there} == set(SECTIONS)


tables = st.integers(1, 5).flatmap(
    lambda classes: st.lists(
        st.lists(st.integers(0, 1), min_size=classes, max_size=classes).filter(any), min_size=1, max_size=30
    )
)
fractions = st.sampled_from([0.0, 0.05, 0.1, 0.2, 0.25, 0.4])


def cost(labels, sections, shares):
    """Return the sum of squared distances in units of 1 % or one image, by counting; all images are a class as well."""
    total = 0.0
    for column in [*zip(*labels), [1] * len(labels)]:
        wanted = [sum(column) * share for share in shares]
        lifted = [max(want, 1) if want >= 0.5 else want for want in wanted]
        lifted[wanted.index(max(wanted))] -= sum(lifted) - sum(wanted)
        for section, want in zip(SECTIONS, lifted):
            count = sum(mark for mark, place in zip(column, sections) if place == section)
            total += ((count - want) / max(0.01 * want, 1)) ** 2
    return total


@settings(deadline=None)
@given(tables, fractions, fractions, st.integers(0, 3))
def test_no_image_is_better_off_elsewhere(labels, validation, test, seed):
    ids, shares = names(len(labels)), (1 - validation - test, validation, test)
    rows = divide(ids, np.array(labels), validation, test, seed).rows
    assert [name for name, _ in rows] == ids
    sections = [section for _, section in rows]
    assert all(share > 0 for section, share in zip(SECTIONS, shares) if section in sections)
    reached = cost(labels, sections, shares)
    for n, (section, share) in product(range(len(labels)), zip(SECTIONS, shares)):
        if share > 0:
            assert cost(labels, [*sections[:n], section, *sections[n + 1 :]], shares) >= reached - 1e-6


@settings(deadline=None)
@given(tables, st.integers(0, 3), st.randoms(use_true_random=False))
def test_the_order_of_the_table_decides_nothing(labels, seed, random):
    ids = names(len(labels))
    split = divide(ids, np.array(labels), 0.2, 0.2, seed)
    order = random.sample(range(len(ids)), len(ids))
    again = divide([ids[n] for n in order], np.array([labels[n] for n in order]), 0.2, 0.2, seed)
    assert again.fingerprint == split.fingerprint
    assert dict(again.rows) == dict(split.rows)


def test_another_seed_is_another_division_and_the_same_seed_the_same():
    labels = skewed(500, 200, 10)
    first, same, other = (divide(names(500), labels, 0.2, 0.2, seed) for seed in (0, 0, 1))
    assert first == same
    assert first.fingerprint != other.fingerprint
    moved = sum(a != b for a, b in zip(first.rows, other.rows))
    assert 100 < moved < 400


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((1.0, 0.1, 0), "validation_fraction must be at least 0 and below 1, found 1.0"),
        ((0.1, -0.1, 0), "test_fraction must be at least 0"),
        ((0.5, 0.5, 0), "leave nothing to train on"),
        ((0.1, 0.1, -1), "split_seed -1"),
        ((0.1, 0.1, 0.5), r"split_seed 0\.5"),
    ],
)
def test_options_that_are_out_of_range(options, message):
    with pytest.raises(ConfigError, match=message):
        divide(names(9), np.ones((9, 1)), *options)
