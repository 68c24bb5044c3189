import csv
import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from medkit_threshold_search import calibration as cal
from scipy.special import expit, logit, softmax
from sklearn.linear_model import LogisticRegression

import medkit
from medkit.errors import CheckpointError, ConfigError, DataError

FINDINGS = ["Mass", "Nodule", "Effusion"]


def part(**options):
    return medkit.postprocessor("threshold_search", findings=FINDINGS, **options)


def samples(logits, labels):
    return [{"logits": torch.tensor(x), "label": torch.tensor(y)} for x, y in zip(logits, labels)]


def honest(n=4000, seed=0):
    """Logits whose sigmoid is the true probability, and labels drawn from it; float32."""
    random = np.random.default_rng(seed)
    logits = random.normal(-1.5, 2, (n, 3)).astype(np.float32)
    return logits, (random.random((n, 3)) < expit(logits)).astype(np.float32)


def test_before_fitting_it_is_the_plain_sigmoid_at_one_half():
    out = part()({"logits": torch.tensor([-1.0, 0.0, 2.0]), "file": "a.png"})
    torch.testing.assert_close(out["probabilities"], torch.sigmoid(torch.tensor([-1.0, 0.0, 2.0])))
    assert out["probabilities"].dtype == torch.float32
    assert out["present"].tolist() == [False, True, True]
    assert out["file"] == "a.png"


def test_multiclass_is_a_softmax_also_from_half_precision():
    out = part(label_mode="multiclass")({"logits": torch.tensor([-1.0, 0.0, 2.0], dtype=torch.bfloat16)})
    torch.testing.assert_close(out["probabilities"], torch.softmax(torch.tensor([-1.0, 0.0, 2.0]), 0))


def test_calibration_undoes_what_balanced_sampling_did_to_the_logits():
    logits, labels = honest()
    search = part()
    search.fit(samples(2 * logits + 3, labels))
    np.testing.assert_allclose(search.scales, 0.5, rtol=0.1)
    np.testing.assert_allclose(search.biases, -1.5, atol=0.2)


def test_temperature_is_found():
    logits, labels = honest()
    scale, bias = cal.fit(2.5 * logits.astype(float), labels.astype(float), "temperature", False)
    np.testing.assert_allclose(1 / scale, 2.5, rtol=0.1)
    assert (bias == 0).all()


def test_platt_equals_logistic_regression():
    logits, labels = (a[:, 0].astype(float) for a in honest())
    scale, bias = cal.fit(logits[:, None], labels[:, None], "platt", False)
    theirs = LogisticRegression(C=np.inf, tol=1e-8).fit(logits[:, None], labels)
    assert scale[0] == pytest.approx(theirs.coef_[0, 0], rel=0.01)
    assert bias[0] == pytest.approx(theirs.intercept_[0], abs=0.02)


def test_multiclass_calibration_undoes_a_changed_prior():
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (4000, 3))
    truth = (softmax(logits, axis=1).cumsum(axis=1) > random.random((4000, 1))).argmax(axis=1)
    scale, bias = cal.fit(1.5 * logits + [0, 1, 2], np.eye(3)[truth], "platt", True)
    np.testing.assert_allclose(scale, 1 / 1.5, rtol=0.1)
    np.testing.assert_allclose(bias - bias[0], [0, -1 / 1.5, -2 / 1.5], atol=0.2)


def test_few_positives_share_the_scale_and_none_get_no_bias():
    logits, labels = honest()
    labels[:, 1] = 0
    labels[:5, 1] = 1
    labels[:, 2] = 0
    scale, bias = cal.fit(logits.astype(float), labels.astype(float), "platt", False)
    assert scale[1] == scale[2] != scale[0]
    assert bias[1] < -2, "five in 4,000 is rare"
    assert bias[2] == 0


def test_separable_validation_data_gives_no_certainty():
    logits = np.array([[-1.0], [-2.0], [1.0], [2.0]] * 10)
    scale, bias = cal.fit(logits, (logits > 0).astype(float), "platt", False)
    assert 0.9 < cal.probabilities(np.array([2.0]), scale, bias, False)[0] < 0.999


@pytest.mark.parametrize("calibration", cal.METHODS)
def test_the_stated_f1_is_what_the_part_then_does(calibration):
    logits, labels = honest(500)
    labels[::9] = np.nan
    search = part(calibration=calibration)
    search.fit(samples(logits, labels))
    present = torch.stack([search(sample)["present"] for sample in samples(logits, labels)]).numpy()
    for k, finding in enumerate(FINDINGS):
        known = ~np.isnan(labels[:, k])
        truth, said = labels[known, k] == 1, present[known, k]
        stated = search.state_dict()["per_finding"][finding]["validation"]
        assert stated["f1"] == pytest.approx(2 * (truth & said).sum() / (truth.sum() + said.sum()))
        assert stated["sensitivity"] == pytest.approx((truth & said).sum() / truth.sum())
        assert stated["specificity"] == pytest.approx((~truth & ~said).sum() / (~truth).sum())
        assert stated["positives"] + stated["negatives"] == known.sum()


def test_calibration_changes_no_best_f1():
    logits, labels = honest(500)
    reached = []
    for calibration in cal.METHODS:
        search = part(calibration=calibration)
        search.fit(samples(logits, labels))
        reached.append([search.validation[finding]["f1"] for finding in FINDINGS])
    np.testing.assert_allclose(reached, reached[:1] * 3)


def test_a_finding_that_validation_never_shows_keeps_one_half_and_is_named():
    logits, labels = honest(100)
    labels[:, 1] = 0
    search = part()
    search.fit(samples(logits, labels))
    assert search.thresholds[1] == 0.5
    assert search.warnings == ["Nodule is never present in validation: its threshold stays at 0.5"]
    assert search.state_dict()["per_finding"]["Nodule"]["validation"]["f1"] is None


def test_state_goes_through_json_and_gives_the_same_answers():
    logits, labels = honest(200)
    search, copy = part(rule="sensitivity", sensitivity=0.8), part(rule="sensitivity", sensitivity=0.8)
    search.fit(samples(logits, labels))
    state = json.loads(json.dumps(search.state_dict()))
    copy.load_state_dict(state)
    assert copy.state_dict() == search.state_dict()
    for sample in samples(logits[:20], labels):
        assert copy(sample)["probabilities"].equal(search(sample)["probabilities"])
        assert copy(sample)["present"].equal(search(sample)["present"])


def test_state_of_other_findings_or_options_is_refused():
    state = part().state_dict()
    other = medkit.postprocessor("threshold_search", findings=FINDINGS[::-1])
    with pytest.raises(CheckpointError, match="findings"):
        other.load_state_dict(state)
    with pytest.raises(CheckpointError, match="rule f1, not youden"):
        part(rule="youden").load_state_dict(state)


def test_mistakes_are_named():
    with pytest.raises(ConfigError, match='rule "f2" is not one of f1, f1_both, youden, sensitivity, fixed'):
        part(rule="f2")
    with pytest.raises(ConfigError, match=r"sensitivity 1\.5"):
        part(sensitivity=1.5)
    with pytest.raises(ConfigError, match=r"3 findings but the network gives logits of shape \(4,\)"):
        part()({"logits": torch.zeros(4)})
    with pytest.raises(DataError, match=r"a\.png: the network's logits are NaN"):
        part()({"logits": torch.full((3,), torch.nan), "file": "a.png"})
    with pytest.raises(DataError, match="no validation samples"):
        part().fit([])


def test_on_real_predictions_of_rare_findings_probabilities_become_honest():
    """CheXNet on NIH's test images, moved as balanced sampling moves logits: fitted on half of the patients."""
    folder = Path(os.environ.get("MEDKIT_DATA", Path(__file__).parents[4] / "shared/data"))
    table = folder / "nih_chestxray14/Data_Entry_2017_v2020.csv.gz"
    if not table.exists():
        pytest.skip(f"real data is not at {folder}: set MEDKIT_DATA")
    with (folder / "chexnet_predictions.csv").open() as file:
        predicted = {row.pop("Image Index"): row for row in csv.DictReader(file)}
    names = [name.removeprefix("prob_") for name in next(iter(predicted.values()))]
    with gzip.open(table, "rt") as file:
        rows = [row for row in csv.DictReader(file) if row["Image Index"] in predicted]
    labels = np.array([[name in row["Finding Labels"].split("|") for name in names] for row in rows], float)
    probabilities = np.array([list(map(float, predicted[row["Image Index"]].values())) for row in rows])
    half = np.array([int(row["Patient ID"]) % 2 == 0 for row in rows])
    logits = 1.5 * logit(probabilities) + 2.5

    def likelihood(method):
        scale, bias = cal.fit(logits[half], labels[half], method, False)
        p = cal.probabilities(logits[~half], scale, bias, False)
        return np.log(np.where(labels[~half] == 1, p, 1 - p)).mean()

    published = np.log(np.where(labels == 1, probabilities, 1 - probabilities)[~half]).mean()
    assert likelihood("platt") > published > likelihood("temperature") > likelihood("none")


def test_of_classes_that_exclude_each_other_the_most_probable_is_present():
    options = {"findings": ["a", "b", "c"], "label_mode": "multiclass", "rule": "most_probable"}
    part = medkit.postprocessor("threshold_search", **options, calibration="temperature")
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 60)
    logits = torch.from_numpy(rng.normal(size=(60, 3)) + 2 * np.eye(3)[truth])
    samples = [{"logits": row, "label": np.eye(3)[k]} for row, k in zip(logits, truth)]
    part.fit(samples)
    state = part.state_dict()
    assert all("threshold" not in row for row in state["per_finding"].values())
    again = medkit.postprocessor("threshold_search", **options, calibration="temperature")
    again.load_state_dict(json.loads(json.dumps(state)))
    for sample, row in zip(samples, logits):
        assert again(sample)["present"].tolist() == (row == row.max()).tolist()
    right = [bool(k == row.argmax()) for row, k in zip(logits, truth)]
    sensitivity = sum(r for r, k in zip(right, truth) if k == 0) / (truth == 0).sum()
    assert state["per_finding"]["a"]["validation"]["sensitivity"] == pytest.approx(sensitivity)
    with pytest.raises(ConfigError, match="most_probable"):
        medkit.postprocessor("threshold_search", findings=["a"], rule="most_probable")
