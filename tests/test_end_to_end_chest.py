"""The bundles of chest techniques as a user runs them, small: strategies of several stages, frozen parts, tables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from medkit.card import Card, read_card
from medkit.tables import read_csv

BUNDLES = Path(__file__).parent.parent / "bundles"
FINDINGS = ["Effusion", "Mass", "Pneumothorax"]
pytestmark = pytest.mark.slow

SMALL = {"phantom#images": 160, "findings": FINDINGS, "resamples": 20, "device": "cpu"}
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


def medkit(*arguments: object, cwd: Path, **options: object) -> subprocess.CompletedProcess:
    words = [str(word) for key, value in options.items() for word in (f"--{key}", value)]
    command = [sys.executable, "-m", "medkit.cli", "run", *map(str, arguments), "--quiet", *words]
    done = subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def test_every_strategy_in_one_table(tmp_path):
    """Everything but the networks that are pretrained, for one seed and three techniques of one stage."""
    stages = ["draw", "technique", "expand", "offline_expansion", "autoencode", "autoencoder_pretraining", "teach"]
    stages += ["self_training", "single_finding", "per_finding_ensemble", "gan", "generated_images", "table"]
    chosen = [word for stage in stages for word in ("--stage", stage)]
    small = {**SMALL, "budget": 1, "image_size": [32, 32], "source_phantom#images": 60, "count": 4, "copies": 1}
    loops = {"seed": 0, "technique": ["baseline", "average_image", "labelled_third"], "finding": FINDINGS}
    medkit(BUNDLES / "chest_techniques", *chosen, cwd=tmp_path, **small, **loops)
    run = (tmp_path / "runs" / "chest_techniques" / "latest").resolve()

    def card(technique: str) -> Card:
        found = read_card(run / technique / "seed0" / "models" / "model.pt")
        assert found
        return found

    table = json.loads((run / "table" / "comparison.json").read_text())
    rows = {row["name"]: row for row in table["rows"]}
    assert len(rows) == 8
    assert {row["images"] for row in rows.values()} == {40}
    assert table["patients_known"]
    assert rows["self-training from a third"]["difference"]["against"] == "a third of the labels"
    assert rows["one model a finding"]["auroc"]["per_class"].keys() == set(FINDINGS)

    assert card("autoencoder_pretraining").source == "started from encoder.pt, which has learnt from synthetic images"
    scores = json.loads((run / "autoencoder" / "seed0" / "reconstruction.json").read_text())
    assert scores["reconstruction"]["n"] == scores["mean_image"]["n"] == 24

    pseudo = read_csv(run / "teacher" / "seed0" / "pseudo_labels.csv")
    section = {row["image"]: row["section"] for row in read_csv(run / "phantom" / "labels.csv")}
    assert {section[f"images/{Path(row['file']).name}"] for row in pseudo} == {"training"}
    assert {row["teacher_sha256"] for row in pseudo} == {card("teacher").sha256}
    assert card("self_training").images == card("labelled_third").images + len(pseudo)

    made = read_csv(run / "gan" / "seed0" / "generated" / "labels.csv")
    assert 0 < len(made) <= 4
    assert card("generated_images").images == 96 + len(made)
    assert card("offline_expansion").images == 2 * 96


def test_frozen_convolutions_come_out_of_training_as_they_went_in(tmp_path):
    small = {**SMALL, "source_phantom#images": 60, "pretrain_epochs": 1, "max_epochs": 2, "image_size": [32, 32]}
    medkit(BUNDLES / "chest_weak_vgg19", "--stage", "pretrain", "--stage", "train", cwd=tmp_path, **small)
    models = (tmp_path / "runs" / "chest_weak_vgg19" / "latest").resolve() / "models"
    before, after = (torch.load(models / name, weights_only=True) for name in ("pretrained.pt", "model.pt"))
    convolutions = [key for key in after if key.startswith("features.")]
    assert len(convolutions) == 32
    assert all(torch.equal(before[key], after[key]) for key in convolutions)


def test_five_folds_end_in_one_table(tmp_path):
    stages = ["--stage", "folds", "--stage", "table"]
    medkit(BUNDLES / "chest_from_scratch", *stages, cwd=tmp_path, **SMALL, fold_epochs=1, share=0.1, fold=[0, 1])
    run = (tmp_path / "runs" / "chest_from_scratch" / "latest").resolve()
    (row,) = json.loads((run / "table" / "results.json").read_text())["rows"]
    tested = [{line["file"] for line in read_csv(run / "folds" / f"fold{n}" / "predictions.csv")} for n in (0, 1)]
    assert not tested[0] & tested[1]
    assert row["images"] == len(tested[0] | tested[1])
    assert row["scores"]["auroc_within_folds"]["value"] is not None
