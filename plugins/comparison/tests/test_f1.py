"""Macro F1 of decisions against scikit-learn, ladders of rows, and several predictions of one run."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from medkit_comparison.cells import notes, overview, per_class
from medkit_comparison.command import compare
from medkit_comparison.csv_table import csv_columns, csv_lines
from medkit_comparison.f1 import f1
from medkit_comparison.plot import figure_of
from sklearn.metrics import f1_score

import medkit
from medkit.errors import ConfigError, DataError
from medkit.intervals import Bootstrap
from medkit.tables import read_csv, write_csv

CLASSES = ("Nucleoli", "Cytosol", "Rods & rings")
IMAGES = 80
TRUTH = (np.random.default_rng(8).random((IMAGES, 3)) < (0.5, 0.3, 0.15)).astype(float)
EVALUATION, THRESHOLDS = "evaluation/predictions.csv", "thresholds/predictions.csv"


def decide(folder, seed=0, right=0.7, labels=TRUTH, where=EVALUATION, present=None):
    """Write decisions of which a share is right; two images a patient."""
    random = np.random.default_rng(seed)
    if present is None:
        present = np.where(random.random(TRUTH.shape) < right, TRUTH, 1 - TRUTH)
    rows = []
    for n, (known, decided) in enumerate(zip(labels, present)):
        row = {"file": f"cells/{n:03d}", "status": "ok", "reason": "", "synthetic": 0, "patient_id": f"P{n // 2}"}
        row |= {f"present_{name}": int(value) for name, value in zip(CLASSES, decided)}
        row |= {f"label_{name}": "" if np.isnan(value) else int(value) for name, value in zip(CLASSES, known)}
        rows.append(row)
    write_csv(folder / where, list(rows[0]), rows)
    return folder


def table(root, *rows, **options):
    given = [{"name": row, "runs": row} if isinstance(row, str) else row for row in rows]
    places = {"run_dir": str(root), "output_dir": str(root / "out"), "rows": given}
    return medkit.handler("comparison_table", **places, **{"metric": "f1", "resamples": 200, **options})


def by_scikit(folder, where=EVALUATION):
    rows = read_csv(folder / where)
    of = [[row for row in rows if row[f"label_{name}"]] for name in CLASSES]
    return np.array(
        [
            f1_score(*([int(row[f"{group}_{name}"]) for row in known] for group in ("label", "present")))
            for name, known in zip(CLASSES, of)
        ]
    )


def values(scores):
    return [score["value"] for score in scores["per_class"].values()]


# -- the numbers -------------------------------------------------------------------------------------------------------
def test_every_resample_is_scikit_learns_f1_of_the_images_repeated():
    random = np.random.default_rng(3)
    labels = (random.random((40, 4)) < (0.5, 0.06, 0.0, 0.5)).astype(float)
    labels[random.random(40) < 0.3, 0] = np.nan
    present = (random.random((40, 4)) < (0.5, 0.2, 0.2, 0.0)).astype(float)
    boot = Bootstrap([str(n // 2) for n in range(40)], 60, 1)
    expected = np.full((4, 61), np.nan)
    for r, counts in enumerate(boot.counts.astype(int)):
        images = np.repeat(np.arange(40), counts[boot.patient])
        for k in range(4):
            known = images[~np.isnan(labels[images, k])]
            if labels[known, k].any():
                expected[k, r] = f1_score(labels[known, k], present[known, k], zero_division=np.nan)
    np.testing.assert_allclose(f1(boot, labels, present), expected, rtol=1e-12)
    assert 0 < np.isnan(expected[1]).sum() < 61  # no positive drawn: not measured
    assert np.isnan(expected[2]).all()
    assert not expected[3].any()  # never decided present


def test_the_f1_of_a_row_is_the_mean_of_scikit_learns_over_its_runs(tmp_path):
    labels = TRUTH.copy()
    labels[::3, 0] = np.nan
    alone = by_scikit(decide(tmp_path / "alone", labels=labels))
    seeds = np.mean([by_scikit(decide(tmp_path / f"seed{s}", s + 1, 0.8, labels)) for s in range(3)], axis=0)
    first, second = table(tmp_path, "alone", {"name": "seeds", "runs": "seed*"}).results()["rows"]
    assert values(first["f1"]) == pytest.approx(alone)
    assert values(second["f1"]) == pytest.approx(seeds)
    assert second["f1"]["macro"]["value"] == pytest.approx(seeds.mean())
    assert second["difference"]["macro"]["value"] == pytest.approx((seeds - alone).mean())
    assert [score["n"] for score in first["f1"]["per_class"].values()] == np.nansum(labels, axis=0).tolist()


def test_a_class_without_positives_is_named_and_in_no_mean_and_one_never_found_is_0(tmp_path):
    labels, present = TRUTH.copy(), TRUTH.copy()
    labels[:, 1] = 0
    present[:, 0] = 0
    decide(tmp_path / "a", labels=labels, present=present)
    decide(tmp_path / "b", labels=labels)
    results = table(tmp_path, "a", "b").results()
    row = results["rows"][0]
    assert row["not_measurable"] == {"Cytosol": "no positives"}
    assert row["f1"]["per_class"]["Cytosol"]["value"] is None
    assert (row["f1"]["per_class"]["Nucleoli"]["value"], row["f1"]["per_class"]["Rods & rings"]["value"]) == (0, 1)
    assert (row["classes"], row["f1"]["macro"]["value"]) == (2, 0.5)
    told = list(notes(results))
    assert "Tested on 80 images of 40 patients, 2 of 3 classes in the mean." in told
    assert any("Cytosol (no positives)" in note for note in told)
    assert results["rows"][1]["difference"]["per_class"]["Cytosol"]["value"] is None


def test_a_class_that_is_always_there_has_an_f1_and_no_mark(tmp_path):
    labels = TRUTH.copy()
    labels[:, 0] = 1
    decide(tmp_path / "a", labels=labels), decide(tmp_path / "b", 1, labels=labels)
    results = table(tmp_path, "a", "b").results()
    score = results["rows"][0]["f1"]["per_class"]["Nucleoli"]
    assert score["value"] == pytest.approx(by_scikit(tmp_path / "a")[0])
    assert not score["few"]
    assert not results["rows"][0]["not_measurable"]


def test_no_interval_of_f1_is_marked_for_chance(tmp_path):
    decide(tmp_path / "a", right=0.5), decide(tmp_path / "b", 1, 0.55)
    results = table(tmp_path, "a", "b").results()
    scores = [results["rows"][0]["f1"]["macro"], *results["rows"][0]["f1"]["per_class"].values()]
    assert any(score["low"] < 0.5 < score["high"] for score in scores)
    texts = [*np.ravel(overview(results)), *np.ravel(per_class(results)), *notes(results)]
    assert not any("†" in text for text in texts)
    assert not any("chance" in column for column in csv_columns(results))


# -- ladders and several predictions of a run --------------------------------------------------------------------------
def ladder(root):
    """Write three steps: two rules of the same seeds, then other seeds; each is compared with the one before."""
    for seed in range(3):
        decide(root / "plain" / f"seed{seed}", seed, 0.6)
        decide(root / "plain" / f"seed{seed}", seed, 0.8, where=THRESHOLDS)
        decide(root / "weights" / f"seed{seed}", seed, 0.7)
    return [
        {"name": "plain", "runs": "plain/seed*"},
        {"name": "thresholds", "runs": "plain/seed*", "predictions": THRESHOLDS, "report": "+"},
        {"name": "weights", "runs": "weights/seed*", "against": "thresholds", "report": "+"},
    ]


def test_each_step_of_a_ladder_says_what_it_is_compared_with_and_whether_that_agrees(tmp_path):
    results = table(tmp_path, *ladder(tmp_path)).results()
    plain, thresholds, weights = results["rows"]
    assert [row["predictions"] for row in results["rows"]] == [EVALUATION, THRESHOLDS, EVALUATION]
    assert plain["runs"] == thresholds["runs"]
    expected = np.mean([by_scikit(tmp_path / "plain" / f"seed{s}", THRESHOLDS) for s in range(3)])
    assert thresholds["f1"]["macro"]["value"] == pytest.approx(expected)
    assert [weights["difference"]["against"], weights["difference"]["verdict"]] == ["thresholds", "hurt"]
    assert weights["difference"]["macro"]["value"] == pytest.approx(weights["f1"]["macro"]["value"] - expected)
    assert [row["agrees"] for row in results["rows"]] == ["", "yes", "no"]
    header, *lines = overview(results)
    assert header == ["", "Runs", "Macro F1", "Δ to plain", "Verdict", "Report", "Agrees"]
    assert [line[3].endswith("] to thresholds") for line in lines] == [False, False, True]
    figure = figure_of(results)
    assert [panel.get_title() for panel in figure.axes] == ["Macro F1", "Difference", *(f"F1 {c}" for c in CLASSES)]
    assert [text.get_text() for text in figure.axes[1].texts] == ["", "to plain", "to thresholds"]
    assert per_class(results)[0][0] == "F1 (positives)"


def test_rows_of_the_same_models_share_the_draws_of_seeds(tmp_path):
    """What all of a model's decisions share is not in the difference between two rules."""
    for seed, right in enumerate((0.55, 0.7, 0.95)):
        decide(tmp_path / f"seed{seed}", seed, right)
        shutil.copytree(tmp_path / f"seed{seed}" / "evaluation", tmp_path / f"seed{seed}" / "thresholds")
    rows = [{"name": "one", "runs": "seed*"}, {"name": "two", "runs": "seed*", "predictions": THRESHOLDS}]
    gain = table(tmp_path, *rows).results()["rows"][1]["difference"]
    assert gain["macro"] == {"value": 0, "low": 0, "high": 0, "n": IMAGES}


def test_a_folder_may_hold_nothing_but_the_predictions_that_its_row_names(tmp_path):
    decide(tmp_path / "a"), decide(tmp_path / "merged", 1, where="predictions.csv")
    merged = {"name": "merged", "runs": "merged", "predictions": "predictions.csv"}
    assert table(tmp_path, "a", merged).results()["rows"][1]["f1"]["macro"]["n"] == IMAGES
    with pytest.raises(DataError, match="merged is no run"):
        table(tmp_path, "a", {**merged, "predictions": EVALUATION}).results()


def test_a_partial_comparison_leaves_out_runs_without_the_named_predictions(tmp_path):
    rows = ladder(tmp_path)
    (tmp_path / "plain" / "seed1" / THRESHOLDS).unlink()
    with pytest.raises(DataError, match=r"seed1/thresholds/predictions\.csv is not there: run the stage"):
        table(tmp_path, *rows).results()
    found = table(tmp_path, *rows, partial=True).results()["rows"]
    assert [len(row["runs"]) for row in found] == [3, 2, 3]


# -- what is written, and what is wrong --------------------------------------------------------------------------------
def test_the_command_compares_by_f1_and_writes_it(tmp_path, monkeypatch):
    decide(tmp_path / "a"), decide(tmp_path / "b", 1, 0.95)
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(compare, ["a", "b", "--metric", "f1", "--resamples", "100"], catch_exceptions=False)
    assert "Macro F1" in said.output
    assert "helped" in said.output
    assert "AUROC" not in said.output + Path("comparison/comparison.md").read_text()
    results = table(tmp_path, "a", "b", resamples=100).results()
    with Path("comparison/comparison.csv").open(newline="", encoding="utf-8") as stream:
        written = list(csv.DictReader(stream))
    for line, expected in zip(written, csv_lines(results), strict=True):
        assert {key: value for key, value in line.items() if value} == {
            key: str(value) for key, value in expected.items() if value != ""
        }
    assert float(written[1]["f1_Cytosol"]) == results["rows"][1]["f1"]["per_class"]["Cytosol"]["value"]


def test_a_wrong_metric_or_the_same_predictions_twice_are_named(tmp_path):
    decide(tmp_path / "a"), decide(tmp_path / "a", where=THRESHOLDS)
    with pytest.raises(ConfigError, match=r'metric "auc" is none of auroc, f1\. Did you mean "auroc"\?'):
        table(tmp_path, "a", "a", metric="auc")
    row = {"name": "thresholds", "runs": "a", "predictions": THRESHOLDS}
    assert len(table(tmp_path, "a", row).results()["rows"]) == 2
    with pytest.raises(ConfigError, match='comes twice, in "thresholds" and "again"'):
        table(tmp_path, "a", row, {**row, "name": "again"}).results()
    with pytest.raises(ConfigError, match=r'no option "prediction"\. Did you mean "predictions"'):
        table(tmp_path, "a", {"name": "b", "runs": "a", "prediction": THRESHOLDS}).results()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("present_", "decided_", r"b/evaluation/predictions\.csv has no columns label_… and present_…"),
        (",ok,,0,P0,1", ",ok,,0,P0,0.5", r'000.* the present_.* "0\.5", 0 or 1 was asked for'),
        (",ok,,0,P0,1", ",ok,,0,P0,", r"000 has a label and no prediction"),
    ],
)
def test_predictions_without_decisions_are_one_line(tmp_path, old, new, message):
    present = np.ones_like(TRUTH)
    decide(tmp_path / "a"), decide(tmp_path / "b", present=present)
    path = tmp_path / "b" / EVALUATION
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError, match=message) as raised:
        table(tmp_path, "a", "b").results()
    assert "\n" not in str(raised.value)
