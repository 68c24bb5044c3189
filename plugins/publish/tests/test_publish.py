"""A published bundle is what MONAI and medkit take: with its weights, its options, and no trace of the run."""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import shutil
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from medkit_publish.baked import baked
from monai.bundle import ConfigParser, download, load

from medkit import cli, lock
from medkit.bundle import Bundle
from medkit.card import write_card
from medkit.configuration import load_config
from medkit.files import sha256, write_json
from medkit.request import Request
from medkit.runs import Run

BUNDLES = Path(__file__).parents[3] / "bundles"
OPTIONS = {"image_size": [48, 64], "network_def#blocks": [2, 2, 2], "network_def#growth_rate": 8}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """What a finished training of chest_gradcam leaves, with weights that were drawn and not learnt."""
    folder = tmp_path / "runs" / "chest_gradcam" / "2026-01-01_00-00-00"
    config = load_config([BUNDLES / "chest_gradcam" / "configs" / "inference.yaml"], OPTIONS)
    torch.manual_seed(0)
    network = ConfigParser(config).get_parsed_content("network_def")
    (folder / "models").mkdir(parents=True)
    torch.save(network.state_dict(), folder / "models" / "model.pt")
    write_card(folder / "models" / "model.pt", labels=config["findings"], synthetic=True)
    write_json(folder / "models" / "operating_points.json", {"parts": {}})
    given = {**OPTIONS, "dataset_dir": str(tmp_path), "weights": str(tmp_path / "start.pt"), "max_epochs": 1}
    write_json(folder / "run.json", {"overrides": {key: str(value) for key, value in given.items()}})
    for stage, names in {"train": ["model.pt", "model.json"], "fit": ["operating_points.json"]}.items():
        made = {f"models/{name}": sha256(folder / "models" / name) for name in names}
        write_json(folder / "receipts" / f"{stage}.json", {"makes": made})
    return folder


@pytest.fixture
def medkit(capsys, monkeypatch, tmp_path) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs the command line where the run is: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["medkit", *map(str, words)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def published(run, medkit, tmp_path) -> Path:
    code, out, err = medkit("publish", BUNDLES / "chest_gradcam")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "chest_gradcam_v0.1.0.zip"
    assert "SYNTHETIC" in out
    return tmp_path / "chest_gradcam_v0.1.0.zip"


@pytest.fixture
def served(published) -> Iterator[str]:
    """The zip file's address on a server of this machine."""
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(quiet, directory=str(published.parent))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/{published.name}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.filterwarnings("ignore:parsing config_file:UserWarning", "ignore:No hash value provided:UserWarning")
def test_monai_downloads_the_zip_file_and_loads_the_network_with_its_weights(served, run, tmp_path):
    download(name="chest_gradcam", url=served, bundle_dir=str(tmp_path / "there"), progress=False)
    network = load("chest_gradcam", bundle_dir=str(tmp_path / "there"), workflow_type="inference", device="cpu")
    weights = torch.load(run / "models" / "model.pt", weights_only=True)
    assert network.state_dict().keys() == weights.keys()
    assert all(torch.equal(network.state_dict()[key], value) for key, value in weights.items())


def test_the_zip_file_has_the_layout_of_the_model_zoo_and_says_nothing_of_this_machine(published, run, tmp_path):
    with zipfile.ZipFile(published) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    names = {name.removeprefix("chest_gradcam/") for name in content}
    models = {"models/model.pt", "models/model.json", "models/operating_points.json"}
    assert models | {"LICENSE", "docs/README.md", "configs/metadata.json", "configs/inference.json"} <= names
    for name in models:
        assert content[f"chest_gradcam/{name}"] == (run / name).read_bytes()
    assert not [name for name, bytes_ in content.items() if str(tmp_path).encode() in bytes_]
    metadata = json.loads(content["chest_gradcam/configs/metadata.json"])
    assert metadata["network_data_format"]["inputs"]["image"]["spatial_shape"] == OPTIONS["image_size"]


def test_every_configuration_of_the_zip_file_says_what_the_model_was_trained_with(published, tmp_path):
    with zipfile.ZipFile(published) as archive:
        archive.extractall(tmp_path / "there")
    bundle = Bundle.read(tmp_path / "there" / "chest_gradcam")
    for stage in bundle.stages:
        config = load_config(bundle.config_files(stage))
        if "network_def" in config:
            network = config["network_def"]
            assert (config["image_size"], network["blocks"], network["growth_rate"]) == tuple(OPTIONS.values())
        assert (config["model_dir"] == "@bundle_root") is stage.on_input
    configs = bundle.root / "configs"
    assert json.loads((configs / "inference.json").read_text()) == yaml.safe_load(
        (configs / "inference.yaml").read_text()
    )


def test_the_same_model_gives_the_same_bytes_at_any_time(published, medkit, tmp_path):
    copy = tmp_path / "copy" / "chest_gradcam"
    shutil.copytree(BUNDLES / "chest_gradcam", copy, ignore=shutil.ignore_patterns("models", "out"))
    for file in copy.rglob("*"):
        os.utime(file, (10**9, 10**9))
    assert medkit("publish", copy, "-o", "again.zip")[0] == 0
    assert (tmp_path / "again.zip").read_bytes() == published.read_bytes()


def test_a_model_in_its_bundle_is_used_with_the_options_that_it_was_trained_with(run, medkit, tmp_path):
    copy = tmp_path / "copy" / "chest_gradcam"
    shutil.copytree(BUNDLES / "chest_gradcam", copy, ignore=shutil.ignore_patterns("models", "out"))
    code, out, _ = medkit("publish", copy, "--bundle")
    assert code == 0
    assert "models/model.pt" in out
    (tmp_path / "files").mkdir()
    elsewhere = Request(Bundle.read(copy), input_dir=tmp_path / "files", runs_dir=tmp_path / "none")
    planned = Run.plan(elsewhere)
    assert planned.model_dir == copy
    config = planned.configs["inference"]
    assert config["image_size"] == OPTIONS["image_size"]
    assert config["network_def"]["growth_rate"] == OPTIONS["network_def#growth_rate"]
    assert str(tmp_path) not in (copy / "models" / "run.json").read_text()


def test_a_lock_goes_into_no_zip_file_and_is_to_be_made_again_in_the_bundle_itself(run, medkit, tmp_path):
    copy = tmp_path / "copy" / "chest_gradcam"
    shutil.copytree(BUNDLES / "chest_gradcam", copy, ignore=shutil.ignore_patterns("models", "out"))
    assert medkit("lock", copy)[0] == 0
    assert medkit("publish", copy, "-o", "locked.zip")[0] == 0
    with zipfile.ZipFile(tmp_path / "locked.zip") as archive:
        archive.extractall(tmp_path / "there")
    there = tmp_path / "there" / "chest_gradcam"
    lock.require_unchanged(there)
    assert not (there / lock.LOCK).exists()
    code, out, _ = medkit("publish", copy, "--bundle")
    assert (code, f"run medkit lock {copy}" in out) == (0, True)
    assert "models/model.pt is added" in lock.changes(copy)
    assert medkit("lock", copy)[0] == 0
    lock.require_unchanged(copy)


def test_a_run_in_a_published_bundle_uses_the_model_that_it_trains_itself(published, tmp_path):
    with zipfile.ZipFile(published) as archive:
        archive.extractall(tmp_path / "there")
    planned = Run.plan(Request(Bundle.read(tmp_path / "there" / "chest_gradcam"), runs_dir=tmp_path / "mine"))
    given = {stage.name: planned.command_overrides(stage)["model_dir"] for stage in planned.stages}
    assert set(given.values()) == {str(planned.output_dir)}


def _lose_the_receipt(run: Path, bundle: Path) -> None:
    (run / "receipts" / "fit.json").unlink()


def _change_a_product(run: Path, bundle: Path) -> None:
    write_json(run / "models" / "operating_points.json", {"parts": {}, "threshold": 0.5})


def _swap_the_weights(run: Path, bundle: Path) -> None:
    torch.save({}, run / "models" / "model.pt")
    receipt = json.loads((run / "receipts" / "train.json").read_text())
    write_json(
        run / "receipts" / "train.json", receipt | {"makes": {"models/model.pt": sha256(run / "models/model.pt")}}
    )


def _lose_the_run(run: Path, bundle: Path) -> None:
    shutil.rmtree(run)


def _put_code_into_the_bundle(run: Path, bundle: Path) -> None:
    report = bundle / "configs" / "report.yaml"
    report.write_text(report.read_text().replace('"$@report.run()"', '"$print(1)"'))


def _link_out_of_the_bundle(run: Path, bundle: Path) -> None:
    (bundle / "docs" / "secret.txt").symlink_to(__file__)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (_lose_the_receipt, "has no finished models/operating_points.json: run medkit run chest_gradcam to its end"),
        (_change_a_product, "models/operating_points.json was changed since the run made it"),
        (_swap_the_weights, 'their card "model.json" says'),
        (_lose_the_run, "no trained model: looked for models/model.pt"),
        (_put_code_into_the_bundle, "is not in order: run#0: expression"),
        (_link_out_of_the_bundle, "is not in order: docs/secret.txt"),
    ],
)
def test_what_is_not_whole_is_not_published(harm, message, run, medkit, tmp_path):
    bundle = tmp_path / "copy" / "chest_gradcam"
    shutil.copytree(BUNDLES / "chest_gradcam", bundle, ignore=shutil.ignore_patterns("models", "out"))
    harm(run, bundle)
    code, out, err = medkit("publish", bundle)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not list(tmp_path.glob("*.zip"))


def test_a_bundle_that_reads_no_new_images_has_nothing_to_publish(medkit):
    code, _, err = medkit("publish", BUNDLES / "chest_techniques")
    assert code == 2
    assert "leaves no model for new images" in err


CONFIGS = sorted(path for path in BUNDLES.glob("*/configs/*.yaml") if path.name != "medkit.yaml")


@pytest.mark.parametrize("file", CONFIGS, ids=lambda p: f"{p.parts[-3]}-{p.stem}")
def test_baked_options_are_what_monai_makes_of_the_overrides_and_no_other_line_changes(file):
    text = file.read_text(encoding="utf-8")
    assert baked(text, {"no_such_key": 1, "nor#this": 2}) == text
    config: dict[str, Any] = yaml.safe_load(text)
    given = {key: [7, 9] for key in list(config)[::2] if "#" not in key and "+" not in key}
    given |= {f"{key}#added": "@it" for key, value in config.items() if isinstance(value, dict) and key not in given}
    given = {key: value for key, value in given.items() if "#" not in key.removesuffix("#added")}
    changed = baked(text, given)
    parser = ConfigParser(yaml.safe_load(text))
    for key, value in given.items():
        parser[key] = value
    assert yaml.safe_load(changed) == parser.get()
    kept = [line for line in text.splitlines() if re.match(r"#", line)]
    assert [line for line in changed.splitlines() if re.match(r"#", line)] == kept
