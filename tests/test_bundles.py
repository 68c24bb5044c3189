"""Every bundle is a whole MONAI bundle: MONAI's own tools accept it, and its files agree with each other."""

from __future__ import annotations

import functools
import importlib.metadata
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from pydoc import locate
from typing import Any

import pytest
import torch
from monai.bundle import (
    ComponentLocator,
    ConfigComponent,
    ConfigParser,
    ConfigWorkflow,
    ReferenceResolver,
    verify_net_in_out,
)

from medkit import loops
from medkit.bundle import Bundle
from medkit.configuration import load_config, walk
from medkit.hookspecs import HOOKS
from medkit.registry import Offer, registry

BUNDLES = sorted(p for p in (Path(__file__).parent.parent / "bundles").iterdir() if p.is_dir())
FITTED_BY = {"inference.yaml": "fit", "inference_segmentation.yaml": "fit_gate"}
"""What runs on new images, and the stage that has fitted it."""
PAIRS = [(bundle, name) for bundle in BUNDLES for name in FITTED_BY if (bundle / "configs" / name).is_file()]
WORKFLOWS = {
    "train.yaml": "train",
    "segment.yaml": "train",
    "inference.yaml": "infer",
    "inference_segmentation.yaml": "infer",
}
SMALL: dict[str, dict[str, Any]] = {
    "brain_mri": {"phantom#images": 40, "phantom#size": 64},
    "breast_ultrasound": {"phantom#images": 80, "phantom#size": 64},
    "chest_from_scratch": {"phantom#images": 60},
    "chest_gradcam": {"phantom#images": 60},
    "chest_small_data": {"phantom#images": 60, "epoch_images": None, "proportions": None},
    "chest_weak_vgg19": {"phantom#images": 60, "network_def#weights": None},
    "protein_atlas": {"phantom#images": 280, "phantom#evaluated": 1, "phantom#size": 64},
}
TRAINING_ONLY = ("weights", "labels")  # options of a network that inference does not build from pretrained weights
PLACES = ("phantom", "folds_csv", "run")  # where new images are, and what is done with them
PATIENTS = (
    "findings",
    "images",
    "size",
    "seed",
    "minimum",
    "evaluated",
)  # says which phantoms are in a run's one folder
ONE_OUTPUT = (
    "brain_mri",
    "chest_gradcam",
    "chest_small_data",
    "chest_weak_vgg19",
    "protein_atlas",
)  # MONAI verifies it
LOCATOR = ComponentLocator()  # it searches MONAI once
MANDATORY = ("version", "monai_version", "pytorch_version", "numpy_version", "required_packages_version", "task")
MANDATORY += ("description", "authors", "copyright", "network_data_format")

by_name = pytest.mark.parametrize("bundle", BUNDLES, ids=lambda p: p.name)
by_pair = pytest.mark.parametrize(("bundle", "name"), PAIRS, ids=lambda p: p.name if isinstance(p, Path) else p)


@functools.cache
def stages(bundle: Path) -> dict[str, dict[str, Any]]:
    """Return the merged configuration of every stage by name; of repetitions that read the same files, the first."""
    read = Bundle.read(bundle)
    chosen = {s.config: s for s in reversed(read.stages)}.values()
    plain = {s.name: load_config(read.config_files(s), bundle_root=bundle) for s in chosen}
    return {
        s.name: load_config(read.config_files(s), loops.settings(s, plain[s.name]), bundle_root=bundle) for s in chosen
    }


def resolved(config: dict[str, Any], node: Any) -> Any:
    """Return a part of a configuration with its references filled in, nothing built."""
    if isinstance(node, dict):
        return {key: resolved(config, value) for key, value in node.items()}
    if isinstance(node, list):
        return [resolved(config, value) for value in node]
    if isinstance(node, str) and re.fullmatch(r"\$@\w+( \+ @\w+)+", node):
        return [value for part in node[1:].split(" + ") for value in resolved(config, part)]
    if isinstance(node, str) and node.startswith("@"):
        return resolved(config, ConfigParser(config)[node[1:].replace("::", "#")])
    return node


def of_the_image(transforms: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what happens to each image alike: nothing random, nothing for masks, no place of a table."""
    found = []
    for given in transforms:
        part = {key: value for key, value in given.items() if key != "predictions"}
        keys = part.get("keys")
        if isinstance(keys, list):
            chosen = keys.index("image")
            listed = {k for k, v in part.items() if isinstance(v, list) and len(v) == len(keys) and k != "spatial_size"}
            part |= {key: part[key][chosen] for key in listed}
        random = part["_target_"].startswith(("Rand", "OneOf", "SpatialPad"))  # the pad makes room for a random crop
        if not random and part.get("component") not in ("random_affine", "load_mask", "intended_use"):
            found.append(part)
    return found


@by_pair
def test_what_inference_shares_with_training_agrees(bundle, name):
    inference, trained = load_config([bundle / "configs" / name]), stages(bundle)[FITTED_BY[name]]
    network = {k: v for k, v in trained["network_def"].items() if k not in TRAINING_ONLY}
    assert inference["network_def"] == network
    shared = inference.keys() & trained.keys() - {*PLACES, "network_def"}
    assert {"findings", "image_size", "seed", "device", "inferer"} <= shared
    assert {key: inference[key] for key in shared} == {key: trained[key] for key in shared}
    drawn = [[config["phantom"].get(key) for key in PATIENTS] for config in (inference, trained)]
    assert drawn[0] == drawn[1]
    assert inference["postprocessing"] == trained["validate"]["postprocessing"]
    ours, training, validation = (
        of_the_image(resolved(config, section["preprocessing"])["transforms"])
        for config, section in ((inference, inference), (trained, trained["train"]), (trained, trained["validate"]))
    )
    assert ours == training == validation


def offers(config: dict[str, Any]) -> Iterator[Offer]:
    """Yield every part of a plugin that a configuration names, fallbacks included."""
    for part in (value for *_, value in walk(config) if isinstance(value, dict)):
        kind = str(part.get("_target_")).removeprefix("medkit.")
        if kind in HOOKS:
            yield registry().find(kind, part["component"])
            if part.get("fallback"):
                yield registry().find(kind, part["fallback"])
            if kind == "network" and "network" in part:
                yield registry().find(kind, part["network"]["component"])


@by_name
def test_the_metadata_requires_exactly_what_is_named(bundle):
    metadata = Bundle.read(bundle).metadata
    assert not set(MANDATORY) - metadata.keys()
    assert metadata["name"] == bundle.name
    configs = (*stages(bundle).values(), Bundle.read(bundle).on_input)
    named = {offer.distribution for config in configs for offer in offers(config)}
    required = {name: importlib.metadata.version(name) for name in sorted({"medkit", *named})}
    assert metadata["required_packages_version"] == required


@by_name
def test_the_metadata_describes_every_network(bundle):
    metadata = Bundle.read(bundle).metadata
    described = {key: value for key, value in metadata.items() if key.endswith("_data_format")}
    met = set()
    different = {str((c["network_def"], c.get("targets"))): c for c in stages(bundle).values() if "network_def" in c}
    for config in different.values():
        network, channels = untrained(config), config.get("channels", 1)
        with torch.inference_mode():
            output = network(torch.rand(1, channels, *config["image_size"]))
        outputs = output if isinstance(output, tuple) else (output,)
        given = [(str(o.dtype).removeprefix("torch."), *o.shape[1:]) for o in outputs]
        (name,) = [key for key, form in described.items() if [_form(o) for o in form["outputs"].values()] == given]
        met.add(name)
        assert _form(described[name]["inputs"]["image"]) == ("float32", channels, *config["image_size"])
        if outputs[0].ndim == 2 and name == "network_data_format":
            assert list(described[name]["outputs"]["pred"]["channel_def"].values()) == config["findings"]
    assert met == described.keys()


def untrained(config: dict[str, Any]) -> torch.nn.Module:
    """Return the network as it is built where there is no file to start from, with an average image if it has one."""
    start = {"weights": None} if "weights" in config["network_def"] else {}
    network = ConfigParser({**config, "network_def": config["network_def"] | start}).get_parsed_content("network_def")
    for buffer in network.buffers():
        buffer.nan_to_num_()
    return network.eval()


def _form(tensor: dict[str, Any]) -> tuple[str | int, ...]:
    return (tensor["dtype"], tensor["num_channels"], *tensor["spatial_shape"])


@by_name
def test_every_reference_leads_somewhere_and_every_part_takes_its_options(bundle):
    for name, config in stages(bundle).items():
        parser = ConfigParser(config)
        for *_, path, value in walk(config):
            if isinstance(value, str):
                assert not [i for i in ReferenceResolver.match_refs_pattern(value) if i not in parser], (name, path)
            elif ConfigComponent.is_instantiable(value):
                for target, options in _calls(config, value):
                    try:
                        inspect.signature(target).bind(**options)
                    except TypeError as error:
                        pytest.fail(f"{name}: {path}: {error}")


def _calls(config: dict[str, Any], part: dict[str, Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield what MONAI would call, and with which options; of a plugin's part, the part itself."""
    options = {key: value for key, value in part.items() if not key.startswith("_")}
    kind = part["_target_"].removeprefix("medkit.")
    if kind not in HOOKS:
        yield locate(ConfigComponent(part, locator=LOCATOR).resolve_module_name()), options
        return
    if kind == "dataset":
        options = {"dataset_dir": "", **options}
    fallback = {key: options.pop(key) for key in ("fallback", "fallback_options", "work_dir") if key in options}
    yield registry().find(kind, options.pop("component")).component.load(), options
    if fallback:
        given = resolved(config, fallback["fallback_options"])
        yield registry().find(kind, fallback["fallback"]).component.load(), {"dataset_dir": "", "section": "", **given}


@pytest.mark.parametrize(
    ("bundle", "name"),
    [(b, name) for b in BUNDLES for name in WORKFLOWS if (b / "configs" / name).is_file() and b.name in SMALL],
    ids=lambda p: p.name if isinstance(p, Path) else p,
)
def test_monai_finds_every_property(bundle, name, tmp_path):
    workflow = ConfigWorkflow(
        config_file=str(bundle / "configs" / name),
        workflow_type=WORKFLOWS[name],
        bundle_root=str(bundle),
        output_dir=str(tmp_path),
        quiet=True,
        device="cpu",
        **SMALL[bundle.name],
    )
    workflow.initialize()
    assert workflow.check_properties() == []


@pytest.mark.parametrize("bundle", [b for b in BUNDLES if b.name in ONE_OUTPUT], ids=lambda p: p.name)
def test_monai_verifies_the_network_on_a_fake_batch(bundle):
    files = {"meta_file": "metadata.json", "config_file": "inference.yaml"}
    verify_net_in_out(
        net_id="network_def", device="cpu", **{key: str(bundle / "configs" / name) for key, name in files.items()}
    )
