"""Mean, union, vote and mean of ranks, against what defines them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from medkit_ensemble.methods import merged
from scipy.stats import rankdata

import medkit
from medkit.errors import ConfigError, DataError
from medkit.tables import read_csv

SHAPE = st.tuples(st.integers(2, 5), st.integers(1, 8), st.integers(1, 4))
SAID = SHAPE.flatmap(
    lambda shape: st.tuples(
        arrays(np.float64, shape, elements=st.integers(0, 20).map(lambda n: n / 20)), arrays(bool, shape)
    )
)


@settings(max_examples=50)
@given(SAID)
def test_the_union_holds_what_every_model_says_and_nothing_else(models, said):
    probabilities, present = said
    highest, united = merged(models(probabilities, present), "union")
    assert (united >= present).all()
    assert (united == np.logical_or.reduce(present)).all()
    assert (highest >= probabilities).all()
    assert np.isin(highest, probabilities).all()


@settings(max_examples=50)
@given(SAID)
def test_a_vote_is_won_by_more_than_half_and_lost_by_just_half(models, said):
    probabilities, present = said
    share, elected = merged(models(probabilities, present), "vote")
    count = present.sum(axis=0, dtype=int)
    assert (elected == (2 * count > len(present))).all()
    np.testing.assert_allclose(share * len(present), count)


@settings(max_examples=50)
@given(SAID)
def test_ranks_are_scipys_and_do_not_see_the_scale(models, said):
    probabilities, _ = said
    ranked, undecided = merged(models(probabilities), "rank_mean")
    assert undecided is None
    expected = [[rankdata([round(float(value), 6) for value in column]) for column in one.T] for one in probabilities]
    images = probabilities.shape[1]
    np.testing.assert_allclose(ranked.T, (np.mean(expected, axis=0) - 0.5) / images)
    assert ((ranked > 0) & (ranked < 1)).all()
    bent = probabilities**2 / 2
    np.testing.assert_allclose(merged(models(bent), "rank_mean")[0], ranked)


@settings(max_examples=50)
@given(SAID, st.sampled_from(["mean", "union", "vote", "rank_mean"]), st.randoms(use_true_random=False))
def test_the_order_of_rows_and_of_models_never_matters(models, said, method, draw):
    probabilities, present = said
    count, images, _ = probabilities.shape
    order, turn = draw.sample(range(images), images), draw.sample(range(count), count)
    one, decided = merged(models(probabilities, present), method)
    other, again = merged(models(probabilities[turn], present[turn], order=order), method)
    np.testing.assert_allclose(other, one[order])
    assert decided is None or (again == decided[order]).all()


def test_decisions_are_those_of_the_tables_not_of_one_half(write_table, tmp_path):
    low = write_table("a.csv", np.array([[0.2, 0.9], [0.1, 0.8]]), np.array([[1, 0], [0, 0]]))
    high = write_table("b.csv", np.array([[0.1, 0.3], [0.3, 0.2]]), np.array([[0, 0], [1, 1]]))
    rows = read_csv(
        medkit.handler("merge_predictions", files=[low, high], output=str(tmp_path / "o.csv"), method="union").run()
    )
    assert [(row["present_c0"], row["present_c1"]) for row in rows] == [("1", "0"), ("1", "1")]
    assert [(row["probability_c0"], row["probability_c1"]) for row in rows] == [("0.2", "0.9"), ("0.3", "0.8")]


def test_a_table_that_decides_nothing_is_named(write_table, models, tmp_path):
    files = [write_table(name, np.full((2, 1), 0.7)) for name in ("a.csv", "b.csv")]
    (tmp_path / "b.csv").write_text((tmp_path / "b.csv").read_text().replace("0.7,1", "0.7,"))
    merger = medkit.handler("merge_predictions", files=files, output=str(tmp_path / "o.csv"), method="vote")
    with pytest.raises(DataError, match=r"b.csv does not say what is present in image0.png"):
        merger.run()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "unoin"}, 'method "unoin" is not one of .* Did you mean "union"'),
        ({"thresholds": "youden"}, 'thresholds "youden" is not one of f1'),
        ({"method": "rank_mean"}, "a rank of one half means nothing"),
        ({"method": "fitted"}, "fitted learns from labelled images: give validation_files"),
        ({"method": "mean", "thresholds": "f1"}, "thresholds learns from labelled images: give validation_files"),
        ({"method": "mean", "validation_files": ["v.csv"]}, "validation_files are for the method fitted"),
        (
            {"method": "vote", "thresholds": "f1", "validation_files": ["v.csv"]},
            "vote takes each model's own decisions",
        ),
        ({"method": "union", "label_mode": "multiclass"}, "for multiclass, choose mean or fitted"),
        ({"label_mode": "multiclass", "thresholds": "f1", "validation_files": ["v"]}, "multiclass has no thresholds"),
        ({"classes": ["a", "a"]}, "give at least one, each once"),
    ],
)
def test_options_that_do_not_go_together_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        medkit.handler("merge_predictions", files=["a", "b"], output="o.csv", **options)
