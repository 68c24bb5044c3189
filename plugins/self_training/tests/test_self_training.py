"""Division by patient, the rule by hand and by brute force, its precision, its errors, and two rounds."""

import json
import math
import re
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from medkit_self_training.selection import most_confident, precision
from monai.bundle import ConfigParser

import medkit
from medkit.card import write_card
from medkit.errors import CheckpointError, ConfigError, DataError
from medkit.files import sha256, write_json
from medkit.tables import read_csv, write_csv
from medkit.trust import audit

FINDINGS = ["Mass", "Nodule"]
nan = math.nan


# -- labelled_part -----------------------------------------------------------------------------------------------------
SAMPLES = [
    {"image": f"{n}.png", "label": np.array([n % 2, n % 3 == 0], np.float32), "boxes": np.zeros((0, 5)),
     "patient_id": f"p{n // 3}", "synthetic": True}
    for n in range(60)
]  # fmt: skip


def part(name, data=SAMPLES, labelled=0.3, **options):
    options |= {"data": data, "labelled": labelled, "part": name}
    return medkit.dataset("labelled_part", "training", dataset_dir=".", **options)


def test_a_share_of_the_patients_keeps_its_labels_and_the_parts_are_all():
    labelled, unlabelled, everything = part("labelled"), part("unlabelled"), part("all")
    patients = [{sample["patient_id"] for sample in some} for some in (labelled, unlabelled)]
    assert [len(one) for one in patients] == [6, 14]  # of 20
    assert not patients[0] & patients[1]
    assert [sample["image"] for sample in everything] == [sample["image"] for sample in SAMPLES]
    for sample, original in zip(everything, SAMPLES):
        if sample["patient_id"] in patients[0]:
            assert sample == original
        else:
            assert np.isnan(sample["label"]).all()
            assert sample["label"].shape == (2,)
            assert "boxes" not in sample
            assert sample["synthetic"] is True
    assert sorted(s["image"] for s in labelled + unlabelled) == sorted(s["image"] for s in SAMPLES)
    assert all(not np.isnan(sample["label"]).any() for sample in SAMPLES)  # the given ones are left alone


def test_the_division_follows_from_the_seed():
    images = [sample["image"] for sample in part("labelled")]
    assert images == [sample["image"] for sample in part("labelled", SAMPLES[::-1])][::-1]
    assert images != [sample["image"] for sample in part("labelled", seed=1)]


@given(st.integers(2, 30), st.floats(0.01, 0.99), st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_either_side_has_a_patient(count, labelled, seed):
    data = [{"image": f"{n}.png"} for n in range(count)]  # without a patient each is its own
    sizes = [len(part(name, data, labelled, seed=seed)) for name in ("labelled", "unlabelled")]
    assert sizes[0] == min(max(round(labelled * count), 1), count - 1)
    assert sum(sizes) == count


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"name": "labeled"}, ConfigError, 'Did you mean "labelled"'),
        ({"name": "all", "labelled": 1}, ConfigError, "above 0 and below 1"),
        ({"name": "all", "data": SAMPLES[:3]}, DataError, "3 images of 1 patients cannot be divided"),
    ],
)
def test_a_division_that_is_none_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        part(**options)


# -- the rule ----------------------------------------------------------------------------------------------------------
def test_the_rule_by_hand():
    probabilities = np.array([0.9, 0.1, 0.5, 0.95, 0.3, 0.02, 0.6, 0.7, 0.4, 0.2])
    np.testing.assert_array_equal(most_confident(probabilities, 0.2), [1, 0, nan, 1, nan, 0, nan, nan, nan, nan])
    np.testing.assert_array_equal(
        most_confident(probabilities, 0.2, 0.92), [nan, nan, nan, 1, nan, 0, nan, nan, nan, nan]
    )
    np.testing.assert_array_equal(most_confident(np.array([0.5, 0.5, 0.5]), 0.5), [0, nan, 1])
    np.testing.assert_array_equal(most_confident(np.array([0.5]), 0.5), [nan])
    assert np.nansum(most_confident(np.arange(100) / 100, 0.29)) == 29  # 0.29 · 100 is below 29 in floating point


@given(st.lists(st.integers(0, 20).map(lambda n: n / 20), min_size=2, max_size=60), st.integers(1, 50))
@settings(max_examples=60, deadline=None)
def test_the_fraction_at_each_end_and_none_in_between(probabilities, percent):
    labels = most_confident(np.array(probabilities), percent / 100)
    count = max(1, math.floor(Fraction(percent, 100) * len(probabilities)))
    assert Counter(labels[~np.isnan(labels)]) == {0: count, 1: count}
    kept = sorted(p for p, label in zip(probabilities, labels) if label == 1)
    assert kept == sorted(probabilities)[-count:]
    assert sorted(p for p, label in zip(probabilities, labels) if label == 0) == sorted(probabilities)[:count]


def wilson(right, n, z=1.959963984540054):
    centre, half = right + z**2 / 2, z * math.sqrt(right * (n - right) / n + z**2 / 4)
    return [(centre - half) / (n + z**2), (centre + half) / (n + z**2)]


def test_precision_has_wilsons_interval():
    given, truth = np.array([1, 1, 1, 1, 0, nan]), np.array([1, 0, 1, 1, 0, 1])
    ones, zeros = precision(given, truth, 1), precision(given, truth, 0)
    assert (ones["value"], ones["n"], ones["right"]) == (0.75, 4, 3)
    np.testing.assert_allclose([ones["low"], ones["high"]], wilson(3, 4))
    assert (zeros["value"], zeros["n"]) == (1, 1)
    np.testing.assert_allclose([zeros["low"], zeros["high"]], wilson(1, 1))
    assert precision(np.array([nan]), np.array([1]), 1) == {
        **{"value": None, "low": None, "high": None, "n": 0, "reason": "no such label", "right": 0}
    }


# -- pseudo_labels -----------------------------------------------------------------------------------------------------
MASS = [0.9, 0.2, 0.6, 0.1, 0.7, 0.3]
NODULE = [0.4, 0.5, 0.05, 0.8, 0.3, 0.6]


def table(path, rows, cut=None):
    """Write a predictions.csv of (file, probabilities, labels or None); ``cut`` decides what is present."""
    labelled = any(labels for _, _, labels in rows)
    written = []
    for file, probabilities, labels in rows:
        row = {"file": str(file), "status": "ok"} | {f"probability_{f}": p for f, p in zip(FINDINGS, probabilities)}
        row |= {f"present_{f}": int(p >= (cut or 0.5)) for f, p in zip(FINDINGS, probabilities)}
        written.append(row | {f"label_{f}": v for f, v in zip(FINDINGS, labels or ())})
    groups = ("probability", "present", "label") if labelled else ("probability", "present")
    write_csv(path, ["file", "status", *(f"{g}_{f}" for g in groups for f in FINDINGS)], written)
    return str(path)


@pytest.fixture
def run(tmp_path):
    """A run folder with a teacher, images of six unlabelled and four held-out patients, and their predictions."""
    for name in [*(f"u{n}" for n in range(6)), *(f"h{n}" for n in range(4)), "t0", "t1"]:
        (tmp_path / f"{name}.png").write_bytes(f"pixels of {name}".encode())
    (tmp_path / "model.pt").write_bytes(b"weights")
    write_card(tmp_path / "model.pt", labels=FINDINGS)
    unlabelled = [(tmp_path / f"u{n}.png", p, None) for n, p in enumerate(zip(MASS, NODULE))]
    table(tmp_path / "predictions.csv", unlabelled)
    held_out = [([0.9, 0.1], [1, 1]), ([0.8, 0.9], [0, 0]), ([0.2, 0.6], [0, 1]), ([0.1, 0.3], ["", 0])]
    table(tmp_path / "held_out.csv", [(tmp_path / f"h{n}.png", *row) for n, row in enumerate(held_out)])
    return tmp_path


def trained_on(run, *names):
    return [{"image": str(run / f"{name}.png"), "label": np.zeros(2, np.float32)} for name in names]


def make(run, **options):
    given = {"predictions": str(run / "predictions.csv"), "held_out": str(run / "held_out.csv")}
    given |= {"teacher": str(run / "model.pt"), "findings": FINDINGS, "output": str(run / "pseudo_labels.csv")}
    path = medkit.handler("pseudo_labels", **{**given, "fraction": 1 / 3, **options}).run()
    return read_csv(path), json.loads(path.with_suffix(".json").read_text())


def test_every_pseudo_label_is_the_rules_and_names_its_teacher(run):
    rows, facts = make(run, trained_on=trained_on(run, "t0", "t1"), round=2)
    by_hand = {"u0": ("1", "", "0.9", ""), "u1": ("0", "", "0.2", ""), "u2": ("", "0", "", "0.05"),
               "u3": ("0", "1", "0.1", "0.8"), "u4": ("1", "0", "0.7", "0.3"), "u5": ("", "1", "", "0.6")}  # fmt: skip
    assert list(rows[0]) == [
        *("file", "Mass", "Nodule", "teacher_sha256", "round", "probability_Mass", "probability_Nodule")
    ]
    found = {
        row["file"]: (row["Mass"], row["Nodule"], row["probability_Mass"], row["probability_Nodule"]) for row in rows
    }
    assert found == {str(run / f"{name}.png"): row for name, row in by_hand.items()}
    assert {(row["teacher_sha256"], row["round"]) for row in rows} == {(sha256(run / "model.pt"), "2")}
    assert (facts["round"], facts["teacher_sha256"]) == (2, sha256(run / "model.pt"))
    assert (facts["unlabelled_images"], facts["pseudo_labelled_images"], facts["held_out_images"]) == (6, 6, 4)


def test_the_same_rule_is_measured_on_held_out_labels(run):
    _, facts = make(run)
    mass, nodule = facts["per_finding"]["Mass"], facts["per_finding"]["Nodule"]
    # Mass: three known labels, one at each end: h0 (right) and h2 (right). Nodule: four: h1 (wrong) and h0 (wrong)
    assert (mass["present"]["labels"], mass["present"]["probability"]) == (2, 0.7)
    assert (mass["absent"]["labels"], mass["absent"]["probability"]) == (2, 0.2)
    for scores, right in ((mass, 1), (nodule, 0)):
        for end in ("present", "absent"):
            measured = scores[end]["held_out"]
            assert (measured["n"], measured["right"], measured["value"]) == (1, right, right)
            np.testing.assert_allclose([measured["low"], measured["high"]], wilson(right, 1), atol=1e-12)


def test_the_order_of_the_rows_does_not_matter(run):
    rows, facts = make(run)
    table(run / "predictions.csv", [(run / f"u{n}.png", (MASS[n], NODULE[n]), None) for n in (3, 0, 5, 2, 4, 1)])
    assert make(run) == (rows, facts)


def operating_points(run, cut=0.5, of="model.pt", calibration="platt"):
    state = {"calibration": calibration, "per_finding": {name: {"threshold": cut} for name in FINDINGS}}
    write_json(run / "operating_points.json", {"checkpoint_sha256": sha256(run / of), "parts": {"o": state}})


def test_calibrated_keeps_what_reaches_the_confidence(run):
    operating_points(run)
    rows, facts = make(run, calibrated=True, confidence=0.8)
    found = {row["file"].rpartition("/")[2]: (row["Mass"], row["Nodule"]) for row in rows}
    assert found == {"u0.png": ("1", ""), "u1.png": ("0", ""), "u2.png": ("", "0"), "u3.png": ("0", "1")}
    assert (facts["calibrated"], facts["confidence"], facts["pseudo_labelled_images"]) == (True, 0.8, 4)
    assert facts["per_finding"]["Nodule"]["absent"]["labels"] == 1
    strict = make(run, calibrated=True, confidence=1)[1]["per_finding"]["Mass"]["present"]
    assert (strict["labels"], strict["probability"], strict["held_out"]["value"]) == (0, None, None)


def test_calibrated_predictions_must_come_from_the_teachers_calibration(run):
    with pytest.raises(CheckpointError, match="cannot be read"):
        make(run, calibrated=True)
    operating_points(run, of="u0.png")
    with pytest.raises(CheckpointError, match="fitted for another checkpoint"):
        make(run, calibrated=True)
    operating_points(run, calibration="none")
    with pytest.raises(ConfigError, match="holds no calibration"):
        make(run, calibrated=True)
    operating_points(run, cut=0.25)
    with pytest.raises(DataError, match=r"/predictions.csv was not made with .*: .*u0.png lies on another side"):
        make(run, calibrated=True)


@pytest.mark.parametrize("where", ["u2", "copy"])
def test_labelled_files_among_the_unlabelled_are_refused(run, where):
    if where == "copy":
        (run / "copy.png").write_bytes((run / "u2.png").read_bytes())
    how = "the same file" if where == "u2" else "the same content"
    labelled = trained_on(run, "t0", where)
    message = rf"1 of 6 unlabelled images are labelled ones: .*u2.png is {how} as .*{where}.png: take labelled images"
    with pytest.raises(DataError, match=message):
        make(run, trained_on=labelled)
    (run / "link.png").symlink_to(run / "u2.png")
    rows = [(run / "link.png", [0.5, 0.5], [1, 0]), (run / "h1.png", [0.4, 0.5], [0, 0])]
    table(run / "held_out.csv", rows)
    with pytest.raises(DataError, match=r"u2.png is the same file as .*link.png"):
        make(run)


def test_held_out_images_that_the_teacher_knows_are_refused(run):
    with pytest.raises(DataError, match=r"1 of 4 held-out images are among those that the teacher has learnt from"):
        make(run, trained_on=trained_on(run, "h3"))


def test_images_that_must_not_be_learnt_from_are_refused(run):
    with pytest.raises(DataError, match=r"1 of 6 unlabelled images must not be learnt from: .*u2.png is the same file"):
        make(run, never=trained_on(run, "u2"))


def test_a_teacher_of_another_label_set_is_refused(run):
    write_card(run / "model.pt", labels=["Mass", "Hernia"])
    with pytest.raises(CheckpointError, match="knows Mass, Hernia; Mass, Nodule were asked for"):
        make(run)
    (run / "model.json").unlink()
    with pytest.raises(CheckpointError, match="has no card"):
        make(run)
    with pytest.raises(CheckpointError, match=r"nowhere.pt is not there"):
        make(run, teacher=str(run / "nowhere.pt"))


def other_findings(rows):
    return [{k.replace("Nodule", "Hernia"): v for k, v in row.items()} for row in rows]


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("predictions", lambda rows: [], "has no row"),
        ("predictions", lambda rows: [row | {"status": "error"} for row in rows], "none of the 6 images"),
        ("predictions", lambda rows: [*rows, rows[0]], r"holds .*u0.png twice"),
        (
            "predictions",
            lambda rows: [rows[0] | {"probability_Mass": "1.5"}, *rows[1:]],
            r'u0.png the probability_Mass ".*", a number from 0 to 1 was asked',
        ),
        (
            "predictions",
            lambda rows: [rows[0] | {"probability_Mass": ""}, *rows[1:]],
            r'u0.png the probability_Mass ".*", a number from 0 to 1 was asked',
        ),
        ("predictions", other_findings, "has probabilities of Mass, Hernia; Mass, Nodule were asked for"),
        ("predictions", lambda rows: [row | {"label_Mass": "1"} for row in rows], "has labels, of .*u0.png"),
        ("held_out", lambda rows: [row | {"label_Mass": "", "label_Nodule": ""} for row in rows], "has no labels"),
    ],
)
def test_tables_that_cannot_be_used_are_named(run, name, change, message):
    rows = read_csv(run / f"{name}.csv")
    changed = change(rows)
    write_csv(run / f"{name}.csv", list((changed or rows)[0]), changed)
    with pytest.raises(DataError, match=message):
        make(run)
    assert not (run / "pseudo_labels.csv").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fraction": 0}, "fraction 0: give a share at each end above 0, at most 0.5"),
        ({"fraction": 0.6}, r"fraction 0\.6"),
        ({"confidence": 0.4}, r"confidence 0\.4: give a probability from 0\.5 to 1"),
        ({"round": 0}, "rounds count from 1"),
    ],
)
def test_impossible_options_are_refused(run, options, message):
    with pytest.raises(ConfigError, match=message):
        make(run, **options)


# -- pseudo_labelled ---------------------------------------------------------------------------------------------------
def student(run, **options):
    unlabelled = [{"image": str(run / f"u{n}.png"), "synthetic": True} for n in range(6)]
    given = {"labelled": trained_on(run, "t0", "t1"), "unlabelled": unlabelled, "findings": FINDINGS}
    given |= {"teacher": str(run / "model.pt"), **options}
    return medkit.dataset("pseudo_labelled", "training", dataset_dir=str(run), **given)


def test_the_student_sees_labels_pseudo_labels_and_nan(run):
    make(run, fraction=1 / 6)
    samples = student(run)
    assert [sample["image"].rpartition("/")[2] for sample in samples] == ["t0.png", "t1.png", *by_name("u0 u2 u3")]
    np.testing.assert_array_equal(medkit.labels(samples), [[0, 0], [0, 0], [1, nan], [nan, 0], [0, 1]])
    assert samples[2]["synthetic"] is True
    assert samples[2]["label"].dtype == np.float32


def by_name(names):
    return [f"{name}.png" for name in names.split()]


def test_the_next_rounds_table_takes_the_place_of_the_last(run):
    make(run)
    (run / "model.pt").write_bytes(b"weights of the student")
    write_card(run / "model.pt", labels=FINDINGS)
    with pytest.raises(CheckpointError, match=r"comes from the teacher .*: make it anew"):
        student(run)
    table(run / "predictions.csv", [(run / f"u{n}.png", (1 - MASS[n], NODULE[n]), None) for n in range(6)])
    rows, _ = make(run, round=2, fraction=1 / 6)
    assert {row["round"] for row in rows} == {"2"}
    np.testing.assert_array_equal(medkit.labels(student(run))[2:], [[0, nan], [nan, 0], [1, 1]])


def test_loss_and_sampler_skip_what_is_unknown(run):
    make(run, fraction=1 / 6)
    labels = medkit.labels([*student(run), *part("unlabelled")[:2]])
    logits = torch.randn(labels.shape, generator=torch.Generator().manual_seed(0)).requires_grad_()
    medkit.loss("weighted_cross_entropy")(logits, torch.from_numpy(labels)).backward()
    assert (logits.grad[torch.from_numpy(np.isnan(labels))] == 0).all()
    assert (logits.grad[torch.from_numpy(~np.isnan(labels))] != 0).all()
    drawn = list(medkit.sampler("balanced", labels=labels, num_samples=200))
    assert set(drawn) == set(range(5))  # those without any label never


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"findings": ["Nodule", "Mass"]}, CheckpointError, "knows Mass, Nodule; Nodule, Mass were asked for"),
        ({"table": "other.csv"}, DataError, r"other.csv is not there: run the stage"),
        ({"unlabelled": [{"image": "x.png"}]}, DataError, r"made for other images: 6 of 6 are not there, .*u0.png"),
    ],
)
def test_a_table_of_something_else_is_refused(run, options, error, message):
    make(run)
    with pytest.raises(error, match=message):
        student(run, **options)


def test_unlabelled_samples_that_are_labelled_are_refused(run):
    make(run)
    with pytest.raises(DataError, match=r"u3.png is the same file as .*u3.png"):
        student(run, labelled=trained_on(run, "t0", "u3"))
    unlabelled = [{"image": str(run / f"u{n}.png"), "label": np.array([n == 1, nan])} for n in range(6)]
    with pytest.raises(DataError, match=r"6 of 6 unlabelled images have labels, .*u0.png"):
        student(run, unlabelled=unlabelled)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: [rows[0] | {"Mass": "2"}, *rows[1:]], "the labels 2, : 1, 0 or blank"),
        (other_findings, "has labels of Mass, Hernia; Mass, Nodule were asked for"),
        (lambda rows: [], "no prediction was confident enough"),
    ],
)
def test_a_table_that_is_none_is_refused(run, change, message):
    rows, _ = make(run)
    changed = change(rows)
    write_csv(run / "pseudo_labels.csv", list((changed or rows)[0]), changed)
    with pytest.raises(DataError, match=message):
        student(run)


def test_the_readmes_configuration_is_trusted_and_leads_from_labels_to_the_student(run):
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    data, teacher, learner = (yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL))
    config = {"bundle_root": ".", "output_dir": str(run), "dataset_dir": str(run), "findings": FINDINGS, "seed": 0}
    config |= data | teacher | {"student": learner["train#dataset#data"]}
    assert audit(config).untrusted == ()
    rows = [
        {"image": f"u{n}.png", "patient_id": n, "section": "training", "Mass": n % 2, "Nodule": 0} for n in range(6)
    ]
    write_csv(run / "labels.csv", list(rows[0]), rows)
    (run / "round1" / "held_out").mkdir(parents=True)
    for name, target in (("model.pt",) * 2, ("model.json",) * 2, ("held_out.csv", "held_out/predictions.csv")):
        (run / name).rename(run / "round1" / target)
    parser = ConfigParser(config)
    unlabelled = parser.get_parsed_content("unlabelled")
    assert (len(parser.get_parsed_content("labelled")), len(unlabelled)) == (2, 4)
    predicted = [(sample["image"], (0.1 * n, 1 - 0.1 * n), None) for n, sample in enumerate(unlabelled)]
    table(run / "round1" / "unlabelled" / "predictions.csv", predicted)
    parser.get_parsed_content("run")
    labels = medkit.labels(parser.get_parsed_content("student"))
    np.testing.assert_array_equal(labels[2:], [[0, 1], [1, 0]])
    assert not np.isnan(labels).any()
