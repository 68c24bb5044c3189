"""The bundles of ultrasound and MRI as a user runs them, small: classify, segment, gate, report, folds, tables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medkit.tables import read_csv

BUNDLES = Path(__file__).parent.parent / "bundles"
pytestmark = pytest.mark.slow

SMALL = {"max_epochs": 1, "epoch_images": 16, "image_size": [64, 64], "device": "cpu"}
PHANTOMS = {"phantom#images": 80, "phantom#size": 64}
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


def medkit(*arguments: object, cwd: Path, code: int = 0, **options: object) -> subprocess.CompletedProcess:
    words = [str(word) for key, value in options.items() for word in (f"--{key}", value)]
    command = [sys.executable, "-m", "medkit.cli", "run", *map(str, arguments), "--quiet", *words]
    done = subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr[-3000:]
    return done


@pytest.fixture(scope="module")
def ultrasound(tmp_path_factory) -> Path:
    """The folder of one small run; its run is ``runs/breast_ultrasound/latest``."""
    folder = tmp_path_factory.mktemp("ultrasound")
    medkit(BUNDLES / "breast_ultrasound", cwd=folder, **SMALL, **PHANTOMS, resamples=20)
    return folder


def run_of(folder: Path, bundle: str = "breast_ultrasound", link: str = "latest") -> Path:
    return (folder / "runs" / bundle / link).resolve()


def test_every_training_image_has_the_word_of_a_classifier_that_has_not_seen_it(ultrasound):
    run = run_of(ultrasound)
    division = {row["image"]: int(row["fold"]) for row in read_csv(run / "folds.csv")}
    parts = [read_csv(run / "out_of_fold" / str(n) / "predictions.csv") for n in range(3)]
    folds = [{division[_name(row["file"], division)] for row in part} for part in parts]
    assert folds == [{2}, {3}, {4}]
    assert sum(map(len, parts)) == sum(fold in (2, 3, 4) for fold in division.values())
    assert {division[_name(row["file"], division)] for row in read_csv(run / "validation" / "predictions.csv")} == {1}


def _name(file: str, division: dict[str, int]) -> str:
    (name,) = [name for name in division if file.endswith(f"/{name}")]
    return name


def test_masks_and_scores_are_on_the_original_pixels(ultrasound):
    run = run_of(ultrasound)
    rows = read_csv(run / "segmentation.csv")
    assert [row["file"] for row in rows] == [row["file"] for row in read_csv(run / "predictions.csv")]
    for row in rows:
        with Image.open(row["file"]) as image, Image.open(run / row["mask"]) as mask:
            assert mask.size == image.size
            assert (np.asarray(mask) > 0).sum() == int(row["gated_pixels"])
    metrics = json.loads((run / "segmentation" / "metrics.json").read_text())
    tested = read_csv(run / "segmentation" / "evaluation" / "segmentation.csv")
    for column, part in (("iou", "plain"), ("iou_gated", "gated")):
        values = [float(row[column]) for row in tested]
        assert metrics[part]["iou"]["all"]["value"] == pytest.approx(np.mean(values), abs=1e-6)
    normal = [row for row in tested if row["label"] == "normal"]
    assert normal
    assert all(row["truth_pixels"] == "0" for row in normal)
    assert "SYNTHETIC" in (run / "report.html").read_text()


def test_run_again_does_nothing_again(ultrasound):
    done = medkit(BUNDLES / "breast_ultrasound", cwd=ultrasound, **SMALL, **PHANTOMS, resamples=20)
    assert done.stderr.count("done before") == 13


def test_another_gate_takes_over_the_classifier_of_the_run_before(ultrasound):
    options = {**SMALL, **PHANTOMS, "resamples": 20, "gate_mode": "soft"}
    medkit(BUNDLES / "breast_ultrasound", "--from", "segment", cwd=ultrasound, **options)
    gate = json.loads((run_of(ultrasound) / "segmentation" / "models" / "gate.json").read_text())
    assert gate["parts"]["gate"]["mode"] == "soft"


@pytest.mark.parametrize("native", [False, True], ids=["resized", "tiles"])
def test_any_size_comes_in_and_a_mask_of_that_size_comes_out(ultrasound, tmp_path, native):
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    sizes = [(150, 91), (64, 64), (40, 200)]
    grey = np.random.default_rng(0)
    for number, (rows, columns) in enumerate(sizes):
        Image.fromarray(grey.integers(0, 255, (rows, columns), np.uint8)).save(inbox / f"new ({number}).png")
    Image.fromarray(grey.integers(0, 255, (50, 60, 4), np.uint8)).save(inbox / "new (3).png")
    (inbox / "new (4).png").write_bytes(b"no image")
    options = {"device": "cpu", "native_size": native}  # the size, and the gate's mode: as trained
    medkit(BUNDLES / "breast_ultrasound", "--input", inbox, "--allow-synthetic-model", cwd=ultrasound, **options)
    run = run_of(ultrasound, link="latest_input")
    rows = read_csv(run / "segmentation.csv")
    assert [row["status"] for row in rows] == ["ok"] * 4 + ["error"]
    for row, shape in zip(rows[:4], [*sizes, (50, 60)], strict=True):
        with Image.open(run / row["mask"]) as mask:
            assert mask.size[::-1] == shape


def test_broken_masks_are_listed_or_refused(ultrasound, tmp_path):
    data = tmp_path / "busi"
    source = run_of(ultrasound) / "phantom_ultrasound" / "Dataset_BUSI_with_GT"
    for kind in ("benign", "malignant", "normal"):
        (data / kind).mkdir(parents=True)
        for file in (source / kind).iterdir():
            (data / kind / file.name).write_bytes(file.read_bytes())
    (data / "benign" / "benign (1)_mask.png").unlink()
    Image.new("L", (5, 5)).save(data / "benign" / "benign (5)_mask.png")
    call = [BUNDLES / "breast_ultrasound", "--stage", "train", "--dataset_dir", data]
    refused = medkit(*call, cwd=tmp_path, code=2, **SMALL).stderr.splitlines()[-1]
    assert "2 problems" in refused
    assert "missing=list" in refused
    medkit(*call, cwd=tmp_path, **SMALL, missing="list")
    listed = read_csv(run_of(tmp_path) / "look_alikes" / "left_out.csv")
    assert [row["file"] for row in listed] == ["benign/benign (5).png", "benign/benign (1).png"]


def test_one_fold_of_the_losses_with_a_gate_from_classifiers_that_have_not_seen_the_image(tmp_path):
    options = {**SMALL, **PHANTOMS, "epoch_images": 8, "batch_size": 4}
    stages = ["divide", "pretrain_classifier", "classify[seed=0,fold=0,classifier=mask_guided]"]
    stages += [f"out_of_fold[seed=0,fold=0,without={n}]" for n in range(3)]
    stages += ["ensemble[seed=0,fold=0]", "segment[seed=0,fold=0,loss_name=dice,gating=gated]"]
    chosen = [word for stage in stages for word in ("--stage", stage)]
    medkit(BUNDLES / "breast_ultrasound_losses", *chosen, cwd=tmp_path, **options)
    run = run_of(tmp_path, "breast_ultrasound_losses")
    folds = {row["image"]: row["fold"] for row in read_csv(run / "division" / "folds.csv")}
    fold = run / "seed0" / "fold0"
    rows = read_csv(fold / "dice-gated" / "segmentation.csv")
    assert len(rows) == sum(fold == "0" for fold in folds.values())
    assert all(row["iou"] and row["gate"] for row in rows)
    merged = {
        row["file"]: 1 - float(row["probability_normal"]) for row in read_csv(fold / "ensemble/test/predictions.csv")
    }
    assert [float(row["gate"]) for row in rows] == pytest.approx([merged[row["file"]] for row in rows], abs=1e-5)


def test_brain_mri_compares_splits_and_reads_new_volumes(tmp_path):
    import nibabel as nib

    options = {**SMALL, "phantom#images": 60, "phantom#size": 64, "resamples": 20}
    medkit(BUNDLES / "brain_mri", cwd=tmp_path, **options)
    run = run_of(tmp_path, "brain_mri")
    rows = json.loads((run / "table" / "results.json").read_text())["rows"]
    assert [row["name"] for row in rows] == ["look-alikes kept together", "random folds"]
    assert rows[1]["difference"]["accuracy"]["n"] == 60
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    voxels = np.random.default_rng(0).integers(0, 200, (40, 44, 30)).astype(np.int16)
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), inbox / "new.nii.gz")
    Image.fromarray(np.uint8(voxels[:, :, 3])).save(inbox / "flat.JPG")
    medkit(BUNDLES / "brain_mri", "--input", inbox, "--allow-synthetic-model", cwd=tmp_path, device="cpu")
    files = [row["file"] for row in read_csv(run_of(tmp_path, "brain_mri", "latest_input") / "predictions.csv")]
    assert len(files) == 9
    assert sum("#axial:" in file for file in files) == 8
