"""An exported network gives the logits of the original, says so, and is not written where it does not."""

from __future__ import annotations

import json
import math
import shutil
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from medkit_export.comparison import ABSOLUTE, RELATIVE, DiffersError, compare
from medkit_export.exported import write
from medkit_export.formats import FORMATS
from medkit_export.trained_network import TrainedNetwork
from monai.bundle import ConfigParser
from monai.data import load_net_with_metadata
from PIL import Image

from medkit import cli
from medkit.bundle import Bundle
from medkit.card import write_card
from medkit.configuration import load_config
from medkit.files import sha256
from medkit.request import Request

BUNDLES = Path(__file__).parents[3] / "bundles"
NETWORKS = sorted(path for path in BUNDLES.glob("*/configs/inference*.yaml"))
WEIGHTS = {"inference": "models/model.pt", "inference_segmentation": "segmentation/models/model.pt"}
SMALL = ("--image_size", "[24,40]", "--network_def#channels", "[4,8]")
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated:DeprecationWarning")


def drawn(config: Path, folder: Path, overrides: dict[str, Any] | None = None, **card: Any) -> torch.nn.Module:
    """Return a network of weights that were drawn and not learnt, and leave them in a folder with a card."""
    parser = ConfigParser(load_config([config], overrides))
    torch.manual_seed(0)
    network = parser.get_parsed_content("network_def").eval()
    for buffer in network.buffers():
        buffer.nan_to_num_(0.5)  # an average image, if it has one
    file = folder / WEIGHTS[config.stem]
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), file)
    labels = parser.get_parsed_content("findings") if config.stem == "inference" else ["lesion"]
    write_card(file, **{"labels": labels, "synthetic": True, **card})
    return network


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of three grey pictures of different sizes."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (70 + number, 90), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def medkit(capsys, monkeypatch, tmp_path) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs the command line in an empty folder: (exit code, stdout, stderr)."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

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
def brain(tmp_path: Path) -> torch.nn.Module:
    """A small network of brain_mri, its weights in ``model``."""
    small = {"image_size": [24, 40], "network_def#channels": [4, 8]}
    return drawn(BUNDLES / "brain_mri" / "configs" / "inference.yaml", tmp_path / "model", small)


def opened(file: Path) -> tuple[Callable[[torch.Tensor], tuple[torch.Tensor, ...]], dict[str, str]]:
    """Return what an exported file computes and says, read as a stranger would."""
    if file.suffix == ".onnx":
        onnx.checker.check_model(onnx.load(file), full_check=True)
        session = onnxruntime.InferenceSession(file)
        said = session.get_modelmeta().custom_metadata_map
        return lambda x: tuple(map(torch.from_numpy, session.run(None, {"image": x.numpy()}))), said
    if file.suffix == ".pt2":
        inside = {"metadata.json": ""}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch of its own file
            program = torch.export.load(file, extra_files=inside)
        return program.module(), json.loads(inside["metadata.json"])
    network, metadata, _ = load_net_with_metadata(str(file))
    return network, metadata


@pytest.mark.parametrize("name", FORMATS)
def test_a_stranger_gets_the_logits_of_the_original_and_all_facts(name, brain, images, medkit, tmp_path):
    call = ["export", BUNDLES / "brain_mri", "--format", name, "--run", tmp_path / "model", "--input", images]
    code, out, err = medkit(*call, *SMALL)
    assert (code, err) == (0, "")
    file = Path("brain_mri").with_suffix(FORMATS[name].suffix)
    assert sorted(map(str, Path().iterdir())) == [str(file), f"{file}.json"]
    computed, said = opened(file)
    batch = torch.rand(5, 1, 24, 40, generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        torch.testing.assert_close(computed(batch)[0], brain(batch), atol=1e-5, rtol=1e-5)
    told = json.loads(Path(f"{file}.json").read_text())
    assert told["sha256"] == sha256(file)
    assert told["checkpoint_sha256"] == sha256(tmp_path / "model" / "models" / "model.pt")
    assert told["findings"] == ["no_tumour", "tumour"]
    assert told["input"]["shape"] == ["batch", 1, 24, 40]
    assert told["input"]["value_range"] == [0, 1]
    assert told["outputs"] == {"logits": {"shape": ["batch", 2], "dtype": "float32"}}
    differences = told["comparison"]["differences"]
    assert list(differences) == ["random, 1 image", "random, 3 images", "3 real images"]
    assert all(d["logits"]["max_absolute"] < ABSOLUTE for d in differences.values())
    assert {"medkit", "torch", *FORMATS[name].packages} <= told["versions"].keys()
    assert "logits" in told["meaning"]
    assert "no probabilities" in out
    assert "SYNTHETIC" in out
    for text in (told["warning"], said["warning"]):
        assert text.startswith("SYNTHETIC")
    assert str(said["synthetic"]).lower() == "true"
    assert str(tmp_path) not in Path(f"{file}.json").read_text()


def test_a_model_that_learnt_from_patients_is_not_called_synthetic(images, medkit, tmp_path):
    config = BUNDLES / "brain_mri" / "configs" / "inference.yaml"
    drawn(config, tmp_path / "model", {"image_size": [24, 40], "network_def#channels": [4, 8]}, synthetic=False)
    call = ["export", BUNDLES / "brain_mri", "--format", "torchscript", "--run", tmp_path / "model", "--input", images]
    code, out, _ = medkit(*call, *SMALL, "-o", "out/some.ts")
    assert code == 0
    assert "SYNTHETIC" not in out
    assert not opened(Path("out/some.ts"))[1]["synthetic"]
    assert "warning" not in json.loads(Path("out/some.ts.json").read_text())


def _with_another_bias(network, example, facts, file):
    with torch.no_grad():
        list(network.parameters())[-1].add_(0.001)
    FORMATS["torchscript"].write(network, example, facts, file)


def _for_one_batch_size(network, example, facts, file):
    class Fixed(torch.nn.Module):
        def forward(self, image):
            return (network(image)[0].view(len(example), -1),)

    torch.jit.save(torch.jit.trace(Fixed(), example), str(file))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("wrong", "message"),
    [(_with_another_bias, "the copy differs from the original by up to 0.001"), (_for_one_batch_size, "cannot hold")],
)
def test_a_copy_that_computes_something_else_is_not_left(wrong, message, brain, images, medkit, tmp_path, monkeypatch):
    monkeypatch.setitem(FORMATS, "pt2", replace(FORMATS["torchscript"], write=_untouched(wrong)))
    call = ["export", BUNDLES / "brain_mri", "--format", "pt2", "--run", tmp_path / "model", "--input", images, *SMALL]
    code, out, err = medkit(*call)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not list(Path().iterdir())


def _untouched(write: Callable[..., None]) -> Callable[..., None]:
    """Return a writer that cannot change the original, since it gets a copy."""
    from copy import deepcopy

    return lambda network, *others: write(deepcopy(network), *others)


def test_the_comparison_refuses_what_is_beyond_the_tolerance_and_what_is_no_number():
    true = torch.tensor([[-4.0, 0.0, 2.0]])
    allowed = ABSOLUTE + RELATIVE * true.abs()

    def against(copy: torch.Tensor) -> dict[str, float]:
        return compare(lambda _: (true,), lambda _: (copy,), {"b": true}, ["logits"])["b"]["logits"]

    found = against(true + 0.9 * allowed)
    assert found["max_absolute"] == pytest.approx(0.9 * float(allowed.max()), rel=1e-3)
    assert found["max_relative"] == pytest.approx(found["max_absolute"] / 4)
    with pytest.raises(DiffersError, match="differs from the original"):
        against(true + 1.1 * allowed * torch.tensor([0, 0, 1]))
    for copy in (true + math.nan, true[:, :2]):
        with pytest.raises(DiffersError):
            against(copy)


def test_no_probability_moves_by_more_than_is_promised():
    logits = torch.linspace(-30, 30, 60001, dtype=torch.float64)
    moved = (logits + ABSOLUTE + RELATIVE * logits.abs()).sigmoid() - logits.sigmoid()
    assert float(moved.abs().max()) < 0.00005


def _other_labels(tmp_path: Path) -> list[object]:
    write_card(tmp_path / "model" / "models" / "model.pt", labels=["yes", "no"])
    return []


def _other_network(tmp_path: Path) -> list[object]:
    return ["--network_def#channels", "[4,6]"]


def _nothing_readable(tmp_path: Path) -> list[object]:
    return ["--model_dir", tmp_path / "nowhere"]


def _no_such_config(tmp_path: Path) -> list[object]:
    return ["--config", "inferense.yaml"]


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (_other_labels, "was trained for ['yes', 'no'], the bundle asks for ['no_tumour', 'tumour']"),
        (_other_network, "belongs to another network"),
        (_nothing_readable, "nowhere is not a folder"),
        (_no_such_config, 'runs no "inferense.yaml" on new images. Did you mean "inference.yaml"'),
    ],
)
def test_what_a_user_can_mend_is_one_line(harm, message, brain, images, medkit, tmp_path):
    call = ["export", BUNDLES / "brain_mri", "--format", "torchscript", "--run", tmp_path / "model", "--input", images]
    code, _, err = medkit(*call, *SMALL, *harm(tmp_path))
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
    assert not list(Path().iterdir())


def test_without_its_packages_onnx_says_what_to_install(medkit, monkeypatch):
    find = FORMATS["onnx"].require.__globals__["importlib"].util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "onnxscript" else find(name))
    code, _, err = medkit("export", BUNDLES / "brain_mri", "--format", "onnx")
    assert code == 2
    assert err == "medkit: onnxscript not installed: pip install 'medkit-export[onnx]'\n"


def test_a_bundle_without_a_model_and_one_without_inference_say_so(medkit):
    code, _, err = medkit("export", BUNDLES / "brain_mri", "--format", "pt2")
    assert code == 2
    assert "no trained model: looked for models/model.pt" in err
    code, _, err = medkit("export", BUNDLES / "chest_techniques", "--format", "pt2")
    assert code == 2
    assert 'runs no "inference.yaml" on new images. It runs: nothing.' in err


def test_nothing_of_a_bundle_runs_before_the_audit_has_passed(brain, images, medkit, tmp_path):
    bundle = tmp_path / "bad"
    shutil.copytree(BUNDLES / "brain_mri", bundle, ignore=shutil.ignore_patterns("models", "out"))
    config = bundle / "configs" / "inference.yaml"
    canary = tmp_path / "canary"
    config.write_text(config.read_text().replace("network_def:", f"network_def:\n  no: \"$open(r'{canary}', 'w')\"", 1))
    code, _, err = medkit("export", bundle, "--format", "pt2", "--run", tmp_path / "model", "--input", images)
    assert code == 2
    assert "are not trusted" in err
    assert not canary.exists()


def test_a_segmentation_without_its_classifiers_predictions_is_compared_on_noise_and_says_so(images, medkit, tmp_path):
    config = BUNDLES / "breast_ultrasound" / "configs" / "inference_segmentation.yaml"
    drawn(config, tmp_path / "model")
    call = ["export", BUNDLES / "breast_ultrasound", "--format", "torchscript", "--config", config.name]
    code, out, _ = medkit(*call, "--run", tmp_path / "model", "--input", images, "--image_size", "[32,64]")
    assert code == 0
    assert "compared on no real image, none could be read: error: gate_values" in out
    told = json.loads(Path("breast_ultrasound_segmentation.ts.json").read_text())
    assert told["findings"] == ["lesion"]
    assert told["outputs"]["logits"]["shape"] == ["batch", 1, 32, 64]
    assert list(told["comparison"]["differences"]) == ["random, 1 image", "random, 3 images"]


@pytest.mark.slow
@pytest.mark.parametrize("config", NETWORKS, ids=lambda p: f"{p.parts[-3]}-{p.stem}")
def test_the_network_of_every_bundle_can_be_exported_in_every_format(config, images, tmp_path):
    if config.parts[-3] == "protein_atlas":  # one file a colour
        for file in list(images.iterdir()):
            for colour in ("red", "green", "blue", "yellow"):
                shutil.copy(file, images / f"{file.stem}_{colour}.png")
    network = drawn(config, tmp_path / "model")
    request = Request(
        Bundle.read(config.parents[1]), input_dir=images, model_dir=tmp_path / "model", output_dir=tmp_path
    )
    trained = TrainedNetwork.read(request, config.name)
    batch = torch.rand(2, *trained.images.shape, generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        true = network(batch)
    for name, form in FORMATS.items():
        file = (tmp_path / "it").with_suffix(form.suffix)
        assert list(write(trained, name, file))
        assert json.loads(Path(f"{file}.json").read_text())["findings"] == trained.labels
        for ours, theirs in zip(true if isinstance(true, tuple) else (true,), opened(file)[0](batch)):
            torch.testing.assert_close(theirs, ours, atol=1e-4, rtol=1e-4)
