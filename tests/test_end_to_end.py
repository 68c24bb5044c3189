"""The whole way, as a user goes it: real DICOM, real MONAI engines, real processes."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from medkit.tables import read_csv

ROOT = Path(__file__).parent.parent
BUNDLE = ROOT / "bundles" / "chest_gradcam"
pytestmark = pytest.mark.slow

# one small and short training, the same for every test here
SMALL = {
    "max_epochs": 2,
    "phantom#images": 160,
    "image_size": [64, 64],
    "network_def#blocks": [2, 2, 2],
    "network_def#growth_rate": 8,
    "resamples": 50,
    "device": "cpu",
}
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "2", "PYTHONWARNINGS": "ignore"}


def words(options: dict) -> list[str]:
    return [word for key, value in options.items() for word in (f"--{key}", str(value))]


def medkit(*arguments: object, cwd: Path, code: int = 0) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "medkit.cli", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr[-3000:]
    return done


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """The folder in which one small run was made; its run is ``runs/chest_gradcam/latest``."""
    folder = tmp_path_factory.mktemp("run")
    medkit("run", BUNDLE, "--quiet", *words(SMALL), cwd=folder)
    return folder


def latest(folder: Path) -> Path:
    return (folder / "runs" / "chest_gradcam" / "latest").resolve()


def test_one_command_leaves_everything_that_the_readme_lists(trained):
    run = latest(trained)
    names = ("report.html", "predictions.csv", "boxes.csv", "metrics.json", "problems.csv", "history.csv", "run.json")
    for name in (*names, "models/model.pt", "models/model.json", "models/operating_points.json"):
        assert (run / name).is_file(), name
    metrics = json.loads((run / "metrics.json").read_text())
    for score in (metrics["auroc"]["macro"], metrics["localization"]["hit_rate_iou_0_3"]):
        assert {"value", "low", "high", "n"} <= score.keys()
    assert "hit_rate_iou_0_3_random" in metrics["localization"]
    report = (run / "report.html").read_text()
    assert "SYNTHETIC" in report
    assert "not for diagnosis" in report.lower()


def test_every_file_of_the_inbox_has_its_row_in_order(trained):
    rows = read_csv(latest(trained) / "predictions.csv")
    files = [row["file"] for row in rows]
    assert len(set(files)) == len(files) >= 20
    assert {row["status"] for row in rows} == {"ok", "not_assessed"}
    assert all(row["reason"] for row in rows if row["status"] != "ok")


def test_run_again_does_nothing_again(trained):
    done = medkit("run", BUNDLE, "--quiet", *words(SMALL), cwd=trained)
    assert done.stderr.count("done before") == 5


def test_plain_monai_gives_the_same_files_from_another_folder(trained, tmp_path):
    done = medkit("run", BUNDLE, "--quiet", *words(SMALL), "--dry-run", "--runs-dir", tmp_path / "runs", cwd=tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    lines = done.stdout.splitlines()
    assert len(lines) == 5
    for line in lines:
        command = [sys.executable, *shlex.split(line)[1:]]
        subprocess.run(command, cwd=elsewhere, env=ENVIRONMENT, check=True, capture_output=True)
    assert not any(elsewhere.iterdir())
    (run,) = (tmp_path / "runs" / "chest_gradcam").iterdir()
    ours = latest(trained)
    assert (run / "metrics.json").read_text() == (ours / "metrics.json").read_text()
    names = [[{**row, "file": Path(row["file"]).name} for row in read_csv(r / "boxes.csv")] for r in (run, ours)]
    assert names[0] == names[1]
    mine, theirs = (torch.load(r / "models" / "model.pt", weights_only=True) for r in (run, ours))
    assert all(torch.equal(mine[key], theirs[key]) for key in theirs)
    assert (run / "report.html").is_file()


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT], ids=lambda s: s.name)
def test_a_stopped_training_continues_to_the_same_bits(stop, tmp_path):
    longer = {**SMALL, "max_epochs": 5}
    call = [sys.executable, "-m", "medkit.cli", "run", str(BUNDLE), "--quiet", "--stage", "train", *words(longer)]
    (tmp_path / "cut").mkdir()
    process = subprocess.Popen(call, cwd=tmp_path / "cut", env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    while not (found := [*tmp_path.rglob("checkpoint.pt")]) and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(stop)
    _, err = process.communicate(timeout=120)
    # 130, or what a shell shows as 130: Python passes an interrupt on that went through eval, as MONAI runs a stage
    assert process.returncode in ((130, -signal.SIGINT) if stop is signal.SIGINT else (-signal.SIGKILL,)), err
    assert "Traceback" not in err
    (progress,) = found
    assert progress.is_file()
    assert not progress.with_name("model.pt").exists()
    medkit(*call[3:], cwd=tmp_path / "cut")
    (tmp_path / "whole").mkdir()
    medkit(*call[3:], cwd=tmp_path / "whole")
    cut, whole = (torch.load(latest(tmp_path / f) / "models" / "model.pt", weights_only=True) for f in ("cut", "whole"))
    assert all(torch.equal(whole[key], cut[key]) for key in whole)


def test_weights_with_a_card_go_all_the_way(trained, tmp_path):
    from medkit.card import write_card

    weights = tmp_path / "given.pt"
    shutil.copy(latest(trained) / "models" / "model.pt", weights)
    findings = list(read_csv(latest(trained) / "predictions.csv")[0])
    labels = [name.removeprefix("probability_") for name in findings if name.startswith("probability_")]
    write_card(weights, labels=labels, input_scaling={"mean": 0.5, "std": 0.25}, source="a test")
    done = medkit("run", BUNDLE, "--quiet", *words({**SMALL, "max_epochs": 1}), "--weights", weights, cwd=tmp_path)
    assert "[5/5] Write the report" in done.stderr


def test_two_processes_train_one_model_and_list_every_problem(trained, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(latest(trained) / "phantom", data)
    training = [row["image"] for row in read_csv(data / "labels.csv") if row["section"] == "training"]
    for name in training[:4]:
        (data / name).write_bytes(b"broken")
    small = words({k: v for k, v in SMALL.items() if not k.startswith("phantom")})
    call = ["run", BUNDLE, "--quiet", "--stage", "train", "--dataset_dir", data, "--nproc", 2, *small]
    medkit(*call, cwd=tmp_path)
    problems = read_csv(latest(tmp_path) / "problems.csv")
    assert {Path(row["file"]).name for row in problems} == {Path(name).name for name in training[:4]}
    assert (latest(tmp_path) / "models" / "model.json").is_file()


def test_input_reads_a_folder_and_loses_no_file(trained, tmp_path):
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    phantoms = [Path(row["file"]) for row in read_csv(latest(trained) / "predictions.csv") if row["status"] == "ok"]
    for number, file in enumerate(phantoms[:5]):
        shutil.copy(file, inbox / f"{number}_{file.name}")
    (inbox / "2b_corrupt.dcm").write_bytes(phantoms[0].read_bytes()[:700])
    (inbox / "2c_corrupt.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    done = medkit(
        "run", BUNDLE, "--quiet", "--input", inbox, "--device", "cpu", cwd=trained
    )  # size and network: as trained
    run = (trained / "runs" / "chest_gradcam" / "latest_input").resolve()
    rows = read_csv(run / "predictions.csv")
    assert [Path(row["file"]).name for row in rows] == sorted(p.name for p in inbox.iterdir())
    assert [row["status"] for row in rows].count("error") == 2
    assert "2 not readable" in done.stdout
    assert (run / "report.html").is_file()


def test_input_is_refused_where_it_must_be(trained, tmp_path):
    call = ["run", BUNDLE, "--quiet", "--device", "cpu"]
    (tmp_path / "empty").mkdir()
    assert "empty" in medkit(*call, "--input", tmp_path / "empty", cwd=trained, code=2).stderr
    real = tmp_path / "real"
    real.mkdir()
    from PIL import Image

    Image.new("L", (90, 70), 128).save(real / "a.png")
    refused = medkit(*call, "--input", real, cwd=trained, code=2)
    assert refused.stderr.splitlines()[-1].startswith("medkit: ")
    assert "--allow-synthetic-model" in refused.stderr
    medkit(*call, "--input", real, "--allow-synthetic-model", cwd=trained)
    (real / "b.png").write_bytes(b"no image")
    strict = medkit(*call, "--input", real, "--allow-synthetic-model", "--strict", cwd=trained, code=2)
    assert "b.png" in strict.stderr.splitlines()[-1]


def test_a_model_of_another_network_and_operating_points_of_another_model_are_refused(trained, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(latest(trained) / "models", other / "models")
    call = ["run", BUNDLE, "--quiet", "--stage", "evaluate", "--model_dir", other, "--runs-dir", tmp_path]
    done = medkit(*call, *words({**SMALL, "network_def#growth_rate": 4}), cwd=trained, code=2)
    assert "belongs to another network" in done.stderr.splitlines()[-1]
    points = json.loads((other / "models" / "operating_points.json").read_text())
    (other / "models" / "operating_points.json").write_text(json.dumps({**points, "checkpoint_sha256": "0" * 64}))
    done = medkit(*call, *words(SMALL), cwd=trained, code=2)
    assert "was fitted for another checkpoint" in done.stderr.splitlines()[-1]


def test_a_loss_that_is_not_a_number_is_one_line(tmp_path):
    call = ["run", BUNDLE, "--quiet", "--stage", "train", *words(SMALL), "--optimizer#lr", "1e38"]
    done = medkit(*call, "--lr_scheduler#max_lr", "1e38", cwd=tmp_path, code=2)
    assert "the loss is nan" in done.stderr.splitlines()[-1]
