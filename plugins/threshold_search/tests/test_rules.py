import csv
import json

import numpy as np
import pytest
from medkit_threshold_search.rules import ThresholdRules
from sklearn.metrics import f1_score

from medkit.errors import ConfigError, DataError
from medkit.tables import read_csv, write_csv

FINDINGS = ["Nucleoli", "Centrosome", "Rods & rings"]
COLUMNS = ["file", "status", "reason", "patient_id"]
COLUMNS += [f"{group}_{name}" for group in ("probability", "present", "label") for name in FINDINGS]


def predicted(path, images, seed, prevalence=(0.4, 0.1, 0.05), failed=()):
    """Write a table of labelled images whose scores are low for rare classes."""
    random = np.random.default_rng(seed)
    labels = (random.random((images, 3)) < prevalence).astype(int)
    scores = 1 / (1 + np.exp(-(random.normal(size=labels.shape) + 2 * labels - [1, 3, 4])))
    rows = []
    for n, (truth, score) in enumerate(zip(labels, scores)):
        row = {"file": f"{n}.png", "status": "error" if n in failed else "ok", "reason": "", "patient_id": f"p{n}"}
        row |= {f"label_{name}": value for name, value in zip(FINDINGS, truth)}
        if n not in failed:
            row |= {f"probability_{name}": f"{value:.6g}" for name, value in zip(FINDINGS, score)}
            row |= {f"present_{name}": int(value >= 0.5) for name, value in zip(FINDINGS, score)}
        rows.append(row)
    write_csv(path, COLUMNS, rows)
    return labels, np.array([[float(f"{value:.6g}") for value in line] for line in scores])


def compared(folder, **options):
    rules = ThresholdRules(
        str(folder / "v.csv"), str(folder / "t.csv"), str(folder / "out"), FINDINGS, resamples=20, **options
    )
    return json.loads(rules.run().read_text(encoding="utf-8"))


def decisions(path):
    with path.open() as stream:
        rows = list(csv.DictReader(stream))
    return np.array([[int(row[f"present_{name}"] or -1) for name in FINDINGS] for row in rows])


def test_every_rule_is_measured_by_the_decisions_that_it_writes(tmp_path):
    predicted(tmp_path / "v.csv", 300, 0)
    labels, scores = predicted(tmp_path / "t.csv", 200, 1)
    found = compared(tmp_path, rules=["fixed", "f1", "f1_both", "youden", "sensitivity"])
    assert found["images"] == 200
    for rule, result in found["rules"].items():
        present = decisions(tmp_path / "out" / rule / "predictions.csv")
        np.testing.assert_array_equal(present, scores >= list(result["thresholds"].values()))
        assert result["f1"]["macro"]["value"] == pytest.approx(f1_score(labels, present, average="macro"))
        assert result["f1"]["per_class"]["Centrosome"]["n"] == labels[:, 1].sum()
        assert result["f1"]["macro"]["low"] <= result["f1"]["macro"]["value"] <= result["f1"]["macro"]["high"]
    values = {rule: result["f1"]["macro"]["value"] for rule, result in found["rules"].items()}
    assert values["f1"] > values["fixed"] + 0.1
    with (tmp_path / "out" / "rules.csv").open() as stream:
        lines = list(csv.DictReader(stream))
    assert len(lines) == 15
    assert {int(line["tp"]) + int(line["fp"]) + int(line["fn"]) + int(line["tn"]) for line in lines} == {200}


def test_thresholds_come_from_validation_alone(tmp_path):
    predicted(tmp_path / "v.csv", 300, 0)
    predicted(tmp_path / "t.csv", 200, 1)
    one = compared(tmp_path)["rules"]["f1"]["thresholds"]
    predicted(tmp_path / "t.csv", 100, 2)
    assert compared(tmp_path)["rules"]["f1"]["thresholds"] == one


def test_an_absent_class_is_named_and_in_no_mean(tmp_path):
    predicted(tmp_path / "v.csv", 100, 0, (0.4, 0.1, 0))
    labels, _ = predicted(tmp_path / "t.csv", 100, 1, (0.4, 0.3, 0))
    found = compared(tmp_path)
    assert found["not_fitted"] == found["not_measurable"] == ["Rods & rings"]
    assert found["rules"]["f1"]["thresholds"]["Rods & rings"] == 0.5
    present = decisions(tmp_path / "out" / "f1" / "predictions.csv")[:, :2]
    assert found["rules"]["f1"]["f1"]["macro"]["value"] == pytest.approx(
        f1_score(labels[:, :2], present, average="macro")
    )


def test_an_image_that_was_not_assessed_stays_in_the_table_and_counts_nowhere(tmp_path):
    predicted(tmp_path / "v.csv", 100, 0, failed=[3])
    predicted(tmp_path / "t.csv", 50, 1, failed=[7])
    assert compared(tmp_path)["images"] == 49
    present = decisions(tmp_path / "out" / "f1" / "predictions.csv")
    assert (present[7] == -1).all()
    assert (np.delete(present, 7, axis=0) >= 0).all()


def test_mistakes_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r'"f_1" is no rule\. Did you mean "f1"'):
        compared(tmp_path, rules=["f_1"])
    with pytest.raises(DataError, match=r"v\.csv is not there"):
        compared(tmp_path)
    predicted(tmp_path / "t.csv", 5, 1)
    write_csv(tmp_path / "v.csv", ["file", "status"], [{"file": "a", "status": "ok"}])
    with pytest.raises(DataError, match='no column "probability_Nucleoli"'):
        compared(tmp_path)
    predicted(tmp_path / "v.csv", 2, 1, failed=[0, 1])
    with pytest.raises(DataError, match="none of its 2 images was assessed"):
        compared(tmp_path)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("file", "0.png", "v.csv holds 0.png twice"),
        ("format", "medkit-predictions/2", 'v.csv has the format "medkit-predictions/2", this medkit reads'),
        ("probability_Nucleoli", "1.2", '1.png the probability_Nucleoli "1.2", a number from 0 to 1 was asked for'),
        ("probability_Nucleoli", "", '1.png the probability_Nucleoli "", a number from 0 to 1 was asked for'),
        ("label_Nucleoli", "2", '1.png the label_Nucleoli "2", 0 or 1 was asked for'),
    ],
)
def test_a_table_that_cannot_be_right_is_refused(tmp_path, column, value, message):
    predicted(tmp_path / "t.csv", 5, 1)
    predicted(tmp_path / "v.csv", 5, 1)
    rows = [{"format": "medkit-predictions/1", **row} for row in read_csv(tmp_path / "v.csv")]
    rows[1][column] = value
    write_csv(tmp_path / "v.csv", ["format", *COLUMNS], rows)
    with pytest.raises(DataError, match=message):
        compared(tmp_path)


def test_a_table_that_is_cut_off_is_refused(tmp_path):
    predicted(tmp_path / "t.csv", 5, 1)
    predicted(tmp_path / "v.csv", 5, 1)
    (tmp_path / "v.csv").write_bytes((tmp_path / "v.csv").read_bytes()[:-2])
    with pytest.raises(DataError, match=r"v.csv is cut off in its last line"):
        compared(tmp_path)
