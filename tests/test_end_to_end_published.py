"""A trained model leaves the house: as a file for other programs, and as a bundle that MONAI runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from torch.nn import functional

from medkit.tables import read_csv

ROOT = Path(__file__).parent.parent
BUNDLE = ROOT / "bundles" / "chest_gradcam"
pytestmark = pytest.mark.slow

SMALL = [
    "--max_epochs",
    "1",
    "--phantom#images",
    "60",
    "--image_size",
    "[48,64]",
    "--resamples",
    "20",
    "--device",
    "cpu",
]
SMALL += ["--network_def#blocks", "[2,2,2]", "--network_def#growth_rate", "8"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "2", "PYTHONWARNINGS": "ignore"}


def python(*words: object, cwd: Path) -> str:
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """The folder in which one small run was made; its run is ``runs/chest_gradcam/latest``."""
    folder = tmp_path_factory.mktemp("run")
    stages = ["--stage", "train", "--stage", "fit", "--stage", "inference"]
    python("-m", "medkit.cli", "run", BUNDLE, "--quiet", *stages, *SMALL, cwd=folder)
    return folder


def probabilities(run: Path) -> dict[str, list[float]]:
    """Return the name of each image that was assessed → what was said of every finding."""
    rows = [row for row in read_csv(run / "predictions.csv") if row["status"] == "ok"]
    return {
        Path(row["file"]).name: [float(value) for key, value in row.items() if key.startswith("probability_")]
        for row in rows
    }


def test_a_stranger_with_the_onnx_file_and_its_description_gets_the_probabilities_of_the_run(trained):
    run = (trained / "runs" / "chest_gradcam" / "latest").resolve()
    before = sorted(run.rglob("*"))
    out = python("-m", "medkit.cli", "export", BUNDLE, "--format", "onnx", cwd=trained)
    assert "on 4 phantoms" in out
    assert sorted(run.rglob("*")) == before
    told = json.loads((trained / "chest_gradcam.onnx.json").read_text())
    _, _, *size = told["input"]["shape"]
    assert size == [48, 64]
    fitted = told["fitted"]["parts"]["operating_points"]["per_finding"]
    scale, bias = (np.array([fitted[name][key] for name in told["findings"]]) for key in ("scale", "bias"))
    session = onnxruntime.InferenceSession(trained / "chest_gradcam.onnx")
    said = {name: values for name, values in probabilities(run).items() if name.endswith(".png")}
    assert len(said) > 5
    for name, expected in said.items():
        grey = np.asarray(Image.open(run / "phantom" / "inbox" / name).convert("L"), np.float32) / 255
        image = functional.interpolate(torch.from_numpy(grey)[None, None], size=size, mode="area")
        (logits,) = session.run(None, {told["input"]["name"]: image.numpy()})
        found = 1 / (1 + np.exp(-(scale * logits[0] + bias)))
        np.testing.assert_allclose(found, expected, atol=2e-5)


def test_monai_and_medkit_run_the_published_bundle_as_the_run_did(trained, tmp_path):
    run = (trained / "runs" / "chest_gradcam" / "latest").resolve()
    python("-m", "medkit.cli", "publish", BUNDLE, "-o", tmp_path / "it.zip", cwd=trained)
    with zipfile.ZipFile(tmp_path / "it.zip") as archive:
        archive.extractall(tmp_path / "there")
    bundle = tmp_path / "there" / "chest_gradcam"
    (tmp_path / "here").mkdir()
    config = ["--config_file", bundle / "configs" / "inference.yaml", "--bundle_root", bundle]
    python("-m", "monai.bundle", "run", *config, "--device", "cpu", "--quiet", True, cwd=tmp_path / "here")
    assert not list((tmp_path / "here").iterdir())
    assert probabilities(bundle / "out") == probabilities(run)
    (tmp_path / "files").mkdir()
    name = next(iter(probabilities(run)))
    shutil.copy(run / "phantom" / "inbox" / name, tmp_path / "files")
    words = ["--input", tmp_path / "files", "--stage", "inference", "--device", "cpu", "--quiet"]
    python("-m", "medkit.cli", "run", bundle, *words, cwd=tmp_path / "here")
    newest = tmp_path / "here" / "runs" / "chest_gradcam" / "latest_input"
    assert probabilities(newest)[name] == pytest.approx(probabilities(run)[name], abs=1e-5)
