"""Which classes the images show: counts that are exact, proportions and company as in the real table."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from medkit_phantom_cells.classes import ALONE, CLASSES, COUNTS, IMAGES, LABELS_AN_IMAGE, TOGETHER
from medkit_phantom_cells.plan import class_counts, plan

SHARE = {"training": 0.7, "validation": 0.1, "test": 0.2}


def test_facts_of_the_real_table_agree_with_each_other():
    assert len(CLASSES) == len(set(CLASSES)) == 28
    assert (CLASSES[0], CLASSES[10], CLASSES[27]) == ("Nucleoplasm", "Lysosomes", "Rods & rings")
    assert sum(LABELS_AN_IMAGE.values()) == IMAGES
    assert ALONE.sum() == LABELS_AN_IMAGE[1]
    assert sum(size * images for size, images in LABELS_AN_IMAGE.items()) == COUNTS.sum() - 2  # two images have five
    assert (ALONE < COUNTS).all()


def test_without_a_floor_to_speak_of_the_counts_are_the_real_ones():
    counts = class_counts(IMAGES, 1)
    np.testing.assert_allclose(counts, COUNTS, atol=1)
    assert counts.sum() == COUNTS.sum()


def test_rare_classes_are_raised_to_the_floor_and_the_others_keep_their_proportions():
    counts = class_counts(2800, 100)
    assert counts.min() == 100
    assert counts.sum() == round(2800 * COUNTS.sum() / IMAGES)
    raised = counts == 100
    assert raised[[8, 9, 10, 15, 27]].all()
    ratio = counts[~raised] / COUNTS[~raised]
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=0.01)
    assert counts[0] > 8 * counts[27]


@settings(max_examples=15, deadline=None)
@given(minimum=st.integers(1, 14), spare=st.integers(0, 150), seed=st.integers(0, 99))
def test_plan_keeps_the_counts_in_every_section(minimum, spare, seed):
    images = 28 * minimum + spare
    labels, sections = plan(images, minimum, seed)
    np.testing.assert_array_equal(labels.sum(axis=0), class_counts(images, minimum))
    assert set(labels.sum(axis=1)) <= {1, 2, 3, 4}
    for section, share in SHARE.items():
        there = sections == section
        assert abs(there.sum() - share * images) < 1
        assert np.abs(labels[there].sum(axis=0) - share * labels.sum(axis=0)).max() < (
            2 if section == "training" else 1
        )
        assert minimum < 10 or labels[there].any(axis=0).all()


def test_every_class_has_ten_validation_positives_from_2800_images_on():
    labels, sections = plan(2800, 100, 0)
    assert labels[sections == "validation"].sum(axis=0).min() == 10
    assert labels[sections == "test"].sum(axis=0).min() == 20


def test_training_is_as_skewed_as_the_real_table_while_every_class_can_be_measured():
    labels, sections = plan(4000, 1, 0, evaluated=10)
    training = labels[sections == "training"]
    np.testing.assert_allclose(training.sum(axis=0), COUNTS * len(training) / IMAGES, atol=1)
    assert training.any(axis=0).all()
    assert training[:, 0].sum() > 1000 * training[:, 27].sum()
    for section in ("validation", "test"):
        assert labels[sections == section].sum(axis=0).min() >= 10
    assert (labels.sum(axis=1) >= 1).all()


def test_the_bundle_asks_for_ten_images_of_every_class_to_validate_on():
    bundle = Path(__file__).parents[3] / "bundles" / "protein_atlas" / "configs" / "train.yaml"
    asked = yaml.safe_load(bundle.read_text(encoding="utf-8"))["phantom"]
    labels, sections = plan(asked["images"], asked["minimum"], asked["seed"], asked["evaluated"])
    assert labels[sections == "validation"].sum(axis=0).min() >= 10
    assert labels[sections == "test"].sum(axis=0).min() >= 10
    training = labels[sections == "training"].sum(axis=0)
    assert training.max() / training.min() > 0.9 * COUNTS.max() / COUNTS.min()


def test_classes_keep_the_company_that_they_keep_in_the_real_table():
    labels, _ = plan(10_000, 1, 3)
    sizes = np.bincount(labels.sum(axis=1), minlength=5)[1:]
    np.testing.assert_allclose(sizes / 10_000, np.array(list(LABELS_AN_IMAGE.values())) / IMAGES, atol=0.01)
    common = COUNTS > 700
    alone = labels[labels.sum(axis=1) == 1].sum(axis=0) / labels.sum(axis=0)
    assert np.corrcoef(alone[common], (ALONE / COUNTS)[common])[0, 1] > 0.7
    together = labels.T.astype(int) @ labels
    for one, other in TOGETHER:
        assert together[one, other] > 2 * COUNTS[one] * COUNTS[other] / IMAGES**2 * 10_000
    assert together[0, 25] == pytest.approx(3631 / IMAGES * 10_000, rel=0.35)


def test_plan_depends_on_the_seed_alone():
    one, again, other = (plan(300, 5, seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(one[0], again[0])
    np.testing.assert_array_equal(one[1], again[1])
    assert (one[0] != other[0]).any()
