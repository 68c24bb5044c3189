"""The table against scikit-learn, numpy and an independent bootstrap; what is wrong in the files is named."""

import csv
import json

import numpy as np
import pytest
from medkit_cross_validation.plot import figure_of
from sklearn.metrics import accuracy_score, roc_auc_score

import medkit
from medkit.errors import ConfigError, DataError
from medkit.segmentation import segmentation_scores
from medkit.tables import read_csv, write_csv

BCE = {"name": "bce", "kind": "segmentation", "files": ["fold*/bce/segmentation.csv"]}
GATED = {**BCE, "name": "bce and gate", "column": "gated", "against": "bce"}
DICE = {"name": "dice", "kind": "segmentation", "files": "fold*/dice/segmentation.csv"}
CLASSIFIER = {
    "name": "cnn",
    "kind": "classification",
    "files": ["fold*/classifier/predictions.csv"],
    "negative": "normal",
}
BETTER = {**CLASSIFIER, "name": "better", "files": ["fold*/better/predictions.csv"], "against": "cnn"}
CLASSES = ("benign", "malignant", "normal")
FOLDS = 3


def images(count=90):
    """Return name, group, class and fold of each image: groups of up to two, all classes in each fold."""
    return [
        (f"{CLASSES[n % 3]}/{n}.png", f"group-{n // 6:03d}-{n % 3}", CLASSES[n % 3], n // 6 % FOLDS)
        for n in range(count)
    ]


def segmentation(folder, fold, shift=0.0, seed=0, spoil=()):
    """Write one fold's segmentation.csv and return its rows; the gate empties every normal image and no lesion."""
    random = np.random.default_rng([seed, fold])
    rows = []
    for name, group, kind, where in images():
        if where != fold:
            continue
        iou, lesion = float(np.clip(random.normal(0.6 + shift, 0.2), 0.01, 0.99)), kind != "normal"
        if not lesion:
            iou = float(random.random() < 0.4)
        hd95 = float(random.integers(1, 60)) if lesion and random.random() < 0.9 else "" if lesion or not iou else 0.0
        row = {"file": f"/data/busi/{name}", "patient_id": group, "label": kind, "status": "ok"}
        row |= {"truth_pixels": 100 * lesion, "iou": iou, "dice": 2 * iou / (1 + iou), "hd95": hd95}
        row |= {f"{key}_gated": row[key] if lesion else value for key, value in (("iou", 1), ("dice", 1), ("hd95", 0))}
        if name in spoil:
            row = {key: row[key] for key in ("file", "patient_id", "label")} | {"status": "error"}
        rows.append(row)
    columns = ["file", "patient_id", "label", "status", "truth_pixels"]
    columns += [f"{key}{end}" for end in ("", "_gated") for key in ("iou", "dice", "hd95")]
    write_csv(folder / "segmentation.csv", columns, rows)
    return rows


def predictions(folder, fold, sharpness=1.0, seed=0):
    """Write one fold's predictions.csv and return its rows."""
    random = np.random.default_rng([seed, fold])
    rows = []
    for name, _, kind, where in images():
        logits = random.normal(size=3) + sharpness * np.array([kind == c for c in CLASSES])
        if where != fold:
            continue
        row = {"file": f"/data/busi/{name}", "status": "ok"}
        row |= {f"probability_{c}": p for c, p in zip(CLASSES, np.exp(logits) / np.exp(logits).sum())}
        rows.append(row | {f"label_{c}": int(kind == c) for c in CLASSES})
    write_csv(folder / "predictions.csv", list(rows[0]), rows)
    return rows


@pytest.fixture
def folds_csv(tmp_path):
    """The division, as `medkit.folds` writes it."""
    columns = ("image", "group", "class", "fold")
    write_csv(tmp_path / "folds.csv", columns, (dict(zip(columns, row)) for row in images()))
    return str(tmp_path / "folds.csv")


@pytest.fixture
def run_dir(tmp_path, folds_csv):
    """A run of three folds: two losses and a classifier."""
    for fold in range(FOLDS):
        folder = tmp_path / f"fold{fold}"
        segmentation(folder / "bce", fold)
        segmentation(folder / "dice", fold, shift=0.1, seed=1)
        predictions(folder / "classifier", fold)
        predictions(folder / "better", fold, sharpness=3, seed=1)
    return tmp_path


def table(run_dir, *rows, plot=False, **options):
    """Return results.json; the plot takes most of the time and is drawn where it matters."""
    where = {"run_dir": str(run_dir), "output_dir": str(run_dir / "table"), "groups": str(run_dir / "folds.csv")}
    writer = medkit.handler("fold_table", **{**where, "rows": list(rows), "resamples": 300, **options})
    with pytest.MonkeyPatch.context() as patch:
        if not plot:
            patch.setattr("medkit_cross_validation.fold_table.save_plot", lambda *_: None)
        return json.loads(writer.run().read_text())


def pooled(run_dir, pattern):
    """Return the rows of all folds, by image."""
    return sorted((row for path in run_dir.glob(pattern) for row in read_csv(path)), key=lambda row: row["file"])


def values(scores):
    return {name: score["value"] for name, score in scores.items()}


# -- the numbers -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("row", "end"), [(BCE, ""), (GATED, "_gated")])
def test_a_segmentation_is_pooled_over_folds_as_numpy_pools_it(run_dir, row, end):
    found = table(run_dir, {**row, "against": None})["rows"][0]
    rows = pooled(run_dir, "fold*/bce/segmentation.csv")
    iou = np.array([float(r[f"iou{end}"]) for r in rows])
    lesion = np.array([r["truth_pixels"] != "0" for r in rows])
    distances = [float(r[f"hd95{end}"]) for r in rows if r["truth_pixels"] != "0" and r[f"hd95{end}"]]
    expected = {
        "iou_all": iou.mean(),
        "iou_lesion": iou[lesion].mean(),
        "iou_normal": iou[~lesion].mean(),
        "dice_all": np.mean([float(r[f"dice{end}"]) for r in rows]),
        "hd95_lesion": np.mean(distances),
    }
    assert values(found["scores"]) == pytest.approx(expected)
    counts = {name: score["n"] for name, score in found["scores"].items()}
    assert counts == {"iou_all": 90, "iou_lesion": 60, "iou_normal": 30, "dice_all": 90, "hd95_lesion": len(distances)}
    assert 0 < len(distances) < 60
    assert (found["images"], found["patients"], len(found["files"]), found["folds"]) == (90, 45, 3, ["0", "1", "2"])


def test_a_classification_is_pooled_over_folds_as_scikit_learn_scores_it(run_dir):
    found = table(run_dir, CLASSIFIER)["rows"][0]["scores"]
    rows = pooled(run_dir, "fold*/classifier/predictions.csv")
    truth, said = (np.array([[float(r[f"{g}_{c}"]) for c in CLASSES] for r in rows]) for g in ("label", "probability"))
    expected = {
        "accuracy": accuracy_score(truth.argmax(1), said.argmax(1)),
        "accuracy_any": accuracy_score(truth.argmax(1) == 2, said.argmax(1) == 2),
        "auroc_macro": roc_auc_score(truth, said, average="macro"),
    }
    assert values(found) == pytest.approx(expected)
    assert {score["n"] for score in found.values()} == {90}


def test_scores_and_intervals_are_those_of_the_core(run_dir):
    found = table(run_dir, BCE, GATED)["rows"]
    core = segmentation_scores(pooled(run_dir, "fold*/bce/segmentation.csv"), resamples=300)
    for row, masks in zip(found, ("plain", "gated")):
        assert row["scores"]["iou_lesion"] == core[masks]["iou"]["lesion"]
        assert row["scores"]["iou_normal"] == core[masks]["iou"]["normal"]
        assert row["scores"]["hd95_lesion"] == core[masks]["hd95"]["lesion"]
    gain = {key: found[1]["difference"]["iou_all"][key] for key in ("value", "low", "high", "n")}
    assert gain == core["gain"]["iou"]["all"]


def test_a_paired_difference_and_its_interval_agree_with_a_bootstrap_of_its_own(run_dir):
    found = table(run_dir, BCE, {**DICE, "against": "bce"}, resamples=2000)["rows"][1]["difference"]["iou_all"]
    rows = pooled(run_dir, "fold*/dice/segmentation.csv"), pooled(run_dir, "fold*/bce/segmentation.csv")
    gain = np.subtract(*([float(r["iou"]) for r in table] for table in rows))
    group = np.array([r["patient_id"] for r in rows[0]])
    members = [np.flatnonzero(group == name) for name in np.unique(group)]
    random = np.random.default_rng(7)
    drawn = [
        gain[np.concatenate([members[n] for n in random.integers(len(members), size=len(members))])].mean()
        for _ in range(4000)
    ]
    assert found["value"] == pytest.approx(gain.mean())
    assert [found["low"], found["high"]] == pytest.approx(np.percentile(drawn, [2.5, 97.5]), abs=0.008)
    assert found["n"] == 90


def test_a_difference_is_much_narrower_than_its_rows_where_they_err_alike(run_dir):
    for fold in range(FOLDS):
        rows = read_csv(run_dir / f"fold{fold}" / "bce" / "segmentation.csv")
        shifted = [{**row, "iou": float(row["iou"]) + 0.005 + 0.001 * n} for n, row in enumerate(rows)]
        write_csv(run_dir / f"fold{fold}" / "dice" / "segmentation.csv", list(rows[0]), shifted)
    row = table(run_dir, BCE, {**DICE, "against": "bce"})["rows"][1]
    width = {key: row[key]["iou_all"]["high"] - row[key]["iou_all"]["low"] for key in ("scores", "difference")}
    assert width["difference"] < width["scores"] / 5
    assert row["difference"]["iou_all"]["verdict"] == "above 0"


def test_the_verdict_says_on_which_side_of_zero_the_interval_lies(run_dir):
    rows = [
        BCE,
        GATED,
        {**BCE, "name": "again", "against": "bce"},
        {**GATED, "name": "g"},
        {**BCE, "name": "p", "against": "g"},
    ]
    found = {row["name"]: row.get("difference") for row in table(run_dir, *rows)["rows"]}
    assert found["bce"] is None
    assert found["bce and gate"]["iou_normal"]["verdict"] == "above 0"
    assert found["bce and gate"]["iou_lesion"]["verdict"] == "includes 0"
    assert found["p"]["iou_normal"]["verdict"] == "below 0"
    assert {(g["value"], g["low"], g["high"], g["verdict"]) for g in found["again"].values()} == {
        (0, 0, 0, "includes 0")
    }


def test_a_difference_of_distances_is_over_lesions_that_both_found(run_dir):
    found = table(run_dir, BCE, {**DICE, "against": "bce"})["rows"][1]["difference"]["hd95_lesion"]
    pairs = zip(*(pooled(run_dir, f"fold*/{name}/segmentation.csv") for name in ("dice", "bce")))
    gains = [
        float(a["hd95"]) - float(b["hd95"]) for a, b in pairs if a["truth_pixels"] != "0" and a["hd95"] and b["hd95"]
    ]
    assert (found["value"], found["n"]) == (pytest.approx(np.mean(gains)), len(gains))


def test_a_score_that_is_perfect_on_few_images_is_not_certain(run_dir):
    found = table(run_dir, {**GATED, "against": None})["rows"][0]["scores"]["iou_normal"]
    assert (found["value"], found["high"], found["n"]) == (1, 1, 30)
    assert found["low"] == pytest.approx(0.025 ** (1 / 15))  # fifteen groups of normal images


def test_scores_are_averaged_over_seeds_image_by_image(run_dir):
    for seed in range(3):
        for fold in range(FOLDS):
            segmentation(run_dir / f"seed{seed}" / f"fold{fold}", fold, seed=seed)
            predictions(run_dir / f"seed{seed}" / f"fold{fold}", fold, seed=seed)
    over = {"files": "seed*/fold*/segmentation.csv"}, {"files": "seed*/fold*/predictions.csv"}
    together = table(run_dir, {**BCE, **over[0]}, {**CLASSIFIER, **over[1]})["rows"]
    alone = [
        table(
            run_dir,
            *(
                {**row, "files": f"seed{seed}/fold*/{name}"}
                for row, name in ((BCE, "segmentation.csv"), (CLASSIFIER, "predictions.csv"))
            ),
        )["rows"]
        for seed in range(3)
    ]
    for n, names in enumerate(
        (("iou_all", "iou_lesion", "iou_normal", "dice_all"), ("accuracy", "accuracy_any", "auroc_macro"))
    ):
        assert (together[n]["seeds"], together[n]["images"]) == (["seed0", "seed1", "seed2"], 90)
        for name in names:
            each = [rows[n]["scores"][name]["value"] for rows in alone]
            assert together[n]["scores"][name]["value"] == pytest.approx(np.mean(each))
            assert len(set(each)) == 3
    width = [row[0]["scores"]["iou_all"]["high"] - row[0]["scores"]["iou_all"]["low"] for row in (together, alone[0])]
    assert width[0] < width[1]


def test_images_without_an_assessment_count_in_no_score_and_are_counted(run_dir):
    segmentation(run_dir / "fold0" / "bce", 0, spoil=("benign/0.png", "normal/2.png"))
    found = table(run_dir, BCE, {**DICE, "against": "bce"})["rows"]
    assert (found[0]["images"], found[0]["not_measured"], found[0]["scores"]["iou_all"]["n"]) == (90, 2, 88)
    assert (found[0]["scores"]["iou_lesion"]["n"], found[0]["scores"]["iou_normal"]["n"]) == (59, 29)
    assert (found[1]["not_measured"], found[1]["difference"]["iou_all"]["n"]) == (0, 88)
    assert "2 not measured" in (run_dir / "table" / "table.md").read_text()
    for fold in range(FOLDS):
        segmentation(run_dir / f"fold{fold}" / "bce", fold, spoil=[name for name, *_ in images()])
    with pytest.raises(DataError, match="none of its 90 images could be measured"):
        table(run_dir, BCE)


def test_without_groups_the_patients_are_those_of_the_file(run_dir):
    first = table(run_dir, BCE)["rows"][0]
    second = table(run_dir, BCE, groups=None)["rows"][0]
    assert first["scores"] == second["scores"]
    assert (second["patients"], second["folds"]) == (45, [])
    with pytest.raises(DataError, match=r'classifier/predictions\.csv has no column "patient_id": give groups'):
        table(run_dir, CLASSIFIER, groups=None)


def test_what_cannot_be_measured_says_so_and_leaves_the_rest(run_dir):
    for fold in range(FOLDS):
        file = run_dir / f"fold{fold}" / "bce" / "segmentation.csv"
        rows = [row for row in read_csv(file) if row["label"] != "normal"]
        write_csv(file, list(rows[0]), rows)
    score = table(run_dir, BCE)["rows"][0]["scores"]["iou_normal"]
    assert score == {"value": None, "low": None, "high": None, "n": 0, "reason": "no such image"}
    assert "| – |" in (run_dir / "table" / "table.md").read_text()


# -- what is written ---------------------------------------------------------------------------------------------------
CURVE = {
    "name": "bce",
    "kind": "segmentation",
    "points": [
        {"images": 400, "files": ["fold*/dice/segmentation.csv"]},
        {"images": 54, "files": ["fold0/bce/segmentation.csv"]},
    ],
}


def test_a_learning_curve_is_ordered_by_size_and_need_not_cover_all_folds(run_dir):
    results = table(run_dir, DICE, learning_curve=CURVE)
    points = results["learning_curve"]["points"]
    assert [(p["training_images"], p["images"]) for p in points] == [(54, 30), (400, 90)]
    assert points[1]["scores"] == results["rows"][0]["scores"]
    text = (run_dir / "table" / "table.md").read_text()
    assert [line.split(" | ")[0] for line in text.splitlines() if line.startswith(("| 54", "| 400"))] == [
        "| 54",
        "| 400",
    ]


def test_every_file_is_written_and_equal_files_make_equal_bytes(run_dir):
    names = ("results.json", "results.csv", "table.md", "plot.png", "plot.svg")
    arguments = (BCE, GATED, DICE, CLASSIFIER, BETTER)
    options = {"baseline": "bce", "title": "A $title$ | of <it>", "learning_curve": CURVE, "plot": True}
    table(run_dir, *arguments, **options)
    first = {name: (run_dir / "table" / name).read_bytes() for name in names}
    assert sorted(path.name for path in (run_dir / "table").iterdir()) == sorted(names)
    table(run_dir, *arguments, **options)
    assert {name: (run_dir / "table" / name).read_bytes() for name in names} == first
    assert first["plot.png"].startswith(b"\x89PNG")
    assert b"<dc:date>" not in first["plot.svg"]


def test_slices_of_a_volume_count_each_and_belong_to_its_group(tmp_path):
    classes = ("no", "yes")
    columns = ("image", "group", "class", "fold")
    volumes = [(f"{classes[n % 2]}/v{n}.nii.gz", f"g{n // 2}", classes[n % 2], n // 2 % 3) for n in range(12)]
    write_csv(tmp_path / "folds.csv", columns, (dict(zip(columns, row)) for row in volumes))
    for fold in range(3):
        rows = [
            {"file": f"/data/{name}#axial:{index}", "status": "ok"}
            | {f"{kind}_{c}": int(c == truth) for c in classes for kind in ("label", "probability")}
            for name, _, truth, tested in volumes
            if tested == fold
            for index in (10, 11)
        ]
        write_csv(tmp_path / f"fold{fold}.csv", list(rows[0]), rows)
    row = table(tmp_path, {"name": "cut", "kind": "classification", "files": "fold[0-9].csv"})["rows"][0]
    assert (row["images"], row["patients"], row["folds"]) == (24, 6, ["0", "1", "2"])
    assert row["scores"]["accuracy"]["n"] == 24


def test_a_share_of_the_training_set_becomes_images(run_dir):
    points = [
        {"images": 1, "files": "fold*/dice/segmentation.csv"},
        {"images": 0.5, "files": "fold*/bce/segmentation.csv"},
    ]
    curve = table(run_dir, DICE, learning_curve={**CURVE, "points": points})
    images = len(read_csv(run_dir / "folds.csv"))
    sizes = [p["training_images"] for p in curve["learning_curve"]["points"]]
    assert sizes == [round(share * images * (FOLDS - 2) / FOLDS) for share in (0.5, 1)]
    with pytest.raises(ConfigError, match="is a share"):
        table(run_dir, DICE, learning_curve={**CURVE, "points": points}, groups=None)


def test_the_plot_has_a_panel_a_score_with_each_value_and_its_interval(run_dir):
    for fold in range(FOLDS):  # no normal image: nothing to show for them
        file = run_dir / f"fold{fold}" / "bce" / "segmentation.csv"
        write_csv(file, list(read_csv(file)[0]), [row for row in read_csv(file) if row["label"] != "normal"])
    results = table(run_dir, BCE, GATED, CLASSIFIER, learning_curve={**CURVE, "points": CURVE["points"][1:]})
    panels = figure_of(results).axes
    segmentation_titles = ["Mean IoU", "Mean IoU, lesion images", "Mean IoU, normal images", "Dice"]
    segmentation_titles += ["HD95 of lesions found (px)"]
    classification_titles = ["Accuracy", "Accuracy, anything or nothing", "AUROC, mean over classes"]
    assert [p.get_title() for p in panels] == [*segmentation_titles, *classification_titles, *segmentation_titles]
    assert [text.get_text() for text in panels[0].get_yticklabels()] == ["bce", "bce and gate"]
    score = results["rows"][2]["scores"]["accuracy"]
    (drawn,) = panels[5].containers
    ((low, _), (high, _)) = drawn.lines[2][0].get_segments()[0]
    assert [low, drawn.lines[0].get_xdata()[0], high] == pytest.approx([score[k] for k in ("low", "value", "high")])
    assert [len(panel.containers) for panel in panels[:3]] == [2, 2, 0]
    assert panels[8].containers[0].lines[0].get_xydata()[0] == pytest.approx(
        [54, results["learning_curve"]["points"][0]["scores"]["iou_all"]["value"]]
    )


def test_the_csv_file_holds_what_the_json_file_holds(run_dir):
    results = table(run_dir, BCE, GATED, CLASSIFIER, learning_curve=CURVE)
    with (run_dir / "table" / "results.csv").open() as stream:
        lines = {(r["table"], r["name"], r["score"]): r for r in csv.DictReader(stream)}
    assert len(lines) == 5 + 5 + 3 + 2 * 5
    score, gain = (results["rows"][1][key]["iou_normal"] for key in ("scores", "difference"))
    line = lines["rows", "bce and gate", "iou_normal"]
    assert [float(line[key]) for key in ("value", "low", "high", "n")] == [
        score[key] for key in ("value", "low", "high", "n")
    ]
    assert [line["against"], line["verdict"], float(line["difference_low"])] == ["bce", "above 0", gain["low"]]
    assert lines["rows", "cnn", "accuracy"]["verdict"] == ""
    assert lines["learning_curve", "bce, 54 images", "iou_all"]["training_images"] == "54"


def test_the_markdown_table_shows_value_interval_count_and_difference(run_dir):
    rows = table(run_dir, BCE, {**GATED, "name": "with | bar"}, CLASSIFIER)["rows"]
    lines = (run_dir / "table" / "table.md").read_text().splitlines()
    score, gain = (rows[1][key]["iou_normal"] for key in ("scores", "difference"))
    line = next(line for line in lines if line.startswith("| with \\| bar<br>Δ against bce |"))
    assert f"| 1.000 [{score['low']:.3f}, 1.000], 30<br>Δ {gain['value']:+.3f} [{gain['low']:+.3f}, " in line
    assert {line.count(" | ") for line in lines if line.startswith(("| Segmentation", "| bce"))} == {6}


def test_the_baseline_is_for_rows_of_its_kind_that_name_none(run_dir):
    rows = table(run_dir, DICE, BCE, GATED, CLASSIFIER, baseline="dice")["rows"]
    assert [row.get("against") for row in rows] == [None, "dice", "bce", None]


# -- what is wrong -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([], {}, "there are no rows"),
        ([BCE, BCE], {}, 'two rows are called "bce"'),
        ([{**BCE, "kind": "segmentaton"}], {}, 'Did you mean "segmentation"'),
        ([{**BCE, "column": "gate"}], {}, 'Did you mean "gated"'),
        ([{**BCE, "colum": "gated"}], {}, 'a row has no option "colum". Did you mean "column"'),
        ([{"name": "x", "kind": "segmentation"}], {}, 'a row lacks "files"'),
        ([{**BCE, "files": []}], {}, "give patterns relative to run_dir"),
        ([{**BCE, "files": "/a/*.csv"}], {}, "give patterns relative to run_dir"),
        ([BCE, {**DICE, "against": "bcee"}], {}, 'against "bcee" is no row. Did you mean "bce"'),
        ([BCE, DICE], {"baseline": "bces"}, 'baseline "bces" is no row. Did you mean "bce"'),
        ([BCE, {**CLASSIFIER, "against": "bce"}], {}, "compare like with like"),
        ([{**CLASSIFIER, "negative": "norml"}], {}, 'Did you mean "normal"'),
        ([BCE], {"resamples": 0}, "resamples 0"),
        ([BCE], {"learning_curve": {**CURVE, "points": [{"images": 0, "files": "x"}]}}, "different numbers above 0"),
        ([BCE], {"learning_curve": {**CURVE, "points": [{"image": 5, "files": "x"}]}}, 'Did you mean "images"'),
        ([BCE], {"learning_curve": {**CURVE, "points": []}}, "give patterns"),
        ([BCE], {"learning_curve": {**CURVE, "against": "bce"}}, 'the learning curve has no option "against"'),
    ],
)
def test_a_wrong_option_is_named(run_dir, rows, options, message):
    with pytest.raises(ConfigError, match=message.replace(".", "\\.")):
        table(run_dir, *rows, **options)


def test_a_pattern_that_matches_nothing_is_named(run_dir):
    with pytest.raises(DataError, match=r'row "bce": no file matches fold\*/bcee/\*\.csv in .*: run the stage'):
        table(run_dir, {**BCE, "files": ["fold*/bce/*.csv", "fold*/bcee/*.csv"]})


def test_a_missing_fold_is_named_where_folds_csv_tells(run_dir):
    with pytest.raises(DataError, match=r'row "bce" lacks fold 1 of .*folds\.csv, found 2 files'):
        table(run_dir, {**BCE, "files": "fold[02]/bce/*.csv"})
    assert table(run_dir, {**BCE, "files": "fold[02]/bce/*.csv"}, groups=None)["rows"][0]["images"] == 60


def test_an_image_that_is_tested_twice_is_named(run_dir):
    with pytest.raises(DataError, match=r"is tested twice, in fold0/bce/segmentation\.csv and fold0/dice/"):
        table(run_dir, {**BCE, "files": ["fold*/bce/*.csv", "fold0/dice/*.csv"]})
    assert table(run_dir, {**BCE, "files": ["fold*/bce/*.csv", "fold0/bce/*.csv"]})["rows"][0]["images"] == 90


def test_rows_that_are_compared_test_the_same_images(run_dir):
    file = run_dir / "fold0" / "dice" / "segmentation.csv"
    rows = read_csv(file)
    write_csv(file, list(rows[0]), rows[1:])
    with pytest.raises(DataError, match=r'row "dice" lacks 1 images that row "bce" has \(benign/0\.png\)'):
        table(run_dir, BCE, {**DICE, "against": "bce"})
    table(run_dir, BCE, DICE)


def test_seeds_test_the_same_images(run_dir):
    for seed, fold in ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1)):
        segmentation(run_dir / f"seed{seed}" / f"fold{fold}", fold)
    with pytest.raises(DataError, match='row "bce", seed1 lacks 30 images that another seed has'):
        table(run_dir, {**BCE, "files": "seed*/fold*/segmentation.csv"})


@pytest.mark.parametrize("column", ["file", "status", "truth_pixels", "iou_gated", "hd95_gated"])
def test_a_missing_column_is_named(run_dir, column):
    file = run_dir / "fold1" / "bce" / "segmentation.csv"
    rows = read_csv(file)
    write_csv(file, [name for name in rows[0] if name != column], rows)
    with pytest.raises(DataError, match=f'fold1/bce/segmentation.csv has no column "{column}"'):
        table(run_dir, {**GATED, "against": None})


def test_a_table_of_another_kind_is_named(run_dir):
    with pytest.raises(DataError, match="is it a table of classification"):
        table(run_dir, {**CLASSIFIER, "files": BCE["files"]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label_benign": 1, "label_normal": 1}, "an image has several classes or none"),
        ({"probability_normal": "high"}, '"high" in column "probability_normal" is not a number'),
        ({"file": "/data/busi/other/1.png"}, r"/data/busi/other/1\.png is not in .*folds\.csv"),
    ],
)
def test_a_wrong_cell_is_named(run_dir, change, message):
    file = run_dir / "fold0" / "classifier" / "predictions.csv"
    rows = read_csv(file)
    write_csv(file, list(rows[0]), [{**rows[0], **change}, *rows[1:]])
    with pytest.raises(DataError, match=message):
        table(run_dir, CLASSIFIER)


def test_a_file_without_images_and_other_classes_are_named(run_dir):
    file = run_dir / "fold2" / "classifier" / "predictions.csv"
    rows = [{name.replace("malignant", "cyst"): cell for name, cell in row.items()} for row in read_csv(file)]
    write_csv(file, list(rows[0]), rows)
    with pytest.raises(DataError, match="are about different classes"):
        table(run_dir, CLASSIFIER)
    write_csv(file, list(rows[0]), [])
    with pytest.raises(DataError, match=r"fold2/classifier/predictions\.csv holds no image"):
        table(run_dir, CLASSIFIER)


@pytest.mark.parametrize(
    ("columns", "message"), [(("image", "group"), 'no column "fold"'), ((), "is missing or empty")]
)
def test_a_wrong_folds_file_is_named(run_dir, columns, message):
    write_csv(run_dir / "folds.csv", columns, [dict.fromkeys(columns, "x")] if columns else [])
    with pytest.raises(DataError, match=message):
        table(run_dir, BCE)
