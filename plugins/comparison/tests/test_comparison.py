"""The comparison against scikit-learn, an independent bootstrap and simulated truth; what is wrong is named."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from medkit_comparison import tested
from medkit_comparison.area import areas
from medkit_comparison.cells import BLANK, duration, notes, overview, per_class
from medkit_comparison.command import compare, rows_of
from medkit_comparison.cost import boxes_hit
from medkit_comparison.csv_table import csv_lines
from medkit_comparison.metric import METRICS
from medkit_comparison.plot import figure_of
from medkit_comparison.statistics import Statistics, agrees
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

import medkit
from medkit.card import write_card
from medkit.errors import CheckpointError, ConfigError, DataError
from medkit.intervals import Bootstrap
from medkit.tables import read_csv, write_csv

FINDINGS = ("Mass", "Nodule", "Effusion")
IMAGES = 60
HIT = {"value": 0.4, "low": 0.3, "high": 0.55, "n": 20}


def truth(images=IMAGES, findings=FINDINGS):
    """Return (N,K) labels that belong to the images: the same in every run; every finding has both sides."""
    labels = np.random.default_rng(99).random((IMAGES, len(FINDINGS))) < 0.4
    return labels[:images, [FINDINGS.index(name) for name in findings]].astype(float)


def run(folder, seed=0, skill=1.0, findings=FINDINGS, where=range(IMAGES), data="/data", labels=None, patients=True):
    """Write the folder of a finished run: two images a patient, a small network with batch normalisation."""
    random = np.random.default_rng(seed)
    labels = truth(findings=findings) if labels is None else labels
    scores = norm.cdf(random.normal(size=labels.shape) + skill * np.nan_to_num(labels))
    rows = []
    for n in where:
        row = {"file": f"{data}/images/{n:03d}.png", "status": "ok", "reason": "", "synthetic": 0}
        row |= {"patient_id": f"P{n // 2}"} if patients else {}
        row |= {f"probability_{name}": p for name, p in zip(findings, scores[n])}
        row |= {f"label_{name}": int(v) for name, v in zip(findings, labels[n]) if not np.isnan(v)}
        rows.append(row)
    columns = ["file", "status", "reason", "synthetic", *(["patient_id"] if patients else [])]
    columns += [f"{group}_{name}" for group in ("probability", "label") for name in findings]
    write_csv(folder / "evaluation" / "predictions.csv", columns, rows)
    write_csv(folder / "history.csv", ["epoch", "seconds"], [{"epoch": 1, "seconds": 1.5}, {"epoch": 2, "seconds": 2}])
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(4, 3))
    (folder / "models").mkdir()
    torch.save(network.state_dict(), folder / "models" / "model.pt")
    write_card(folder / "models" / "model.pt", labels=list(findings), images=96)
    (folder / "metrics.json").write_text(json.dumps({"localization": {"hit_rate_iou_0_3": HIT}}))
    return folder


def table(root, *rows, **options):
    """Return the results without drawing them; a row is a name, or a name and its runs."""
    given = [{"name": row, "runs": row} if isinstance(row, str) else row for row in rows]
    places = {"run_dir": str(root), "output_dir": str(root / "out"), "rows": given}
    return medkit.handler("comparison_table", **places, **{"resamples": 200, **options}).results()


def named(results):
    return {row["name"]: row for row in results["rows"]}


def by_scikit(folder, where=slice(None)):
    rows = read_csv(folder / "evaluation" / "predictions.csv")[where]
    return np.array(
        [
            roc_auc_score(*([float(row[f"{group}_{f}"]) for row in rows] for group in ("label", "probability")))
            for f in FINDINGS
        ]
    )


def pairs_in_order(labels, scores):
    """Return the AUROC by what it means."""
    return (scores[labels == 1][:, None] > scores[labels == 0]).mean()


def values(scores):
    return [score["value"] for score in scores.values()]


# -- the numbers -------------------------------------------------------------------------------------------------------
def test_the_auroc_of_a_run_and_of_seeds_and_of_folds_is_scikit_learns(tmp_path):
    alone = by_scikit(run(tmp_path / "alone"))
    seeds = np.mean([by_scikit(run(tmp_path / f"seed{s}", seed=s + 1)) for s in range(3)], axis=0)
    halves = (range(30), range(30, 60))
    folds = np.mean(
        [by_scikit(run(tmp_path / f"fold{n}", seed=9, where=half)) for n, half in enumerate(halves)], axis=0
    )
    found = named(table(tmp_path, "alone", {"name": "seeds", "runs": "seed*"}, {"name": "folds", "runs": ["fold[01]"]}))
    for name, expected in {"alone": alone, "seeds": seeds, "folds": folds}.items():
        assert values(found[name]["auroc"]["per_class"]) == pytest.approx(expected)
        assert found[name]["auroc"]["macro"]["value"] == pytest.approx(expected.mean())
        assert (found[name]["images"], found[name]["patients"]) == (60, 30)
    assert values(found["seeds"]["difference"]["per_class"]) == pytest.approx(seeds - alone)
    assert found["seeds"]["difference"]["macro"]["value"] == pytest.approx((seeds - alone).mean())
    # over all images of folds, the reference's runs are cut as they are: whole
    assert found["folds"]["difference"]["macro"]["value"] == pytest.approx((folds - alone).mean())
    assert [n["n"] for n in found["alone"]["auroc"]["per_class"].values()] == truth().sum(axis=0).tolist()


def test_intervals_are_those_of_an_independent_bootstrap_over_patients(tmp_path):
    folders = [run(tmp_path / name, seed, skill) for name, seed, skill in (("a", 0, 0.7), ("b", 1, 1.4))]
    tables = [read_csv(folder / "evaluation" / "predictions.csv") for folder in folders]
    scores = [np.array([[float(row[f"probability_{f}"]) for f in FINDINGS] for row in rows]) for rows in tables]
    random, labels, drawn = np.random.default_rng(7), truth(), []
    for _ in range(400):
        who = random.integers(30, size=30)
        images = np.concatenate([2 * who, 2 * who + 1])
        drawn.append([np.mean([pairs_in_order(*of) for of in zip(labels[images].T, s[images].T)]) for s in scores])
    a, b = np.array(drawn).T
    found = named(table(tmp_path, "a", "b", resamples=2000))
    for score, expected in ((found["b"]["auroc"]["macro"], b), (found["b"]["difference"]["macro"], b - a)):
        assert [score["low"], score["high"]] == pytest.approx(np.percentile(expected, [2.5, 97.5]), abs=0.015)


@pytest.mark.parametrize("share", [0.5, 0.03, 0.0, 1.0])
def test_all_pairs_give_what_the_cores_sorting_gives_with_ties_and_unknown_labels(share):
    random = np.random.default_rng(4)
    labels = np.where(random.random(70) < 0.1, np.nan, random.random(70) < share)
    scores = random.integers(0, 9, 70) / 8
    boot = Bootstrap([str(n // 3) for n in range(70)], 300, 1)
    np.testing.assert_allclose(
        areas(boot, labels[:, None], scores[:, None])[0], boot.ranking(labels, scores)[0], rtol=1e-12
    )


def simulated(random, skills, spread, images=80):
    """Return one class and a row for each skill: a seed for each number of it, noise of the seeds' skill ``spread``."""
    labels = (np.arange(images) < images // 2).astype(float)
    shared = random.normal(size=images)  # what both techniques find hard
    rows = {}
    for draw, (name, (skill, seeds)) in enumerate(skills.items()):
        real = skill + spread * random.normal(size=seeds)
        scores = 0.6 * shared + 0.8 * random.normal(size=(seeds, images)) + real[:, None] * labels
        known = np.broadcast_to(labels, (seeds, images))[..., None]
        rows[name] = tested.Tested(np.ones((seeds, images), bool), known, norm.cdf(scores)[..., None], draw)
    return tested.Images(["Mass"], [], None, rows)


@pytest.mark.parametrize(("seeds", "spread", "lowest"), [(1, 0.0, 0.90), (4, 0.5, 0.85)])
def test_the_paired_interval_covers_the_true_difference_about_as_often_as_it_says(seeds, spread, lowest):
    random, skills = np.random.default_rng(5), {"a": (0.6, seeds), "b": (1.2, seeds)}
    # the mean over seeds of norm.cdf(skill / √2) is that of a normal with a larger variance
    low, high = (norm.cdf(skill / np.sqrt(2 + spread**2)) for skill, _ in skills.values())
    covered = []
    for _ in range(100):
        gain = Statistics(simulated(random, skills, spread), METRICS["auroc"], 200, 0).difference("b", "a")["macro"]
        covered.append(gain["low"] <= high - low <= gain["high"])
    assert lowest <= np.mean(covered) <= 0.99


def test_the_noise_of_training_is_in_the_interval_of_several_seeds(tmp_path):
    for seed, skill in enumerate((0.0, 0.0, 3.0, 3.0)):
        run(tmp_path / f"seed{seed}", 1, skill)
    run(tmp_path / "weak", 1, 0.0), run(tmp_path / "strong", 1, 3.0)
    found = named(table(tmp_path, "weak", "strong", {"name": "seeds", "runs": "seed*"}))
    width = {name: row["auroc"]["macro"]["high"] - row["auroc"]["macro"]["low"] for name, row in found.items()}
    assert width["seeds"] > 1.5 * max(width["weak"], width["strong"])


def test_a_copy_makes_no_difference_although_paths_and_order_differ(tmp_path):
    run(tmp_path / "a")
    other = run(tmp_path / "b", data="/elsewhere/phantom") / "evaluation" / "predictions.csv"
    lines = other.read_text().splitlines()
    other.write_text("\n".join([lines[0], *lines[:0:-1]]) + "\n")
    found = named(table(tmp_path, "a", "b"))
    assert found["a"]["auroc"] == found["b"]["auroc"]
    assert found["b"]["difference"]["macro"] == {"value": 0, "low": 0, "high": 0, "n": 60}
    assert found["b"]["difference"]["verdict"] == "no clear difference"
    assert found["a"]["difference"] is None


def test_better_helped_and_worse_hurt_against_the_named_row(tmp_path):
    for name, skill in (("worse", 0.0), ("middle", 1.2), ("better", 4.0)):
        run(tmp_path / name, 3, skill)
    report = {"name": "better", "runs": "better", "report": "-"}
    found = named(
        table(tmp_path, {"name": "worse", "runs": "worse", "report": "-"}, "middle", report, against="middle")
    )
    assert {name: row["difference"] and row["difference"]["verdict"] for name, row in found.items()} == {
        "worse": "hurt",
        "middle": None,
        "better": "helped",
    }
    assert [found[name]["agrees"] for name in ("worse", "middle", "better")] == ["yes", "", "no"]
    assert found["worse"]["auroc"]["macro"]["includes_chance"]
    assert not found["better"]["auroc"]["macro"]["includes_chance"]


def test_an_interval_of_few_positives_is_marked(tmp_path):
    labels = truth()
    labels[np.flatnonzero(labels[:, 0])[4:], 0] = 0
    run(tmp_path / "a", 1, labels=labels), run(tmp_path / "b", 2, labels=labels)
    results = table(tmp_path, "a", "b")
    header, first, _ = per_class(results)
    assert header[1] == "Mass (4)"
    assert [cell.endswith("‡") for cell in first[1:]] == [True, False, False]
    assert "‡ fewer than 5 positives or negatives: the interval says little." in list(notes(results))


@pytest.mark.parametrize(
    ("report", "found", "expected"),
    [
        *(("+", "helped", "yes"), ("+", "hurt", "no"), ("+", "no clear difference", "undecided")),
        *(("0", "no clear difference", "yes"), ("0", "hurt", "no"), ("-", "hurt", "yes")),
        *((None, "helped", ""), ("+", "", "")),
    ],
)
def test_what_a_report_found_agrees_or_not(report, found, expected):
    assert agrees(report, found) == expected


# -- which images and classes ------------------------------------------------------------------------------------------
def test_a_row_may_be_compared_with_another_than_the_others(tmp_path):
    for name, skill in (("worse", 0.0), ("middle", 1.2), ("better", 4.0)):
        run(tmp_path / name, 3, skill)
    rows = ["worse", "middle", {"name": "better", "runs": "better", "against": "middle"}]
    found = named(table(tmp_path, *rows))
    assert [found[name]["difference"]["against"] for name in ("middle", "better")] == ["worse", "middle"]
    alone = named(table(tmp_path, "middle", "better"))["better"]["difference"]
    assert found["better"]["difference"]["macro"] == alone["macro"]
    with pytest.raises(ConfigError, match=r'against "midle" is no row\. Did you mean "middle"'):
        table(tmp_path, "worse", "middle", {**rows[2], "against": "midle"})


def test_rows_of_what_was_not_run_are_left_out_by_option(tmp_path):
    for name in ("one", "two"):
        run(tmp_path / name, 3)
    rows = ["one", {"name": "absent", "runs": "absent/seed*"}, "two"]
    assert list(named(table(tmp_path, *rows, partial=True))) == ["one", "two"]
    with pytest.raises(DataError, match="absent"):
        table(tmp_path, *rows)
    for begun in ("absent/seed0/models", "plain/models"):
        (tmp_path / begun).mkdir(parents=True)
    rows += ["plain", {"name": "three", "runs": "two", "against": "absent", "report": "-"}]
    rows.remove("two")
    found = table(tmp_path, *rows, partial=True)
    assert [(row["name"], row["difference"], row["agrees"]) for row in found["rows"]] == [
        ("one", None, ""),
        ("three", None, ""),
    ]


def test_without_the_row_that_others_are_compared_with_there_are_no_differences(tmp_path):
    for name in ("one", "two"):
        run(tmp_path / name, 3)
    rows = [{"name": "baseline", "runs": "baseline*"}, "one", {"name": "two", "runs": "two", "report": "+"}]
    found = table(tmp_path, *rows, partial=True, against="baseline")
    assert [(row["difference"], row["agrees"]) for row in found["rows"]] == [(None, "")] * 2
    assert "There is no row baseline, so nothing is compared with it." in list(notes(found))
    assert [panel.get_title() for panel in figure_of(found).axes][:2] == ["Macro AUROC", "True boxes hit (IoU > 0.3)"]
    with pytest.raises(ConfigError, match='Did you mean "baseline"'):
        table(tmp_path, *rows, partial=True, against="basline")


def test_rows_that_tested_other_images_are_compared_on_those_in_common(tmp_path):
    run(tmp_path / "a", 0)
    run(tmp_path / "b", 1, where=range(20, 60))
    found = named(table(tmp_path, "a", "b"))["b"]
    expected = by_scikit(tmp_path / "b") - by_scikit(tmp_path / "a", slice(20, 60))
    assert found["difference"]["macro"]["value"] == pytest.approx(expected.mean())
    assert found["difference"]["macro"]["n"] == found["images"] == 40
    run(tmp_path / "c", 1, where=range(20))
    with pytest.raises(DataError, match='rows "c" and "b" have no test image in common'):
        table(tmp_path, "b", "c")


def test_a_class_without_both_sides_is_blank_and_named_and_unknown_labels_are_skipped(tmp_path):
    labels = truth()
    labels[:, 1], labels[::3, 0] = 0, np.nan
    results = table(tmp_path, run(tmp_path / "a", labels=labels).name, run(tmp_path / "b", 1, labels=labels).name)
    row = named(results)["a"]
    assert row["not_measurable"] == {"Nodule": "no positives"}
    assert row["auroc"]["per_class"]["Nodule"]["value"] is None
    rows = [r for r in read_csv(tmp_path / "a" / "evaluation" / "predictions.csv") if r["label_Mass"]]
    mass = roc_auc_score([int(r["label_Mass"]) for r in rows], [float(r["probability_Mass"]) for r in rows])
    assert row["auroc"]["per_class"]["Mass"]["value"] == pytest.approx(mass)
    effusion = row["auroc"]["per_class"]["Effusion"]["value"]
    assert row["auroc"]["macro"]["value"] == pytest.approx((mass + effusion) / 2)
    assert named(results)["b"]["difference"]["per_class"]["Nodule"]["value"] is None


def test_where_nothing_can_be_ranked_every_cell_is_blank(tmp_path):
    for name in "ab":
        run(tmp_path / name, labels=np.zeros_like(truth()))
    results = table(tmp_path, "a", "b")
    line = list(csv_lines(results))[1]
    assert not {key for key in line if key.startswith(("auroc", "difference")) and not key.endswith("_positives")} - {
        "auroc_includes_chance",
        "difference_images",
    }
    assert line["verdict"] == ""
    assert dict(zip(*overview(results)[::2]))["Macro AUROC"] == BLANK


def test_a_class_that_one_fold_cannot_measure_is_named(tmp_path):
    sick = [n for n in range(IMAGES) if truth()[n, 0] == 0]
    run(tmp_path / "a"), run(tmp_path / "fold0", where=sick)
    run(tmp_path / "fold1", where=[n for n in range(IMAGES) if n not in sick[:-9]])
    found = named(table(tmp_path, "a", {"name": "folds", "runs": "fold*"}))["folds"]
    assert found["not_measurable"] == {"Mass": "1 of 2 runs have not both positives and negatives"}
    assert found["auroc"]["per_class"]["Mass"]["value"] == pytest.approx(by_scikit(tmp_path / "fold1")[0])


def test_images_that_could_not_be_read_count_in_no_score_and_are_counted(tmp_path):
    run(tmp_path / "a"), run(tmp_path / "b", 1)
    path = tmp_path / "b" / "evaluation" / "predictions.csv"
    rows = read_csv(path)
    rows[0] = {**rows[0], "status": "error", "probability_Mass": ""}
    write_csv(path, list(rows[0]), rows)
    found = named(table(tmp_path, "a", "b"))
    assert (found["b"]["images"], found["b"]["not_measured"], found["b"]["difference"]["macro"]["n"]) == (59, 1, 59)
    assert (found["a"]["images"], found["a"]["not_measured"]) == (60, 0)


def test_findings_that_only_some_runs_know_are_left_out_and_named(tmp_path):
    (
        run(tmp_path / "a"),
        run(tmp_path / "b", 1, findings=("Effusion", "Mass")),
        run(tmp_path / "c", findings=("Nodule",)),
    )
    results = table(tmp_path, "a", "b")
    assert (results["findings"], results["findings_left_out"]) == (["Mass", "Effusion"], ["Nodule"])
    with pytest.raises(DataError, match="no finding in common"):
        table(tmp_path, "a", "b", "c")


def test_patients_are_in_the_predictions_or_in_a_table_or_nowhere(tmp_path):
    for name, patients in (("a", True), ("b", True), ("c", False), ("d", False)):
        run(tmp_path / name, ord(name) % 2, patients=patients)
    rows = [{"image": f"images/{n:03d}.png", "patient_id": f"P{n // 2}"} for n in range(IMAGES)]
    write_csv(tmp_path / "labels.csv", ["image", "patient_id"], rows)
    known, given = table(tmp_path, "a", "b"), table(tmp_path, "c", "d", patients=str(tmp_path / "labels.csv"))
    assert [row["auroc"] for row in known["rows"]] == [row["auroc"] for row in given["rows"]]
    write_csv(tmp_path / "one.csv", ["image", "group"], [{**row, "group": "G"} for row in rows])
    grouped = table(tmp_path, "a", "b", patients=str(tmp_path / "one.csv"))["rows"][0]
    assert (grouped["patients"], grouped["auroc"]["macro"]["low"]) == (1, None)
    nowhere = table(tmp_path, "c", "d")
    assert [(r["patients_known"], r["rows"][0]["patients"]) for r in (known, given, nowhere)] == [
        (True, 30),
        (True, 30),
        (False, 60),
    ]
    write_csv(tmp_path / "labels.csv", ["image", "patient_id"], rows[1:])
    with pytest.raises(DataError, match=r"000\.png is not in"):
        table(tmp_path, "c", "d", patients=str(tmp_path / "labels.csv"))
    with pytest.raises(DataError, match="missing or empty"):
        table(tmp_path, "c", "d", patients="nowhere.csv")


# -- what it cost ------------------------------------------------------------------------------------------------------
def test_parameters_time_images_and_boxes_are_read_from_the_run(tmp_path):
    run(tmp_path / "a"), run(tmp_path / "b")
    found = named(table(tmp_path, "a", "b"))["a"]
    parameters = (4 * 9 + 4) + (4 + 4) + (4 * 3 + 3)  # convolution, scale and shift, last layer
    assert (found["parameters"], found["seconds"], found["training_images"]) == (parameters, 3.5, 96)
    assert found["boxes"] == pytest.approx({**HIT, "hits": 8})


def test_what_a_network_takes_off_its_images_is_no_parameter(tmp_path):
    run(tmp_path / "a"), run(tmp_path / "b")
    path = tmp_path / "b" / "models" / "model.pt"
    network = torch.load(path, weights_only=True)
    torch.save(network | {"average_image": torch.ones(1, 8, 8), "network.input_scaling": torch.ones(2, 1)}, path)
    write_card(path, labels=list(FINDINGS))
    found = named(table(tmp_path, "a", "b"))
    assert found["b"]["parameters"] == found["a"]["parameters"]


def test_what_a_run_does_not_tell_is_blank(tmp_path):
    run(tmp_path / "a"), run(tmp_path / "b")
    for name in ("history.csv", "metrics.json", "models/model.pt"):
        (tmp_path / "b" / name).unlink()
    found = named(table(tmp_path, "a", "b"))["b"]
    assert [found[key] for key in ("seconds", "parameters", "training_images", "boxes")] == [None] * 4


def test_boxes_of_seeds_are_averaged_and_those_of_folds_pooled():
    more = {"value": 0.6, "low": 0.5, "high": 0.75, "n": 20}
    seeds = boxes_hit([HIT, more], "xx")
    noise = 1.96 * np.std([0.4, 0.6], ddof=1) / np.sqrt(2)
    assert (seeds["value"], seeds["n"], seeds["hits"]) == pytest.approx((0.5, 20, 10))
    assert [seeds["low"], seeds["high"]] == pytest.approx([0.5 - np.hypot(0.1, noise), 0.5 + np.hypot(0.15, noise)])
    folds = boxes_hit([HIT, {**more, "n": 60}], "xy")
    assert (folds["value"], folds["n"], folds["hits"]) == pytest.approx((0.55, 80, 44))
    assert folds["low"] == pytest.approx(0.55 - np.hypot(0.1 / 4, 0.1 * 3 / 4))
    assert boxes_hit([HIT, None], "xx") is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, ""), (0.234, "0.234 s"), (59.7, "1 min 0 s"), (7530, "2 h 5 min")]
)
def test_a_duration_is_short(seconds, text):
    assert duration(seconds) == text


# -- what is written ---------------------------------------------------------------------------------------------------
def test_the_command_prints_in_the_terminals_width_and_writes_every_file(tmp_path, monkeypatch):
    for n, name in enumerate(("a", "seed0", "seed1")):
        run(tmp_path / name / "latest", n, 2.0 * (n > 0))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "70")
    said = CliRunner().invoke(compare, ["a/latest", "vgg=seed*/latest", "--resamples", "100"], catch_exceptions=False)
    told = said.output.splitlines()
    tables = told[: told.index(next(line for line in told if line.startswith("[…]")))]
    assert max(map(len, tables)) <= 70
    assert "helped" in said.output
    assert sorted(path.name for path in Path("comparison").iterdir()) == [
        f"comparison.{form}" for form in ("csv", "json", "md", "png")
    ]
    results = json.loads(Path("comparison/comparison.json").read_text())
    with Path("comparison/comparison.csv").open(newline="", encoding="utf-8") as stream:
        lines = list(csv.DictReader(stream))
    for line, row in zip(lines, results["rows"]):
        assert float(line["auroc"]) == row["auroc"]["macro"]["value"]
        assert float(line["auroc_Nodule_high"]) == row["auroc"]["per_class"]["Nodule"]["high"]
    assert (lines[0]["difference"], lines[0]["verdict"]) == ("", "")
    assert float(lines[1]["difference_low"]) == results["rows"][1]["difference"]["macro"]["low"]
    assert (lines[1]["runs"], lines[1]["verdict"], lines[1]["boxes"]) == ("2", "helped", "20")
    figure = figure_of(results)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["Macro AUROC", "Difference to a", "True boxes hit (IoU > 0.3)", *(f"AUROC {f}" for f in FINDINGS)]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["a", "vgg"]


def test_markdown_holds_every_row_and_says_what_is_to_be_known(tmp_path):
    from medkit_comparison.markdown import markdown

    labels = truth()
    labels[:, 1] = 0
    (
        run(tmp_path / "a", skill=0, labels=labels, patients=False),
        run(tmp_path / "b", 1, 3, labels=labels, patients=False),
    )
    rows = [{"name": "a|b", "runs": "a"}, {"name": "b", "runs": "b", "report": "+", "note": "R0"}]
    text = markdown(table(tmp_path, *rows, title="Chest"))
    assert text.startswith("### Chest\n")
    assert "| a\\|b | 1 | " in text
    assert " | helped | + | yes | " in text
    assert "†" in text
    assert "Nodule (no positives)" in text
    assert "No table names the patients" in text
    assert "Tested on 60 images." in text


def test_runs_are_named_by_what_their_paths_differ_in():
    def names(*runs):
        return {row["name"]: row["runs"] for row in rows_of(runs)}

    assert list(names("runs/vgg/latest", "runs/dense/latest")) == ["vgg", "dense"]
    assert list(names("runs/vgg/1", "runs/vgg/2")) == ["1", "2"]
    assert names("x=r/1", "x=r/2", "y=r/3") == {"x": ["r/1", "r/2"], "y": ["r/3"]}
    assert list(names("base=r/0/latest", "r/vgg/latest")) == ["base", "vgg"]


# -- what is wrong -----------------------------------------------------------------------------------------------------
def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def without(*names):
    return lambda folder: [(folder / name).unlink() for name in names]


def predictions(old, new):
    return lambda folder: edit(folder / "evaluation" / "predictions.csv", old, new)


BROKEN = {
    "no folder": (shutil.rmtree, DataError, "b is no folder"),
    "no run": (lambda b: [shutil.rmtree(b), b.mkdir()], DataError, "b is no run"),
    "not trained": (without("models/model.pt", "evaluation/predictions.csv"), DataError, "stage train has not made"),
    "not fitted": (without("evaluation/predictions.csv"), DataError, "stage fit has not made models/operating_points"),
    "empty": (lambda b: (b / "evaluation" / "predictions.csv").write_text(""), DataError, "has no rows"),
    "binary": (
        lambda b: (b / "evaluation" / "predictions.csv").write_bytes(b"\0\xff" * 99),
        DataError,
        "is cut off in its last line",
    ),
    "field": (predictions("/000.png", "x" * 200_000), DataError, "cannot be read as CSV"),
    "no table": (
        lambda b: (b / "evaluation" / "predictions.csv").write_text("a,b\n1,2\n"),
        DataError,
        'no column "file"',
    ),
    "cut": (
        lambda b: (p := b / "evaluation" / "predictions.csv").write_bytes(p.read_bytes()[:-2]),
        DataError,
        "is cut off in its last line",
    ),
    "no text": (
        predictions("/000.png,ok,,0,P0,", "/000.png,ok,,0,P0,high"),
        DataError,
        '000.png the probability_.* "high',
    ),
    "no labels": (predictions("label_", "truth_"), DataError, None),
    "twice": (predictions("/001.png", "/000.png"), DataError, "images/000.png twice"),
    "other labels": (predictions("label_Mass,label_Nodule", "label_Nodule,label_Mass"), DataError, "has another label"),
    "history": (lambda b: edit(b / "history.csv", "1.5", "long"), DataError, "history.csv"),
    "metrics": (lambda b: (b / "metrics.json").write_text("{"), DataError, "is no metrics.json"),
    "card": (lambda b: edit(b / "models" / "model.json", '"sha256": "', '"sha256": "0'), CheckpointError, "sha256"),
}


@pytest.mark.parametrize(("spoil", "kind", "message"), BROKEN.values(), ids=BROKEN)
def test_a_run_that_cannot_be_compared_is_one_line(tmp_path, spoil, kind, message):
    run(tmp_path / "a"), run(tmp_path / "b", 1)
    spoil(tmp_path / "b")
    if message is None:  # one finding less is no error, but said
        assert table(tmp_path, "a", "b")["findings_left_out"] == ["Mass"]
        return
    with pytest.raises(kind, match=message) as raised:
        table(tmp_path, "a", "b")
    assert "\n" not in str(raised.value)


def test_a_run_still_to_be_evaluated_says_so(tmp_path):
    run(tmp_path / "a"), run(tmp_path / "b")
    (tmp_path / "b" / "models" / "operating_points.json").write_text("{}")
    (tmp_path / "b" / "evaluation" / "predictions.csv").unlink()
    with pytest.raises(DataError, match="stage evaluate has not made evaluation/predictions"):
        table(tmp_path, "a", "b")


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (["a"], {}, 'only "a" is there: name'),
        ([{"name": "a", "runs": "no*"}], {"partial": True}, "none is there: finish"),
        (["a", "a"], {}, "comes twice"),
        (["a", {"name": "link", "runs": "link"}], {}, "comes twice"),
        (["a", {"name": "a", "runs": "b"}], {}, 'two rows are called "a"'),
        (["a", {"name": "b", "run": "b"}], {}, 'no option "run". Did you mean "runs"'),
        (["a", {"name": "b"}], {}, 'lacks "runs"'),
        (["a", {"name": "b", "runs": "b", "report": "better"}], {}, 'report "better"'),
        (["a", "b"], {"against": "bb"}, 'Did you mean "b"'),
        (["a", "b"], {"resamples": 0}, "resamples 0"),
    ],
)
def test_a_wrong_option_is_named(tmp_path, rows, options, message):
    run(tmp_path / "a"), run(tmp_path / "b")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with pytest.raises(ConfigError, match=message):
        table(tmp_path, *rows, **options)


def test_a_pattern_takes_a_run_once_although_latest_links_to_it(tmp_path):
    run(tmp_path / "base"), run(tmp_path / "vgg" / "1", 1), run(tmp_path / "vgg" / "2", 2)
    (tmp_path / "vgg" / "latest").symlink_to("2")
    found = named(table(tmp_path, "base", {"name": "vgg", "runs": "vgg/*"}))
    assert len(found["vgg"]["runs"]) == 2
    with pytest.raises(DataError, match="no folder matches"):
        table(tmp_path, "base", {"name": "vgg", "runs": "wgg/*"})
