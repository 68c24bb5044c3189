"""Several findings an image: AUROC within folds against scikit-learn, and a bootstrap within folds of its own."""

import csv
import json

import numpy as np
import pytest
from medkit_cross_validation.plot import figure_of
from medkit_cross_validation.within_folds import WithinFolds
from sklearn.metrics import roc_auc_score

import medkit
from medkit.errors import DataError
from medkit.tables import read_csv, write_csv

FINDINGS = ("Mass", "Edema", "Hernia")
IMAGES, FOLDS = 120, 3
CNN = {"name": "cnn", "kind": "multilabel", "files": "cnn/fold*.csv"}
VGG = {**CNN, "name": "vgg", "files": "vgg/fold*.csv"}


def truth():
    """Return labels (N,3), patients and folds: two images a patient; no Hernia in fold 2, some Edema unknown."""
    random = np.random.default_rng(0)
    labels = (random.random((IMAGES, 3)) < [0.4, 0.25, 0.2]).astype(float)
    patients = np.arange(IMAGES) // 2
    fold = patients % FOLDS
    labels[fold == 2, 2] = 0
    labels[::11, 1] = np.nan
    return labels, patients, fold


def predicted(sharpness, seed):
    """Return probabilities (N,3); the folds' models are calibrated differently, which pooling would punish."""
    labels, _, fold = truth()
    logits = np.random.default_rng(seed).normal(size=labels.shape) + sharpness * np.nan_to_num(labels)
    return 1 / (1 + np.exp(-(logits + 2.0 * fold[:, None])))


def write(folder, name, sharpness, seed, spoil=(), fold=None):
    labels, _, own = truth()
    probabilities = predicted(sharpness, seed).round(6)
    fold = own if fold is None else fold
    for number in range(FOLDS):
        rows = []
        for n in np.flatnonzero(fold == number):
            row = {"file": f"/elsewhere/{n}.png", "status": "error" if n in spoil else "ok"}
            row |= {f"probability_{f}": "" if n in spoil else p for f, p in zip(FINDINGS, probabilities[n])}
            rows.append(row | {f"label_{f}": "" if np.isnan(v) else int(v) for f, v in zip(FINDINGS, labels[n])})
        write_csv(folder / name / f"fold{number}.csv", list(rows[0]), rows)


@pytest.fixture
def run_dir(tmp_path):
    _, patients, fold = truth()
    rows = [{"image": f"{n}.png", "group": f"p{patients[n]}", "class": "", "fold": fold[n]} for n in range(IMAGES)]
    write_csv(tmp_path / "folds.csv", list(rows[0]), rows)
    write(tmp_path, "cnn", 1, 1)
    write(tmp_path, "vgg", 3, 2)
    return tmp_path


def table(run_dir, *rows, resamples=200, **options):
    where = {"run_dir": str(run_dir), "output_dir": str(run_dir / "table"), "groups": str(run_dir / "folds.csv")}
    writer = medkit.handler("fold_table", **where, rows=list(rows), resamples=resamples, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("medkit_cross_validation.fold_table.save_plot", lambda *_: None)
        return json.loads(writer.run().read_text())


def areas(probabilities):
    """Return scikit-learn's AUROC (3,), each finding within each fold, averaged over the folds that have both sides."""
    labels, _, fold = truth()
    found = np.full((FOLDS, 3), np.nan)
    for number in range(FOLDS):
        for k in range(3):
            kept = (fold == number) & ~np.isnan(labels[:, k])
            if len(set(labels[kept, k])) == 2:
                found[number, k] = roc_auc_score(labels[kept, k], probabilities[kept, k])
    return np.nanmean(found, axis=0)


def test_each_finding_is_scored_within_folds_as_scikit_learn_scores_it(run_dir):
    row = table(run_dir, CNN)["rows"][0]
    expected = areas(predicted(1, 1).round(6))
    found = {name: score["value"] for name, score in row["scores"].items()}
    assert [found[f"auroc_{name}"] for name in FINDINGS] == pytest.approx(expected)
    assert found["auroc_within_folds"] == pytest.approx(expected[:2].mean())  # Hernia is not in every fold
    assert row["lacking"] == {"Hernia": 1}
    labels, *_ = truth()
    assert [row["scores"][f"auroc_{f}"]["n"] for f in FINDINGS] == np.nansum(labels, axis=0).tolist()
    assert (row["scores"]["auroc_within_folds"]["n"], row["patients"], row["not_measured"]) == (IMAGES, 60, 0)


def test_the_interval_is_that_of_patients_drawn_within_folds(run_dir):
    score = table(run_dir, CNN, resamples=1000)["rows"][0]["scores"]["auroc_Mass"]
    labels, patients, fold = truth()
    mass, said, random, drawn = labels[:, 0] == 1, predicted(1, 1)[:, 0], np.random.default_rng(5), []
    for _ in range(500):
        found = []
        for number in range(FOLDS):
            chosen = random.choice(np.unique(patients[fold == number]), 20)
            draw = np.concatenate([np.flatnonzero(patients == patient) for patient in chosen])
            positive, negative = said[draw][mass[draw]], said[draw][~mass[draw]]
            found.append((positive[:, None] > negative).mean())
        drawn.append(np.mean(found))
    assert [score["low"], score["high"]] == pytest.approx(np.percentile(drawn, [2.5, 97.5]), abs=0.025)


def test_every_resample_has_as_many_patients_of_each_fold_as_there_are():
    fold = np.array([0, 0, 0, 1, 1, 2, 2])
    boot = WithinFolds(["a", "a", "b", "c", "", "d", "c"], fold, 50, seed=1)
    sizes = {number: len(np.unique(boot.patient[fold == number])) for number in range(3)}
    assert sizes == {0: 2, 1: 2, 2: 2}
    of_unit = dict(zip(boot.patient, fold))
    for counts in boot.counts:
        assert [sum(counts[u] for u in of_unit if of_unit[u] == f) for f in range(3)] == [2, 2, 2]
    assert len(np.unique(boot.counts, axis=0)) > 10
    assert (boot.counts[0] == 1).all()


def test_a_difference_is_paired_and_of_the_same_findings(run_dir):
    rows = table(run_dir, CNN, {**VGG, "against": "cnn"})["rows"]
    difference = rows[1]["difference"]["auroc_within_folds"]
    values = [row["scores"]["auroc_within_folds"]["value"] for row in rows]
    assert difference["value"] == pytest.approx(values[1] - values[0])
    assert (difference["verdict"], difference["n"]) == ("above 0", IMAGES)
    same = table(run_dir, CNN, {**CNN, "name": "again", "against": "cnn"})["rows"][1]["difference"]
    assert {(gain["value"], gain["low"], gain["high"]) for gain in same.values()} == {(0, 0, 0)}


def test_images_that_one_row_did_not_measure_count_in_no_difference(run_dir):
    write(run_dir, "vgg", 2, 2, spoil=(0, 1))
    rows = table(run_dir, CNN, {**VGG, "against": "cnn"})["rows"]
    assert [row["not_measured"] for row in rows] == [0, 2]
    assert rows[1]["difference"]["auroc_within_folds"]["n"] == IMAGES - 2


def test_scores_are_averaged_over_seeds(run_dir):
    for seed in (1, 2):
        write(run_dir, f"seed{seed}", 1, seed)
    row = table(run_dir, {**CNN, "files": "seed*/fold*.csv"})["rows"][0]
    expected = np.mean([areas(predicted(1, seed).round(6)) for seed in (1, 2)], axis=0)
    assert [row["scores"][f"auroc_{f}"]["value"] for f in FINDINGS] == pytest.approx(expected)


def test_models_of_other_folds_are_not_mixed(run_dir):
    _, patients, _ = truth()
    for name in ("seed2", "vgg"):
        write(run_dir, name, 1, 2, fold=patients // 20)
    write(run_dir, "seed1", 1, 1)
    with pytest.raises(DataError, match='rows "vgg" and "cnn" have other folds'):
        table(run_dir, CNN, {**VGG, "against": "cnn"})
    with pytest.raises(DataError, match="the seeds divide the images into other folds"):
        table(run_dir, {**CNN, "files": "seed*/fold*.csv"})


def test_a_finding_that_no_fold_can_measure_says_so(run_dir):
    for path in run_dir.glob("cnn/*.csv"):
        with path.open() as stream:
            rows = [{**row, "label_Edema": 0} for row in csv.DictReader(stream)]
        write_csv(path, list(rows[0]), rows)
    row = table(run_dir, CNN)["rows"][0]
    score = row["scores"]["auroc_Edema"]
    assert (score["value"], score["n"], score["reason"]) == (None, 0, "no fold has positives and negatives")
    assert row["lacking"] == {"Edema": 3, "Hernia": 1}
    assert row["scores"]["auroc_within_folds"]["value"] == row["scores"]["auroc_Mass"]["value"]


def test_the_table_has_a_line_a_finding_and_names_what_the_mean_leaves_out(run_dir):
    results = table(run_dir, CNN, {**VGG, "against": "cnn"})
    text = (run_dir / "table" / "table.md").read_text()
    lines = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("|")]
    assert lines[2:] == ["| Images", "| AUROC within folds, mean over findings", *(f"| {name}" for name in FINDINGS)]
    assert "| Multilabel | cnn | vgg<br>Δ against cnn |" in text
    assert "cnn: not in the mean, for some folds cannot measure them: Hernia (1 of 3 folds)." in text
    with (run_dir / "table" / "results.csv").open() as stream:
        scores = [row["score"] for row in csv.DictReader(stream)]
    assert scores == 2 * ["auroc_within_folds", *(f"auroc_{name}" for name in FINDINGS)]
    titles = [panel.get_title() for panel in figure_of(results).axes]
    assert titles == ["AUROC within folds, mean over findings", *FINDINGS]


@pytest.mark.parametrize("label", ["2", "0.5"])
def test_a_label_that_is_none_is_named(run_dir, label):
    path = run_dir / "cnn" / "fold0.csv"
    with path.open() as stream:
        rows = list(csv.DictReader(stream))
    write_csv(path, list(rows[0]), [{**rows[0], "label_Mass": label}, *rows[1:]])
    with pytest.raises(DataError, match='row "cnn": a label is neither 0, 1 nor blank'):
        table(run_dir, CNN)


def test_a_table_of_a_newer_version_is_refused(run_dir):
    path = run_dir / "cnn" / "fold1.csv"
    rows = [row | {"format": "medkit-predictions/2"} for row in read_csv(path)]
    write_csv(path, list(rows[0]), rows)
    with pytest.raises(DataError, match=r'cnn/fold1\.csv has the format "medkit-predictions/2", this medkit reads'):
        table(run_dir, CNN, resamples=2)
