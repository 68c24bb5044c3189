"""Every bundle is a whole MONAI bundle: MONAI's own tools accept it, and its files agree with each other."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from monai.bundle import ConfigWorkflow

from medkit.bundle import Bundle

BUNDLES = sorted(p for p in (Path(__file__).parent.parent / "bundles").iterdir() if p.is_dir())
by_name = pytest.mark.parametrize("bundle", BUNDLES, ids=lambda p: p.name)
TRAINING_ONLY = ("weights", "labels")  # options of a network that inference does not build from pretrained weights


def config(bundle: Path, name: str) -> dict:
    return yaml.safe_load((bundle / "configs" / name).read_text())


@by_name
def test_what_inference_shares_with_training_agrees(bundle):
    train, inference = config(bundle, "train.yaml"), config(bundle, "inference.yaml")
    network = {k: v for k, v in train["network_def"].items() if k not in TRAINING_ONLY}
    assert inference["network_def"] == network
    for key in ("findings", "image_size", "seed", "device"):
        assert inference[key] == train[key]
    fit = config(bundle, "fit.yaml")
    for key in ("operating_points", "boxes"):
        assert inference[key] == fit[key]
    assert inference["inferer"] == fit["inferer"]
    assert inference["postprocessing"] == fit["validate#postprocessing"]
    ours = [t for t in inference["preprocessing"]["transforms"] if t.get("component") != "intended_use"]
    assert ours == train["train"]["preprocessing"]["transforms"]


@by_name
def test_metadata_describes_the_network(bundle):
    read = Bundle.read(bundle)
    channels = read.metadata["network_data_format"]["outputs"]["pred"]["channel_def"]
    assert list(channels.values()) == config(bundle, "train.yaml")["findings"]
    size = read.metadata["network_data_format"]["inputs"]["image"]["spatial_shape"]
    assert size == config(bundle, "train.yaml")["image_size"]
    named = {part["component"] for text in read.config_files(read.stages[0]) for part in _parts(_load(text))}
    required = read.metadata["required_packages_version"]
    assert {"densenet121", "chest_xray"} <= named
    assert "medkit-phantom" in required


def _load(path: str) -> dict:
    return yaml.safe_load(Path(path).read_text())


def _parts(node):
    if isinstance(node, dict):
        if "component" in node:
            yield node
        for value in node.values():
            yield from _parts(value)
    elif isinstance(node, list):
        for value in node:
            yield from _parts(value)


@by_name
@pytest.mark.parametrize(("name", "kind"), [("train.yaml", "train"), ("inference.yaml", "infer")])
def test_monai_finds_every_property(bundle, name, kind, tmp_path):
    small = {"phantom#images": 60, "quiet": True, "device": "cpu"}
    workflow = ConfigWorkflow(
        config_file=str(bundle / "configs" / name),
        workflow_type=kind,
        bundle_root=str(bundle),
        output_dir=str(tmp_path),
        **small,
    )
    workflow.initialize()
    assert workflow.check_properties() == []


@by_name
def test_monai_verifies_the_network_on_a_fake_batch(bundle):
    files = {"meta_file": "metadata.json", "config_file": "inference.yaml"}
    words = [word for key, name in files.items() for word in (f"--{key}", str(bundle / "configs" / name))]
    command = [sys.executable, "-W", "ignore", "-m", "monai.bundle", "verify_net_in_out", "--net_id", "network_def"]
    done = subprocess.run([*command, *words, "--device", "cpu"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
