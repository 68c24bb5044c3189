import json

import pytest
import torch

import medkit
from medkit.errors import DataError

FINDINGS = ["Effusion", "Mass", "Nodule"]
LEAF = {"value", "low", "high", "n"}


@pytest.fixture
def metrics(samples, evaluator, tmp_path):
    path = tmp_path / "metrics.json"
    handler = medkit.handler("metrics_file", path=str(path), findings=FINDINGS, resamples=30)
    evaluator(samples, [handler]).run()
    return json.loads(path.read_text(encoding="utf-8"))


def test_every_score_has_value_interval_and_count(metrics):
    localization = metrics["localization"]
    for score in (
        metrics["auroc"]["macro"],
        metrics["auroc"]["per_class"]["Effusion"],
        metrics["f1"]["macro"],
        localization["hit_rate_iou_0_3"],
        localization["hit_rate_iou_0_3_random"],
        localization["by_rule"]["hit_rate_iou_0_3"],
    ):
        assert set(score) >= LEAF


def test_known_answers_come_out(metrics):
    # Brightness separates Effusion (the two brightest images) and Mass (the two darkest, so exactly wrong).
    assert metrics["auroc"]["per_class"]["Effusion"]["value"] == 1
    assert metrics["auroc"]["per_class"]["Mass"]["value"] == 0
    assert metrics["not_measurable"] == ["Nodule"]
    hits = metrics["localization"]["hit_rate_iou_0_3"]
    assert (hits["value"], hits["n"]) == (0.5, 2)  # the brightest image alone is said to show Effusion


def test_what_could_not_be_read_is_listed_and_not_counted(metrics, samples):
    assert (metrics["images"], metrics["patients"], metrics["synthetic"]) == (4, 4, True)
    (missed,) = metrics["not_read"]
    assert missed["file"] == samples[2]["image"]
    assert missed["status"] == "error"
    assert missed["reason"]


def test_nothing_readable_is_an_error(samples, evaluator, tmp_path):
    handler = medkit.handler("metrics_file", path=str(tmp_path / "metrics.json"), findings=FINDINGS)
    with pytest.raises(DataError, match="none of 1 images"):
        evaluator([samples[2]], [handler]).run()
    assert not (tmp_path / "metrics.json").exists()


class OneOfThree:
    """What a classifier gives that finds Mass everywhere: no boxes, and one map that is of no finding."""

    def __call__(self, sample):
        bare = {k: v for k, v in sample.items() if not k.startswith("predicted_boxes")}
        return {**bare, "probabilities": torch.tensor([0.2, 0.7, 0.1]), "maps": torch.zeros(1, 4, 6)}


def test_a_classifier_of_classes_that_exclude_each_other(samples, evaluator, tmp_path):
    path = tmp_path / "metrics.json"
    options = {"multiclass": True, "negative": "Nodule", "resamples": 30}
    files = medkit.handler("prediction_files", output_dir=str(tmp_path), findings=FINDINGS)
    handler = medkit.handler("metrics_file", path=str(path), findings=FINDINGS, **options)
    evaluator(samples, [files, handler], post=[OneOfThree()]).run()
    metrics = json.loads(path.read_text(encoding="utf-8"))
    assert metrics["confusion"] == [[0, 2, 0], [0, 2, 0], [0, 0, 0]]
    assert metrics["accuracy"]["value"] == 0.5
    assert metrics["accuracy_any"]["value"] == 1
    assert "localization" not in metrics
    assert json.loads((tmp_path / "heatmaps.json").read_text(encoding="utf-8")) == []
