"""The ladder of the protein atlas from nothing to its table, and the network that reads a folder of new images."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from medkit.cli import cli

BUNDLE = Path(__file__).parent.parent / "bundles" / "protein_atlas"
SMALL = ("--phantom#images", "300", "--phantom#evaluated", "1", "--image_size", "[96, 96]", "--max_epochs", "1")
SMALL += ("--quiet", "--device", "cpu")
ROWS = [
    "densenet_like, plain", "densenet_like, class weights", "resnet18, plain", "resnet18, class weights",
    "densenet_like, thresholds", "resnet18, thresholds", "resnet18, thresholds of R4's rule",
    "resnet18, eight sides", "ensemble, union", "ensemble, vote", "ensemble, mean", "ensemble, mean of ranks",
    "ensemble, fitted weights",
]  # fmt: skip


def medkit(*words: object) -> str:
    done = CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("protein") / "run"
    chosen = ("--repeat", "0", "--backbone", "['densenet_like', 'resnet18']")
    medkit("run", BUNDLE, "-o", folder, *SMALL, *chosen)
    return folder


@pytest.mark.slow
def test_one_command_makes_the_whole_ladder(run):
    table = json.loads((run / "ladder" / "comparison.json").read_text())
    assert table["metric"] == "f1"
    assert [row["name"] for row in table["rows"]] == ROWS
    for row in table["rows"]:
        macro = row["f1"]["macro"]
        assert 0 <= macro["low"] <= macro["high"] <= 1
        assert row["classes"] == 28
        told = row["difference"] and row["report"]
        assert bool(row["agrees"]) == bool(told)
        scores = [row["f1"]["per_class"][name]["value"] for name in table["findings"]]
        assert macro["value"] == pytest.approx(sum(scores) / 28)
    steps = {row["name"]: row["difference"] and row["difference"]["against"] for row in table["rows"]}
    assert steps["resnet18, thresholds"] == "resnet18, class weights"
    assert steps["ensemble, union"] == "resnet18, thresholds"
    for step in ("weighted/seed0/rules", "weighted/seed0/turned/rules"):
        rules = json.loads((run / "ladder" / "resnet18" / step / "rules.json").read_text())
        assert list(rules["rules"]) == ["fixed", "f1", "f1_both", "youden"]


@pytest.mark.slow
def test_the_union_holds_what_any_network_says(run):
    decided = "weighted/seed0/rules/f1/predictions.csv"
    networks = [rows(run / "ladder" / name / decided) for name in ("densenet_like", "resnet18")]
    union = rows(run / "ladder/ensemble/seed0/union/predictions.csv")
    present = [name for name in union[0] if name.startswith("present_")]
    assert len(present) == 28
    for merged, *given in zip(union, *networks, strict=True):
        assert all(int(merged[name]) == max(int(row[name]) for row in given) for name in present)


@pytest.mark.slow
def test_the_network_is_measured_and_reads_new_images(run, tmp_path):
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["synthetic"]
    assert len(metrics["f1"]["per_class"]) == 28
    assert "SYNTHETIC" in (run / "report.html").read_text()
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for file in sorted((run / "phantom_cells" / "train").iterdir())[:12]:
        shutil.copy(file, inbox)
    next(inbox.glob("*_blue.png")).unlink()
    medkit("run", BUNDLE, "-o", tmp_path / "read", "--model_dir", run, "--input", inbox, "--quiet")
    read = rows(tmp_path / "read" / "predictions.csv")
    assert [row["status"] for row in read] == ["error", "ok", "ok"]
    assert "_blue.png is missing" in read[0]["reason"]
    assert read[1]["format"] == "medkit-predictions/1"
    assert (tmp_path / "read" / "report.html").is_file()
