import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    confusion_matrix,
    f1_score,
    roc_auc_score,
)

from medkit import metrics
from medkit.errors import DataError

FINDINGS = ["Mass", "Nodule", "Effusion"]


def ranked(seed: int, n: int = 200, classes: int = 3):
    """Labels and probabilities that know something, with ties."""
    random = np.random.default_rng(seed)
    labels = (random.random((n, classes)) < 0.3).astype(float)
    return labels, np.round(np.clip(0.2 * labels + 0.8 * random.random((n, classes)), 0, 1), 2)


def record(boxes, predicted, label=(1, 1, 1), patient="", frame_size=(200, 300)):
    return {
        "boxes": None if boxes is None else np.array(boxes, float).reshape(-1, 5),
        "predicted_boxes": np.array(predicted, float).reshape(-1, 6),
        "label": np.array(label, float),
        "frame_size": frame_size,
        "patient_id": patient,
    }


@given(arrays(np.int8, 30, elements=st.integers(0, 1)), arrays(np.int8, 30, elements=st.integers(0, 5)))
def test_auroc_equals_counting_all_pairs(labels, scores):
    positive, negative = scores[labels == 1], scores[labels == 0]
    value = metrics.auroc(labels, scores)
    if not positive.size or not negative.size:
        assert np.isnan(value)
    else:
        order = np.sign(positive[:, None].astype(int) - negative[None].astype(int))
        assert value == pytest.approx((order + 1).mean() / 2, abs=1e-12)


def test_auroc_equals_scikit_learn_and_skips_unknown_labels():
    labels, scores = ranked(0)
    labels[::7] = np.nan
    known = ~np.isnan(labels[:, 0])
    expected = [roc_auc_score(labels[known, k], scores[known, k]) for k in range(3)]
    np.testing.assert_allclose(metrics.auroc(labels, scores), expected, rtol=0, atol=1e-12)
    assert isinstance(metrics.auroc(labels[:, 0], scores[:, 0]), float)


def test_auroc_of_scores_that_are_not_numbers_is_an_error():
    with pytest.raises(DataError, match="NaN"):
        metrics.auroc([1, 0, 0], [0.5, np.nan, 0.1])
    with pytest.raises(DataError, match="one shape"):
        metrics.auroc([1, 0, 0], [[0.5, 0.1, 0.2]])


def test_classification_scores_equal_scikit_learn():
    labels, probabilities = ranked(1)
    present = probabilities >= 0.5
    scores = metrics.classification_scores(labels, probabilities, present, FINDINGS, ["p"] * 200, resamples=10)
    for k, finding in enumerate(FINDINGS):
        truth, probability = labels[:, k], probabilities[:, k]
        expected = {
            "auroc": roc_auc_score(truth, probability),
            "average_precision": average_precision_score(truth, probability),
            "f1": f1_score(truth, present[:, k]),
        }
        for name, value in expected.items():
            assert scores[name]["per_class"][finding]["value"] == pytest.approx(value, abs=1e-12)
            assert scores[name]["per_class"][finding]["n"] == truth.sum()
        brier = scores["calibration"]["brier"]["per_class"][finding]
        assert brier["value"] == pytest.approx(brier_score_loss(truth, probability), abs=1e-9)
        counts = scores["counts"]["per_class"][finding]
        assert counts["tp"] / (counts["tp"] + counts["fn"]) == scores["sensitivity"]["per_class"][finding]["value"]
        assert counts["tn"] / (counts["tn"] + counts["fp"]) == scores["specificity"]["per_class"][finding]["value"]
    mean = np.mean([scores["auroc"]["per_class"][finding]["value"] for finding in FINDINGS])
    assert scores["auroc"]["macro"]["value"] == pytest.approx(mean)
    assert scores["auroc"]["macro"]["n"] == 200
    assert scores["auroc"]["macro"]["low"] is None, "one patient says nothing about others"


def one_of_three(seed: int, n: int = 150):
    """One-hot labels, probabilities that know something, and the two as class indices."""
    random = np.random.default_rng(seed)
    truth = random.integers(3, size=n)
    probabilities = random.dirichlet([1, 1, 1], n) * 0.6 + np.eye(3)[truth] * 0.4
    return np.eye(3)[truth], probabilities, truth, probabilities.argmax(axis=1)


def multiclass(labels, probabilities, **options):
    patients = [f"p{i}" for i in range(len(labels))]
    present = probabilities > 0.5
    return metrics.classification_scores(
        labels, probabilities, present, FINDINGS, patients, multiclass=True, resamples=50, **options
    )


def test_scores_of_classes_that_exclude_each_other_equal_scikit_learn():
    labels, probabilities, truth, said = one_of_three(0)
    labels[:20] = np.nan
    truth, said = truth[20:], said[20:]
    scores = multiclass(labels, probabilities, negative="Effusion")
    assert scores["confusion"] == confusion_matrix(truth, said).tolist()
    assert scores["accuracy"]["value"] == pytest.approx(accuracy_score(truth, said))
    assert scores["accuracy"]["n"] == 130
    assert scores["accuracy_any"]["value"] == pytest.approx(accuracy_score(truth == 2, said == 2))
    assert scores["accuracy_any"]["low"] < scores["accuracy_any"]["value"] < scores["accuracy_any"]["high"]
    assert scores["accuracy_any"]["value"] > scores["accuracy"]["value"], "mass taken for nodule is still a finding"
    json.dumps(scores)


def test_classes_that_exclude_each_other_are_measured_where_asked_for():
    labels, probabilities, *_ = one_of_three(1)
    plain = metrics.classification_scores(labels, probabilities, probabilities > 0.5, FINDINGS, [""] * 150, resamples=2)
    assert not plain.keys() & {"accuracy", "accuracy_any", "confusion"}
    assert "accuracy_any" not in multiclass(labels, probabilities)
    nothing_known = multiclass(labels * np.nan, probabilities)
    assert nothing_known["accuracy"] == {"value": None, "low": None, "high": None, "n": 0, "reason": "no known labels"}
    assert not np.any(nothing_known["confusion"])


def test_wrong_classes_are_named():
    labels, probabilities, *_ = one_of_three(2)
    with pytest.raises(DataError, match='negative "normal" was asked for, the classes are Mass, Nodule, Effusion'):
        multiclass(labels, probabilities, negative="normal")
    labels[7] = [1, 0, 1]
    with pytest.raises(DataError, match=r"labels \[1.0, 0.0, 1.0\] were found"):
        multiclass(labels, probabilities)


def test_calibration_error_is_the_gap_between_probability_and_frequency():
    labels = np.array([[1.0], [0.0], [0.0], [0.0]] * 25)
    probabilities = np.full((100, 1), 0.75)
    scores = metrics.classification_scores(labels, probabilities, probabilities > 1, ["Mass"], [""] * 100, resamples=2)
    assert scores["calibration"]["expected_calibration_error"]["macro"]["value"] == pytest.approx(0.5)


def test_a_class_without_positives_is_not_measurable_and_left_out_of_means():
    labels, probabilities = ranked(2)
    labels[:, 1], labels[:5, 0] = 0, np.nan
    patients = [str(i // 2) for i in range(200)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = metrics.classification_scores(
            labels, probabilities, probabilities > 0.5, FINDINGS, patients, resamples=20
        )
    assert scores["not_measurable"] == ["Nodule"]
    assert scores["auroc"]["per_class"]["Nodule"] == {
        "value": None, "low": None, "high": None, "n": 0, "reason": "no positives",
    }  # fmt: skip
    assert scores["f1"]["per_class"]["Nodule"]["value"] is None
    assert scores["specificity"]["per_class"]["Nodule"]["value"] is not None
    others = [scores["auroc"]["per_class"][finding]["value"] for finding in ("Mass", "Effusion")]
    assert scores["auroc"]["macro"]["value"] == pytest.approx(np.mean(others))
    assert scores["counts"]["per_class"]["Mass"]["unknown"] == 5
    assert scores["counts"]["patients"] == 100
    assert "NaN" not in json.dumps(scores)


def test_unknown_labels_everywhere_give_null_not_a_crash():
    nothing = np.full((6, 3), np.nan)
    scores = metrics.classification_scores(nothing, np.full((6, 3), 0.5), nothing > 0, FINDINGS, [""] * 6, resamples=5)
    assert scores["auroc"]["macro"]["value"] is None
    assert scores["not_measurable"] == FINDINGS


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(DataError, match=r"labels are \(2, 3\), probabilities \(2, 2\)"):
        metrics.classification_scores(np.zeros((2, 3)), np.zeros((2, 2)), np.zeros((2, 3)), FINDINGS, ["a", "b"])


def test_resampled_ranking_equals_scikit_learn_with_weights():
    labels, probabilities = ranked(3, 60)
    boot = metrics.Bootstrap([str(i // 3) for i in range(60)], resamples=8)
    areas, precisions = boot.ranking(labels[:, 0], probabilities[:, 0])
    for counts, area, precision in zip(boot.counts, areas, precisions):
        weights = counts[boot.patient]
        arguments = labels[:, 0], probabilities[:, 0]
        assert area == pytest.approx(roc_auc_score(*arguments, sample_weight=weights), abs=1e-12)
        assert precision == pytest.approx(average_precision_score(*arguments, sample_weight=weights), abs=1e-12)


def test_images_of_one_patient_stay_together():
    """Ten copies of every image say nothing new: the interval must not shrink."""
    labels, probabilities = ranked(4, 80)

    def width(repeats, patients):
        many = [np.repeat(a, repeats, axis=0) for a in (labels, probabilities, probabilities > 0.5)]
        macro = metrics.classification_scores(*many, FINDINGS, patients, resamples=400)["auroc"]["macro"]
        return macro["high"] - macro["low"]

    alone = width(1, [str(i) for i in range(80)])
    together = width(10, [str(i // 10) for i in range(800)])
    as_if_strangers = width(10, [""] * 800)
    assert together == pytest.approx(alone, rel=0.01)
    assert as_if_strangers < 0.5 * alone


def test_the_interval_holds_the_truth_about_95_times_in_100():
    held = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        labels = np.repeat([1.0, 0.0], [40, 60])
        scores = random.normal(size=100) + labels  # AUROC of two unit normals one apart is Φ(1/√2)
        boot = metrics.Bootstrap([""] * 100, resamples=200, seed=seed)
        score = boot.score(boot.ranking(labels, scores)[0], 40)
        held += score.low <= 0.7602499 <= score.high
    assert 0.90 <= held / 200 <= 0.99


def test_a_perfect_proportion_still_has_an_open_side():
    boot = metrics.Bootstrap([str(i // 2) for i in range(20)], resamples=50)
    perfect = boot.proportion(np.ones(20), np.ones(20), "")
    assert (perfect.value, perfect.high, perfect.n) == (1.0, 1.0, 20)
    assert perfect.low == pytest.approx(0.025 ** (1 / 10)), "ten patients, not twenty images"
    assert boot.proportion(np.zeros(20), np.ones(20), "").high == pytest.approx(1 - perfect.low)


def test_the_same_seed_gives_the_same_scores():
    labels, probabilities = ranked(5)
    one, two = (
        metrics.classification_scores(
            labels, probabilities, probabilities > 0.5, FINDINGS, [""] * 200, resamples=30, seed=seed
        )
        for seed in (7, 7)
    )
    assert one == two


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_box_iou_equals_counting_pixels(seed):
    random = np.random.default_rng(seed)
    corners = random.integers(0, 12, (2, 3, 2))
    sizes = random.integers(0, 8, (2, 3, 2))
    a, b = np.concatenate([corners, corners + sizes], axis=2)

    def pixels(box):
        mask = np.zeros((20, 20), bool)
        mask[box[1] : box[3], box[0] : box[2]] = True
        return mask

    iou = metrics.box_iou(a, b)
    for i, j in np.ndindex(3, 3):
        union = (pixels(a[i]) | pixels(b[j])).sum()
        assert iou[i, j] == pytest.approx((pixels(a[i]) & pixels(b[j])).sum() / union if union else 0)


def test_hits_are_counted_over_all_true_boxes():
    hit = record([[0, 10, 10, 30, 30]], [[0, 10, 10, 30, 30, 0.9]])
    missed = record([[0, 10, 10, 30, 30], [1, 50, 50, 60, 60]], [[0, 100, 100, 120, 120, 0.9]])
    not_predicted = record([[2, 10, 10, 30, 30]], [])
    nobody_drew = record(None, [[0, 10, 10, 30, 30, 0.9]])
    scores = metrics.localization_scores([hit, missed, not_predicted, nobody_drew], FINDINGS, resamples=20)
    assert scores["hit_rate_iou_0_3"]["value"] == 0.25
    assert scores["hit_rate_iou_0_3"]["n"] == 4
    assert scores["per_class"]["Mass"]["hit_rate_iou_0_3"]["value"] == 0.5
    assert scores["per_class"]["Effusion"]["n"] == 1
    assert scores["mean_iou_of_hits"]["value"] == 1
    assert scores["predicted_boxes_per_image"]["value"] == 0.75


def test_a_hit_needs_more_than_the_limit():
    exactly_half = record([[0, 0, 0, 10, 10]], [[0, 0, 0, 10, 5, 0.9]])
    scores = metrics.localization_scores([exactly_half], FINDINGS, resamples=2)
    assert [scores[f"hit_rate_iou_0_{d}"]["value"] for d in (1, 3, 5)] == [1, 1, 0]


def test_one_predicted_box_hits_one_true_box():
    true = [[0, 0, 0, 10, 10], [0, 1, 0, 11, 10]]
    one = metrics.localization_scores([record(true, [[0, 0, 0, 10, 10, 0.9]])], FINDINGS, resamples=2)
    two = metrics.localization_scores([record(true, [[0, 0, 0, 10, 10, 0.9]] * 2)], FINDINGS, resamples=2)
    assert one["hit_rate_iou_0_3"]["value"] == 0.5
    assert two["hit_rate_iou_0_3"]["value"] == 1


def test_boxes_of_another_class_do_not_hit():
    scores = metrics.localization_scores([record([[0, 0, 0, 9, 9]], [[1, 0, 0, 9, 9, 1]])], FINDINGS, resamples=2)
    assert scores["hit_rate_iou_0_1"]["value"] == 0


def test_false_boxes_count_where_the_truth_is_known():
    drawn = record([[0, 0, 0, 10, 10]], [[0, 100, 100, 110, 110, 1], [0, 0, 0, 10, 10, 1]])  # one false box
    absent = record(None, [[1, 0, 0, 10, 10, 1]], label=(0, 0, 0))  # one false box
    present_but_not_drawn = record(None, [[1, 0, 0, 10, 10, 1]], label=(0, 1, 0))
    unknown = record(None, [[1, 0, 0, 10, 10, 1]], label=(np.nan,) * 3)
    records = [drawn, absent, present_but_not_drawn, unknown]
    false = metrics.localization_scores(records, FINDINGS, resamples=2)["false_boxes_per_image"]
    assert (false["value"], false["n"]) == (pytest.approx(2 / 3), 3)


def test_padding_is_no_box():
    padded = [[0, 0, 0, 10, 10], [np.nan] * 5]
    scores = metrics.localization_scores([record(padded, [[0, 0, 0, 10, 10, 1]])], FINDINGS, resamples=2)
    assert scores["hit_rate_iou_0_3"]["n"] == 1


def test_no_true_boxes_is_not_measurable():
    scores = metrics.localization_scores([record(None, [])], FINDINGS, resamples=2)
    assert scores["hit_rate_iou_0_3"]["value"] is None
    assert scores["hit_rate_iou_0_3"]["reason"] == "no true boxes"
    assert scores["hit_rate_iou_0_3_random"]["value"] is None
    assert "NaN" not in json.dumps(scores)


def test_random_boxes_hit_as_often_as_chance_says():
    """A 100-wide strip as high as its frame overlaps another by IoU > 0.3 where they are less than 53.85 apart."""
    strip = record([[0, 100, 0, 200, 200]], [[0, 0, 0, 100, 200, 1]])
    scores = metrics.localization_scores([strip] * 200, FINDINGS, resamples=2)
    assert scores["hit_rate_iou_0_3"]["value"] == 0
    assert scores["hit_rate_iou_0_3_random"]["value"] == pytest.approx(2 * 100 * (0.7 / 1.3) / 200, abs=0.03)


def test_a_wrong_class_index_or_an_unknown_frame_is_named():
    with pytest.raises(DataError, match="class index 3"):
        metrics.localization_scores([record([[3, 0, 0, 9, 9]], [])], FINDINGS)
    lost = record([[0, 0, 0, 9, 9]], [[0, 0, 0, 9, 9, 1]], frame_size=(np.nan, np.nan))
    with pytest.raises(DataError, match="frame_size"):
        metrics.localization_scores([lost], FINDINGS)
