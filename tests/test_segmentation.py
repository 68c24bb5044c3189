"""Scores of masks equal MONAI's, and images with nothing to segment count."""

import json

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis.extra.numpy import arrays
from monai.metrics import DiceMetric, HausdorffDistanceMetric, MeanIoU

from medkit.errors import DataError
from medkit.segmentation import image_scores, segmentation_scores

MASKS = arrays(bool, (9, 11))
EMPTY = np.zeros((9, 11), bool)


def monai(metric, truth, predicted):
    return float(metric(torch.from_numpy(predicted)[None, None].float(), torch.from_numpy(truth)[None, None].float()))


@pytest.mark.filterwarnings("ignore::FutureWarning")  # MONAI's own, of an option that it passes to itself
@settings(deadline=None)
@given(MASKS, MASKS)
@example(EMPTY, EMPTY)
@example(EMPTY, ~EMPTY)
@example(~EMPTY, EMPTY)
@example(~EMPTY, ~EMPTY)
def test_an_image_scores_as_in_monai(truth, predicted):
    scores = image_scores(truth, predicted)
    assert scores["iou"] == pytest.approx(monai(MeanIoU(ignore_empty=False), truth, predicted))
    assert scores["dice"] == pytest.approx(monai(DiceMetric(ignore_empty=False), truth, predicted))
    if not truth.any() and not predicted.any():
        assert scores["hd95"] == 0
    elif truth.any() and predicted.any():
        distance = HausdorffDistanceMetric(include_background=True, percentile=95)
        assert scores["hd95"] == pytest.approx(monai(distance, truth, predicted), rel=1e-5)
    else:
        assert np.isnan(scores["hd95"]), "a mask that is not there is at no distance"


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_lesions_of_real_size_score_as_in_monai():
    y, x = np.mgrid[:600, :800]
    truth = ((y - 300) / 120) ** 2 + ((x - 400) / 180) ** 2 < 1
    predicted = ((y - 330) / 90) ** 2 + ((x - 380) / 200) ** 2 < 1
    predicted[500:510, 700:720] = True
    expected = monai(HausdorffDistanceMetric(include_background=True, percentile=95), truth, predicted)
    assert image_scores(truth, predicted)["hd95"] == pytest.approx(expected, rel=1e-5)
    assert expected > 10


def test_distance_is_in_pixels():
    truth, predicted = EMPTY.copy(), EMPTY.copy()
    truth[2, 1] = predicted[5, 5] = True
    assert image_scores(truth, predicted) == {"iou": 0, "dice": 0, "hd95": 5}


def test_masks_of_two_shapes_are_an_error():
    with pytest.raises(DataError, match=r"\(9, 11\) and \(11, 9\) were found"):
        image_scores(EMPTY, EMPTY.T)


def row(patient, truth_pixels, plain, gated, *, closed=False):
    """A row as the CSV file has it; ``plain`` and ``gated`` are (iou, dice, hd95)."""
    names = ("iou", "dice", "hd95")
    return {
        "patient_id": patient,
        "truth_pixels": truth_pixels,
        "open": int(not closed),
        **dict(zip(names, plain)),
        **{f"{name}_gated": value for name, value in zip(names, gated)},
    }


ROWS = [
    row("a", 50, (0.6, 0.75, 4.0), (0.6, 0.75, 4.0)),
    row("b", 80, (0.2, 0.4, 10.0), (0, 0, ""), closed=True),
    row("c", 70, (0, 0, ""), (0, 0, "")),
    row("d", 0, (0, 0, ""), (1, 1, 0), closed=True),
    row("e", 0, (1, 1, 0), (1, 1, 0)),
    row("f", "", ("", "", ""), ("", "", ""), closed=True),
]


def test_means_are_over_all_images_those_with_a_lesion_and_those_without():
    scores = segmentation_scores(ROWS, resamples=50)
    values = {
        when: {name: {group: score["value"] for group, score in part.items()} for name, part in scores[when].items()}
        for when in ("plain", "gated", "gain")
    }
    lesion = pytest.approx
    assert values["plain"] == {
        "iou": {"all": lesion(1.8 / 5), "lesion": lesion(0.8 / 3), "normal": 0.5},
        "dice": {"all": lesion(2.15 / 5), "lesion": lesion(1.15 / 3), "normal": 0.5},
        "hd95": {"lesion": 7},
    }
    assert values["gated"] == {
        "iou": {"all": lesion(2.6 / 5), "lesion": lesion(0.2), "normal": 1},
        "dice": {"all": lesion(2.75 / 5), "lesion": lesion(0.25), "normal": 1},
        "hd95": {"lesion": 4},
    }
    assert values["gain"] == {
        "iou": {"all": lesion(0.8 / 5), "lesion": lesion(-0.2 / 3), "normal": 0.5},
        "dice": {"all": lesion(0.6 / 5), "lesion": lesion(-0.4 / 3), "normal": 0.5},
    }
    assert [scores[when]["hd95"]["lesion"]["n"] for when in ("plain", "gated")] == [2, 1]
    assert scores["plain"]["iou"]["lesion"]["n"] == 3
    assert scores["counts"] == {
        "images": 5, "patients": 5, "lesion": 3, "normal": 2, "gated": 2, "lesions_gated_away": 1,
    }  # fmt: skip


def test_rows_read_from_a_file_score_as_those_in_memory():
    text = [{key: str(value) for key, value in row.items()} for row in ROWS]
    assert segmentation_scores(text, resamples=20) == segmentation_scores(ROWS, resamples=20)


def test_the_gain_is_paired():
    """The gate helps every image by 0.1, whatever the image: no resample says otherwise."""
    random = np.random.default_rng(0)
    overlaps = random.uniform(0, 0.9, 40)
    rows = [row(f"p{i}", 9, (v, v, 1), (v + 0.1, v + 0.1, 1)) for i, v in enumerate(overlaps)]
    scores = segmentation_scores(rows, resamples=100)
    gain, plain = scores["gain"]["iou"]["lesion"], scores["plain"]["iou"]["lesion"]
    assert [gain[key] for key in ("low", "value", "high")] == pytest.approx([0.1] * 3)
    assert plain["high"] - plain["low"] > 0.1


def test_intervals_are_by_patient():
    random = np.random.default_rng(1)
    overlaps = np.repeat(random.uniform(0, 1, 12), 10)

    def width(patients):
        rows = [row(p, 9, (v, v, 1), (v, v, 1)) for p, v in zip(patients, overlaps)]
        score = segmentation_scores(rows, resamples=400)["plain"]["dice"]["all"]
        return score["high"] - score["low"]

    assert width([f"p{i // 10}" for i in range(120)]) > 2 * width([f"p{i}" for i in range(120)])


def test_all_normals_left_empty_is_not_certainty():
    rows = [row(f"p{i}", 0, (1, 1, 0), (1, 1, 0)) for i in range(20)]
    score = segmentation_scores(rows, resamples=10)["plain"]["iou"]["normal"]
    assert (score["value"], score["high"]) == (1, 1)
    assert score["low"] == pytest.approx(0.025 ** (1 / 20))


@pytest.mark.parametrize("rows", [[], ROWS[-1:], ROWS[3:4]], ids=["nothing", "no truth", "no lesion"])
def test_what_is_not_there_is_not_measurable(rows):
    scores = segmentation_scores(rows, resamples=5)
    assert scores["plain"]["iou"]["lesion"] == {
        "value": None, "low": None, "high": None, "n": 0, "reason": "no image has a lesion",
    }  # fmt: skip
    assert scores["gain"]["dice"]["lesion"]["reason"] == "no image has a lesion"
    assert scores["gated"]["hd95"]["lesion"]["reason"] == "no lesion has a predicted mask"
    assert "NaN" not in json.dumps(scores)
