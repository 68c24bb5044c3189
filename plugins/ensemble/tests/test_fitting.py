"""Weights against scikit-learn's log loss and a grid, thresholds against brute force; both end to end."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from medkit_ensemble.thresholds import fit_thresholds
from medkit_ensemble.weights import SMALLEST, fit_weights
from sklearn.metrics import f1_score, log_loss

import medkit
from medkit.errors import ConfigError, DataError
from medkit.tables import read_csv
from medkit.thresholds import best_f1

SHAPE = st.tuples(st.integers(2, 4), st.integers(1, 8), st.integers(1, 3))
VALIDATION = SHAPE.flatmap(
    lambda shape: st.tuples(
        arrays(np.float64, shape, elements=st.floats(0, 1)),
        arrays(np.float64, shape[1:], elements=st.sampled_from([0, 1])),
    )
)


def loss_of(probabilities, labels, weights):
    kept = np.clip(probabilities, SMALLEST, 1 - SMALLEST)
    return log_loss(labels.ravel(), np.tensordot(weights, kept, 1).ravel(), labels=[0, 1])


@settings(max_examples=50)
@given(VALIDATION)
def test_fitted_weights_are_convex_and_no_worse_than_any_model_or_their_mean(validation):
    probabilities, labels = validation
    weights, losses = fit_weights(probabilities, labels)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)
    fitted = loss_of(probabilities, labels, weights)
    assert losses["fitted"] == pytest.approx(fitted, abs=1e-9)
    alone = [loss_of(probabilities, labels, one) for one in np.eye(len(weights))]
    np.testing.assert_allclose(losses["each_model"], alone, atol=1e-9)
    assert fitted <= min(alone) + 1e-9
    assert fitted <= loss_of(probabilities, labels, np.full(len(weights), 1 / len(weights))) + 1e-9


def f1_of(truth, present):
    return 2 * (truth * present).sum() / (truth.sum() + present.sum())


def seen(seed, images=400, skill=(1.0, 2.0, 0.0)):
    """Return labels (N,2) and probabilities (3,N,2) of models that know more and less."""
    draw = np.random.default_rng(seed)
    labels = (draw.random((images, 2)) < [0.4, 0.15]).astype(float)
    logits = np.array(skill)[:, None, None] * (2 * labels - 1) + draw.normal(size=(3, images, 2)) - 0.5
    return labels, 1 / (1 + np.exp(-logits))


def test_no_point_of_a_grid_of_weights_is_better():
    labels, probabilities = seen(0)
    weights, losses = fit_weights(probabilities, labels)
    grid = [(a / 20, b / 20, (20 - a - b) / 20) for a in range(21) for b in range(21 - a)]
    best = min(grid, key=lambda point: loss_of(probabilities, labels, point))
    assert losses["fitted"] <= loss_of(probabilities, labels, best)
    np.testing.assert_allclose(weights, best, atol=0.1)


def test_unknown_labels_are_skipped_and_one_class_an_image_counts_its_own_probability():
    labels, probabilities = seen(1, images=60)
    unknown = labels.copy()
    unknown[:20] = np.nan
    weights, losses = fit_weights(probabilities, unknown)
    np.testing.assert_array_equal(weights, fit_weights(probabilities[:, 20:], labels[20:])[0])
    assert losses["labels"] == 80
    one_hot = np.eye(2)[labels[:, 0].astype(int)]
    shares = np.stack([probabilities[..., 0], 1 - probabilities[..., 0]], axis=-1)
    _, classes = fit_weights(shares, one_hot, multiclass=True)
    assert classes["labels"] == 60
    assert classes["equal_weights"] == pytest.approx(log_loss(one_hot.argmax(axis=1), shares.mean(axis=0)))


@given(st.integers(1, 12).flatmap(lambda n: st.tuples(arrays(int, n, elements=st.integers(0, 1)),
       arrays(np.float64, n, elements=st.integers(0, 5).map(lambda v: v / 5)))))  # fmt: skip
def test_a_threshold_has_the_highest_f1_of_all(drawn):
    truth, scores = drawn
    truth[0] = 1
    threshold, f1 = best_f1(scores[truth == 1], scores[truth == 0])
    assert f1 == pytest.approx(f1_of(truth, scores >= threshold))
    assert f1 == pytest.approx(max(f1_of(truth, scores >= cut) for cut in scores))


def test_a_finding_that_validation_never_shows_keeps_the_given_threshold_and_unknown_is_skipped():
    scores = np.array([[0.2, 0.3], [0.8, 0.6], [0.9, 0.1]])
    cuts, record = fit_thresholds(scores, np.array([[0, 0], [1, 0], [np.nan, 0]]), ["a", "b"], 0.5)
    np.testing.assert_allclose(cuts, [0.5, 0.5])
    assert record["a"] == {"threshold": 0.5, "f1": 1.0, "positives": 1, "negatives": 1}
    assert record["b"] == {"threshold": 0.5, "f1": None, "positives": 0, "negatives": 3}


def test_a_finding_that_every_validation_image_has_keeps_one_half_and_is_named(write_table, tmp_path):
    draw, labels = np.random.default_rng(0), np.stack([np.arange(20) % 2, np.ones(20)], axis=1)
    tables = [write_table(f"{part}{m}.csv", draw.random((20, 2)), None, labels, [f"{part}{n}" for n in range(20)])
              for part in "tv" for m in (0, 1)]  # fmt: skip
    merger = medkit.handler("merge_predictions", files=tables[:2], validation_files=tables[2:], thresholds="f1",
                            output=str(tmp_path / "o.csv"))  # fmt: skip
    merger.run()
    record = json.loads((tmp_path / "o.fitted.json").read_text())["thresholds"]["c1"]
    assert record == {"threshold": 0.5, "f1": None, "positives": 20, "negatives": 0}
    assert merger.notes == ["threshold 0.5 where every validation image has it: c1"]


@pytest.fixture
def folds(write_table):
    """Return paths of three models' tables of test and of validation images, and the arrays behind them."""
    made = {}
    for part, seed in (("test", 3), ("validation", 4)):
        labels, probabilities = seen(seed)
        files = [f"{part}{n}.png" for n in range(len(labels))]
        paths = [write_table(f"{part}/{m}.csv", one, None, labels, files) for m, one in enumerate(probabilities)]
        made[part] = (paths, labels, np.round(probabilities, 6))
    return made


def merge(folds, tmp_path, **options):
    (files, *_), (validation, *_) = folds["test"], folds["validation"]
    output = tmp_path / "out" / "predictions.csv"
    merger = medkit.handler(
        "merge_predictions", files=files, output=str(output), validation_files=validation, **options
    )
    rows = read_csv(merger.run())
    record = json.loads(output.with_name("predictions.fitted.json").read_text())
    columns = [[[float(row[f"{group}_c{k}"]) for k in (0, 1)] for row in rows] for group in ("probability", "present")]
    return *map(np.array, columns), record, merger.notes


def test_weights_from_validation_are_used_on_the_test_images_and_written_with_what_they_rest_on(folds, tmp_path):
    probabilities, present, record, notes = merge(folds, tmp_path, method="fitted")
    paths, labels, validation = folds["validation"]
    weights = [row["weight"] for row in record["models"]]
    np.testing.assert_allclose(weights, fit_weights(validation, labels)[0], atol=1e-3)
    np.testing.assert_allclose(probabilities, np.tensordot(weights, folds["test"][2], 1), atol=1e-5)
    assert (present == (probabilities >= 0.5)).all()
    assert (record["method"], record["images"], record["log_loss"]["labels"]) == ("fitted", 400, 800)
    assert record["log_loss"]["fitted"] < record["log_loss"]["equal_weights"]
    assert record["log_loss"]["fitted"] <= min(row["log_loss"] for row in record["models"])
    assert [row["validation_file"] for row in record["models"]] == paths
    assert [row["file"] for row in record["models"]] == folds["test"][0]
    assert notes[0] == f"weight {weights[0]:.3f} of {folds['test'][0][0]}"
    assert "thresholds" not in record


@pytest.mark.parametrize("method", ["mean", "rank_mean", "fitted"])
def test_thresholds_are_fitted_on_what_the_same_method_makes_of_validation(folds, tmp_path, method):
    probabilities, present, record, _ = merge(folds, tmp_path, method=method, thresholds="f1")
    cuts = np.array([row["threshold"] for row in record["thresholds"].values()])
    assert (present == (probabilities >= cuts)).mean() > 0.999  # six digits are written
    assert [row["positives"] for row in record["thresholds"].values()] == folds["validation"][1].sum(axis=0).tolist()
    on_validation = np.mean([row["f1"] for row in record["thresholds"].values()])
    assert f1_score(folds["test"][1], present, average="macro") == pytest.approx(on_validation, abs=0.05)


def test_ranks_never_give_a_class_that_validation_does_not_show(write_table, tmp_path):
    draw = np.random.default_rng(0)
    labels = np.stack([np.arange(20) % 2, np.zeros(20)], axis=1)
    tables = [write_table(f"{part}{m}.csv", draw.random((20, 2)), None, labels, [f"{part}{n}" for n in range(20)])
              for part in "tv" for m in (0, 1)]  # fmt: skip
    merger = medkit.handler("merge_predictions", files=tables[:2], validation_files=tables[2:], thresholds="f1",
                            output=str(tmp_path / "o.csv"), method="rank_mean")  # fmt: skip
    assert {row["present_c1"] for row in read_csv(merger.run())} == {"0"}
    assert merger.notes == ["threshold 1 where validation has no image: c1"]


def test_a_merge_that_fits_nothing_leaves_no_record_of_an_earlier_one(folds, tmp_path):
    merge(folds, tmp_path, method="fitted")
    output = tmp_path / "out" / "predictions.csv"
    medkit.handler("merge_predictions", files=folds["test"][0], output=str(output)).run()
    assert [path.name for path in output.parent.iterdir()] == ["predictions.csv"]


def test_validation_is_told_from_test_by_the_ends_of_paths_too(write_table, tmp_path):
    def tables(part, folder, names):
        draw = np.random.default_rng(0)
        labels = np.stack([np.arange(len(names)) % 2] * 2, axis=1)
        return [write_table(f"{part}{m}.csv", draw.random((len(names), 2)), None, labels,
                            [f"/run{m}/{folder}/{name}" for name in names]) for m in (0, 1)]  # fmt: skip

    def merged(test, validation):
        options = {"files": test, "validation_files": validation, "output": str(tmp_path / "o.csv")}
        return medkit.handler("merge_predictions", method="fitted", **options).run()

    test = tables("t", "test", ["1.png", "2.png"])
    assert merged(test, tables("v", "validation", ["1.png", "2.png"])).is_file()
    again = tables("w", "test", ["2.png", "3.png"])
    with pytest.raises(DataError, match=r"^2.png: in files and in validation_files"):
        merged(test, again)
    with pytest.raises(DataError, match=r"run0/test/2.png: in files and in validation_files"):
        merged(test, again[::-1])


def test_validation_that_does_not_fit_is_named(folds, write_table, tmp_path):
    files, validation = folds["test"][0], folds["validation"][0]
    bare = [write_table(f"bare{m}.csv", np.full((2, 2), 0.5)) for m in range(3)]
    other = [write_table(f"other{m}.csv", np.full((2, 1), 0.5), None, np.ones((2, 1))) for m in range(3)]
    odd = [write_table(f"odd{m}.csv", np.full((2, 2), 0.5), None, np.full((2, 2), 3)) for m in range(3)]
    for tables, kind, message in (
        (validation[:2], ConfigError, "3 files need as many validation_files, in the same order: found 2"),
        (files, DataError, "test0.png, test1.png, test2.png and 397 more: in files and in validation_files"),
        (bare, DataError, "bare0.csv has no labels"),
        (other, DataError, r"other0.csv has the findings \['c0'\]"),
        (odd, DataError, 'odd0.csv has the label "3"'),
    ):
        options = {"files": files, "validation_files": tables, "output": str(tmp_path / "o.csv"), "method": "fitted"}
        with pytest.raises(kind, match=message):
            medkit.handler("merge_predictions", **options).run()
    assert not (tmp_path / "o.csv").exists()
