"""What is wrong with a bundle is found before it runs, and named with its place."""

from __future__ import annotations

import importlib.metadata
import json
import re
from copy import deepcopy
from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from monai.bundle import verify_metadata

from medkit import fake_batch, metadata
from medkit.bundle import Bundle
from medkit.check import check_bundle
from medkit.files import sha256
from medkit.plain_bundle import read_plain
from medkit.yaml_traps import traps

ROOT = Path(__file__).parent.parent


def errors_of(root: Path) -> str:
    return "\n".join(check_bundle(root).errors)


def test_the_tiny_bundle_is_in_order_and_is_described(tiny_bundle, medkit):
    root = tiny_bundle()
    code, out, _ = medkit("check", root)
    assert code == 0, out
    assert "tiny: in order" in out
    paragraphs = out[out.index("  it imports:") :].splitlines()
    assert paragraphs[:4] == ["  it imports:", "    monai", "  it calls:", "    UNet"]
    assert paragraphs[4:7] == ["  it uses:", "    nothing", "  it evaluates:"]
    assert "    $@output_dir + '/words'" in paragraphs
    assert "    bundle_root/configs/count.yaml" in paragraphs[paragraphs.index("  it reads:") :]
    assert "    output_dir/words" in paragraphs[paragraphs.index("  it writes:") :]


# -- metadata ----------------------------------------------------------------------------------------------------------
# the keys that MONAI's own schema of 2024-07-25 requires, and those of a tensor
MONAI_KEYS = ["schema", "version", "monai_version", "pytorch_version", "numpy_version", "required_packages_version"]
MONAI_KEYS += ["task", "description", "authors", "copyright", "network_data_format"]
TENSOR_KEYS = ["type", "format", "num_channels", "spatial_shape", "dtype", "value_range"]


@pytest.mark.parametrize("key", MONAI_KEYS)
def test_what_monai_requires_is_required(key, tiny_bundle):
    about = Bundle.read(tiny_bundle()).metadata
    del about[key]
    assert list(metadata.problems(about)) == [f"metadata.json: '{key}' is a required property"]


@pytest.mark.parametrize("key", TENSOR_KEYS)
def test_what_monai_requires_of_a_tensor_is_required(key, tiny_bundle):
    about = Bundle.read(tiny_bundle()).metadata
    del about["network_data_format"]["inputs"]["image"][key]
    assert list(metadata.problems(about)) == [
        f"metadata.json, key network_data_format#inputs#image: '{key}' is a required property"
    ]


@pytest.mark.parametrize("key", [*MONAI_KEYS, "inputs"])
def test_monai_verifies_with_our_schema_too(key, tiny_bundle):
    root = tiny_bundle()
    file = root / "configs/metadata.json"
    ours = {"filepath": str(metadata.SCHEMA), "hash_type": "sha256", "hash_val": sha256(metadata.SCHEMA)}
    verify_metadata(meta_file=str(file), **ours)
    about = json.loads(file.read_text())
    about.pop(key, None)
    about.get("network_data_format", {}).pop(key, None)
    file.write_text(json.dumps(about))
    with pytest.raises(ValueError, match=r"schema"):
        verify_metadata(meta_file=str(file), **ours)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": "1"}, "key version: '1' does not match"),
        ({"monai_version": 1.6}, "key monai_version: 1.6 is not of type 'string'"),
        ({"required_packages_version": {"../x": "1.0"}}, "'../x' does not match"),
        ({"task": " "}, "key task: ' ' does not match"),
        ({"other_data_format": {"inputs": {}}}, "'outputs' is a required property"),
    ],
)
def test_what_the_metadata_says_wrong_is_named(change, message, tiny_bundle):
    assert message in errors_of(tiny_bundle({"configs/metadata.json": change}))


def test_packages_are_compared_with_what_is_installed(tiny_bundle):
    asked = {"pytorch-ignite": "99.0", "no-such-package": "1.0", "numpy": "1.0"}
    report = check_bundle(tiny_bundle({"configs/metadata.json": {"required_packages_version": asked}}))
    told = "\n".join(report.errors)
    assert re.search(r"asks for pytorch-ignite 99.0, and 0\.5\.\d+ is installed: update it", told)
    assert "asks for no-such-package 1.0, which is not installed" in told
    assert "numpy 1.0" not in told
    assert re.search(r"newer than the bundle asks for: .*numpy [\d.]+ \(made with 1.0\)", "\n".join(report.notes))


def test_a_part_of_a_package_that_the_metadata_does_not_list_is_noted(tiny_bundle):
    part = {"_target_": "medkit.localizer", "component": "saliency"}
    report = check_bundle(tiny_bundle({"configs/count.yaml": {"run": ["$@output_dir + '/words'", part]}}))
    assert report.errors == []
    assert "part saliency is of medkit-example" in "\n".join(report.notes)


# -- YAML --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("lr: 1e-3", '1e-3 is read as text: write 1.0e-3, or quote it: "1e-3"'),
        ("lr: 5E4", '5E4 is read as text: write 5.0e+4, or quote it: "5E4"'),
        ("name: no", 'no is read as false: write false, or quote it: "no"'),
        ("on: 1", 'on is read as true: write true, or quote it: "on"'),
        ("x: [1, Yes]", 'Yes is read as true: write true, or quote it: "Yes"'),
        ("code: 012", '012 is read as octal, as 10: write 12, or quote it: "012"'),
        ("time: 1:30", '1:30 is read in base 60, as 90: quote it: "1:30"'),
        ("day: 2026-01-31", '2026-01-31 is read as a date: quote it: "2026-01-31"'),
        ("a: 2", 'the key "a" is given twice: remove one'),
        ("b:\n\t- 1", "a tab: indent with spaces"),
        ("b: @a", 'quote what begins with "@"'),
        ("b: %a", 'quote what begins with "%"'),
        ("b: !!python/name:os.mkdir", "the tag tag:yaml.org,2002:python/name:os.mkdir is not plain YAML"),
        ("b: [1", "expected ',' or ']'"),
    ],
)
def test_a_trap_is_named_with_file_and_line(line, told, tmp_path):
    file = tmp_path / "train.yaml"
    file.write_text(f"# a comment\na: 1\n{line}\n")
    (found,) = traps(file)
    number = 3 + line.count("\n") + line.endswith("[1")
    assert found.startswith(f"train.yaml:{number}: {told}")


def test_a_trap_fails_a_check(tiny_bundle):
    root = tiny_bundle()
    with (root / "configs/count.yaml").open("a") as file:
        file.write("rate: 1e-3\n")
    assert re.search(r"count\.yaml:\d+: 1e-3 is read as text", errors_of(root))


@pytest.mark.parametrize(
    "line", ['"1e-3"', "1.0e-3", "1.0", "true", '"no"', "12", "0", "0.5", "'1:30'", "a:b", "~", "note 1e-3", "[1, 2]"]
)
def test_what_means_what_it_says_is_no_trap(line, tmp_path):
    (tmp_path / "train.yaml").write_text(f"a: {line}\nb: &b {{c: 1}}\nd:\n  <<: *b\n")
    assert traps(tmp_path / "train.yaml") == []


@given(st.floats(1e-12, 1e12), st.sampled_from(["e", "E"]))
def test_the_number_that_is_offered_is_the_one_that_was_meant(tmp_path_factory, value, letter):
    file = tmp_path_factory.getbasetemp() / "number.yaml"
    written = f"{value:.3e}".replace("e+", "e").replace("e", letter)
    file.write_text(f"a: {written}\n")
    for found in traps(file):
        assert yaml.safe_load(re.search(r"write (\S+),", found)[1]) == float(written)
    assert traps(file) or yaml.safe_load(file.read_text())["a"] == float(written)


def test_of_json_only_a_key_given_twice_is_a_trap(tmp_path):
    file = tmp_path / "train.json"
    file.write_text('{\n\t"a": 1e-3,\n\t"b": "no",\n\t"a": 2\n}')
    assert traps(file) == ['train.json:4: the key "a" is given twice: remove one']


# -- keys, paths, networks ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"network_def": {"_target": "UNet"}}, '"_target" is no key of MONAI\'s. Did you mean "_target_"?'),
        ({"run": [{"_target_": "SimpleInferer", "_disable_": True}]}, 'Did you mean "_disabled_"?'),
        ({"run": [{"_target_": "torch.nn.PReLU", "inti": 1}]}, 'PReLU has no option "inti". Did you mean "init"?'),
        ({"run": ["$len(@word)"]}, 'key run#0: "@word" leads nowhere. Did you mean "words"?'),
        ({"extra": 1}, "no stage uses the top-level keys extra: remove them"),
        ({"run": [{"_target_": "medkit.localizer", "component": "salience"}]}, 'Did you mean "saliency"?'),
        (
            {"run": [{"_target_": "medkit.localizer", "component": "saliency", "netwrok": 1}]},
            'saliency has no option "netwrok". Did you mean "network"?',
        ),
        ({"run": ["$@bundle_root + '/table.csv'"]}, "stage count: run#0 names bundle_root/table.csv: it is not there"),
    ],
)
def test_a_key_that_nothing_knows_is_named(change, told, tiny_bundle):
    assert told in errors_of(tiny_bundle({"configs/count.yaml": change}))


def test_what_a_stage_needs_is_made_before_or_lies_in_the_bundle(tiny_bundle):
    count = {"name": "count", "title": "Count", "config": ["count.yaml"]}
    stages = [
        {**count, "needs": ["a.csv", "models/*"]},
        {**count, "name": "again", "needs": ["b.csv"], "makes": ["a.csv"]},
    ]
    root = tiny_bundle({"configs/medkit.yaml": {"stages": stages}})
    told = check_bundle(root).errors
    assert [line.split(":")[0] + line.split(":")[1] for line in told] == [
        "stage count needs names model_dir/a.csv",
        "stage count needs names model_dir/models/*",
        "stage again needs names model_dir/b.csv",
    ]
    stages = [{**count, "makes": ["a.csv", "models/x.pt"]}, {**count, "name": "again", "needs": ["a.csv", "models/*"]}]
    assert check_bundle(tiny_bundle({"configs/medkit.yaml": {"stages": stages}})).errors == []


@pytest.mark.parametrize("name", ["/etc/passwd", "../../x", "a/../../x"])
def test_no_stage_needs_or_makes_what_lies_elsewhere(name, tiny_bundle, medkit):
    stages = [{"name": "count", "title": "Count", "config": ["count.yaml"], "makes": [name]}]
    root = tiny_bundle({"configs/medkit.yaml": {"stages": stages}})
    for command in ("check", "info", "run"):
        code, _, err = medkit(command, root)
        assert code == 2
        assert "leads out of the run's folder" in err


def test_a_network_is_tried_on_a_fake_batch(tiny_bundle):
    told = errors_of(tiny_bundle({"configs/count.yaml": {"words": ["one", "two", "three"]}}))
    assert "network_def: gives float32 (3, 32, 48) for a fake batch of (1, 1, 32, 48)" in told
    assert "metadata.json says float32 (2, 32, 48)" in told


def test_a_network_that_is_referred_to_is_tried_too(tiny_bundle):
    net = yaml.safe_load((tiny_bundle(name="usual") / "configs/count.yaml").read_text())["network_def"]
    root = tiny_bundle({"configs/count.yaml": {"net": {**net, "out_channels": 7}, "network_def": "@net"}})
    assert "network_def: gives float32 (7, 32, 48) for a fake batch of (1, 1, 32, 48)" in errors_of(root)


def test_a_bundle_without_a_network_says_that_none_was_tried(tiny_bundle):
    note = "not run: a network on a fake batch, because no stage has a network_def"
    assert note in check_bundle(tiny_bundle({"configs/count.yaml": {"network_def": None}})).notes
    assert note not in check_bundle(tiny_bundle(name="with")).notes


def test_a_check_downloads_nothing_however_deep_a_network_asks_for_weights(tiny_bundle, monkeypatch):
    asked = []
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda url, **_: asked.append(url))
    inner = {"component": "resnet18", "weights": "imagenet"}
    outer = {"_target_": "medkit.network", "component": "with_facts", "in_channels": 1, "out_channels": 2, "facts": 1}
    config = {"inner": inner, "network_def": {**outer, "network": "@inner"}}
    about = Bundle.read(tiny_bundle()).metadata
    told = list(fake_batch.problems([config, {"network_def": {**outer, "network": inner}}], about))
    assert len(told) == 2
    assert not any("cannot be built" in problem for problem in told)
    assert asked == []
    assert inner["weights"] == "imagenet"


def test_a_check_says_whose_parts_a_bundle_uses(tiny_bundle):
    part = {"_target_": "medkit.network", "component": "resnet18", "in_channels": 1, "out_channels": 2}
    report = check_bundle(tiny_bundle({"configs/count.yaml": {"network_def": part}}))
    version = importlib.metadata.version("medkit-resnet18")
    assert report.to_json()["effects"]["uses"] == [f"network resnet18: medkit-resnet18 {version}"]
    assert f"it uses:\n    network resnet18: medkit-resnet18 {version}\n" in report.to_text()


def test_no_network_is_tried_before_all_is_trusted(tiny_bundle, monkeypatch):
    def tried(*_):
        raise AssertionError("a network was built")

    monkeypatch.setattr(fake_batch, "problems", tried)
    report = check_bundle(tiny_bundle({"configs/count.yaml": {"run": ["$print(1)"]}}))
    assert report.notes[-1] == "not run: its networks on a fake batch, because not all that it would do is trusted"
    with pytest.raises(AssertionError, match="a network was built"):
        check_bundle(tiny_bundle(name="trusted"))


def test_a_fake_batch_may_vary_in_size_and_must_not_fill_the_memory(tiny_bundle):
    root = tiny_bundle()
    about, config = Bundle.read(root).metadata, yaml.safe_load((root / "configs/count.yaml").read_text())
    data = about["network_data_format"]
    for tensor in (data["inputs"]["image"], data["outputs"]["pred"]):
        tensor["spatial_shape"] = ["*", "16*n"]
    assert list(fake_batch.problems([config], about)) == []
    data["inputs"]["image"]["spatial_shape"] = [100_000, 100_000]
    assert "too large to try" in next(fake_batch.problems([config], about))
    data["inputs"]["image"] |= {"spatial_shape": [32, 48], "num_channels": 2}
    assert "fails on a fake batch of (1, 2, 32, 48): RuntimeError" in next(fake_batch.problems([config], about))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"spatial_shape": ["n n"]}, "cannot be tried on a fake batch: "),
        ({"spatial_shape": ["n - 9", 32]}, "on a fake batch"),
    ],
)
def test_a_fake_batch_that_cannot_be_made_is_one_line(change, told, tiny_bundle):
    root = tiny_bundle()
    about, config = Bundle.read(root).metadata, yaml.safe_load((root / "configs/count.yaml").read_text())
    about["network_data_format"]["inputs"]["image"] |= change
    assert list(metadata.problems(about)) == []
    (found,) = fake_batch.problems([config], about)
    assert told in found
    assert "\n" not in found


def test_references_that_multiply_or_go_in_circles_take_no_time(tiny_bundle):
    chain = {f"a{i}": f"$@a{i + 1} + '/' + @a{i + 1} + @a{i + 1}" for i in range(30)}
    config = {**chain, "a30": "x", "b": "@c", "c": "@b", "d": "@words#0#x", "run": ["@a0", "@b", "@d"]}
    told = errors_of(tiny_bundle({"configs/count.yaml": config}))
    assert 'key d: "@words::0::x" leads nowhere' in told or 'key d: "@words#0#x" leads nowhere' in told


def test_a_network_that_writes_is_held_back(tiny_bundle, tmp_path):
    part = {"_target_": "medkit.dataset", "component": "none", "section": "test", "fallback": "phantom"}
    config = {"network_def": {"_target_": "UNet", "x": {**part, "work_dir": str(tmp_path / "elsewhere")}}}
    about = Bundle.read(tiny_bundle()).metadata
    assert "outside its run folder" in next(fake_batch.problems([config], about))
    assert not (tmp_path / "elsewhere").exists()


# -- bundles of MONAI's zoo --------------------------------------------------------------------------------------------
NET = {"_target_": "UNet", "spatial_dims": 2, "in_channels": 1, "out_channels": 2, "channels": [4, 8], "strides": [2]}
ZOO_TRAIN = {
    "imports": ["$import glob", "$import ignite"],
    "bundle_root": ".",
    "ckpt_dir": "$@bundle_root + '/models'",
    "dataset_dir": "/data/organ_masks",
    "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
    "scans": "$sorted(glob.glob(@dataset_dir + '/scans/*.nii.gz'))",
    "network_def": NET,
    "network": "$@network_def.to(@device)",
    "optimizer": {"_target_": "torch.optim.Adam", "params": "$@network.parameters()", "lr": 1e-4},
    "train": {
        "preprocessing": {"_target_": "Compose", "transforms": [{"_target_": "LoadImaged", "keys": "image"}]},
        "dataset": {
            "_target_": "CacheDataset",
            "data": "$[{'image': s} for s in @scans]",
            "transform": "@train#preprocessing",
        },
        "dataloader": {"_target_": "DataLoader", "dataset": "@train#dataset", "batch_size": 2},
        "inferer": {"_target_": "SimpleInferer"},
        "handlers": [{"_target_": "CheckpointSaver", "save_dir": "@ckpt_dir", "save_dict": {"model": "@network"}}],
        "trainer": {
            "_target_": "SupervisedTrainer",
            "max_epochs": 3,
            "device": "@device",
            "train_data_loader": "@train#dataloader",
            "network": "@network",
            "optimizer": "@optimizer",
            "loss_function": {"_target_": "DiceCELoss", "softmax": True},
            "inferer": "@train#inferer",
            "train_handlers": "@train#handlers",
        },
    },
    "initialize": ["$monai.utils.set_determinism(seed=7)"],
    "run": ["$@train#trainer.run()"],
}
ZOO_OVER = {
    "device": "$torch.device(f'cuda:{dist.get_rank()}')",
    "train#sampler": {"_target_": "DistributedSampler", "dataset": "@train#dataset"},
    "train#dataloader#sampler": "@train#sampler",
    "initialize": ["$import torch.distributed as dist"],
}
ZOO_INFERENCE = {
    "bundle_root": ".",
    "dataset_dir": None,
    "device": {"_target_": "torch.device", "device": "cpu"},
    "network_def": NET,
    "inferer": {"_target_": "SimpleInferer"},
    "dataset": {"_target_": "Dataset", "data": []},
    "dataloader": {"_target_": "DataLoader", "dataset": "@dataset"},
    "evaluator": {
        "_target_": "SupervisedEvaluator",
        "device": "@device",
        "val_data_loader": "@dataloader",
        "network": "@network_def",
        "inferer": "@inferer",
    },
    "run": ["$@evaluator.run()"],
}


@pytest.fixture
def zoo(tiny_bundle):
    """Return a function that writes a bundle without configs/medkit.yaml."""

    def write(**configs):
        files = {f"configs/{name}.json": deepcopy(content) for name, content in configs.items()}
        root = tiny_bundle(files, name="zoo")
        for name in ("medkit.yaml", "count.yaml"):
            (root / "configs" / name).unlink()
        return root

    return write


def test_a_bundle_of_the_zoo_that_names_only_what_is_known_is_in_order(zoo, medkit):
    code, out, _ = medkit("check", zoo(inference=ZOO_INFERENCE))
    assert code == 0, out
    assert "zoo: in order" in out


def test_a_bundle_of_the_zoo_names_exactly_what_needs_trust(zoo, medkit):
    root = zoo(train=ZOO_TRAIN, multi_gpu_train=ZOO_OVER, inference=ZOO_INFERENCE)
    code, out, _ = medkit("check", root, "--json")
    told = json.loads(out)["zoo"]
    assert code == 2
    untrusted = {(f["path"], f["what"]) for f in told["audit"]["findings"] if not f["trusted"]}
    assert untrusted == {
        ("imports#0", "expression"),
        ("imports#1", "expression"),
        ("device", "expression"),
        ("scans", "expression"),
        ("network", "expression"),
        ("train#preprocessing#transforms#0", "target"),
        ("train#dataset#data", "expression"),
        ("train#handlers#0", "target"),
        ("train#sampler", "target"),
        ("initialize#0", "expression"),
    }
    assert {"import glob", "import ignite", "import torch.distributed as dist"} <= set(told["effects"]["imports"])
    assert "CheckpointSaver" in told["effects"]["calls"]
    assert "bundle_root/models" in told["effects"]["writes"]
    assert told["effects"]["reads"][-1] == "whatever the 12 things that are not trusted do"
    assert len(told["errors"]) == 12
    assert "stage train.json: dataset_dir names /data/organ_masks: it is not there" in told["notes"]


def test_a_file_that_changes_another_is_laid_over_it(zoo):
    over = {"validate#handlers": []}
    root = zoo(
        train=ZOO_TRAIN, evaluate=over, multi_gpu_evaluate=over, multi_gpu_train=ZOO_OVER, inference=ZOO_INFERENCE
    )
    assert {stage.title: stage.config for stage in read_plain(root).stages} == {
        "evaluate.json": ("train.json", "evaluate.json"),
        "inference.json": ("inference.json",),
        "multi_gpu_evaluate.json": ("train.json", "evaluate.json", "multi_gpu_evaluate.json"),
        "multi_gpu_train.json": ("train.json", "multi_gpu_train.json"),
        "train.json": ("train.json",),
    }


def test_a_bundle_of_the_zoo_is_not_run(zoo, medkit):
    code, _, err = medkit("run", zoo(train=ZOO_TRAIN))
    assert code == 2
    assert "it has no configs/medkit.yaml" in err


def test_a_folder_without_any_configuration_is_no_bundle(tmp_path, medkit):
    (tmp_path / "empty/configs").mkdir(parents=True)
    code, _, err = medkit("check", "empty")
    assert code == 2
    assert "no configuration in configs/" in err


# -- what a program reads ----------------------------------------------------------------------------------------------
def test_the_json_has_the_keys_that_the_docs_list(tiny_bundle, medkit):
    text = (ROOT / "docs/trust.md").read_text()
    documented = re.findall(r"^\| `([\w.\[\]]+)` \|", text, flags=re.MULTILINE)
    code, out, _ = medkit("check", tiny_bundle(), "--json")
    told = json.loads(out)
    assert (code, list(told)) == (0, ["plugins", "tiny"])

    def keys(node, prefix=""):
        for key, value in node.items():
            yield f"{prefix}{key}"
            if isinstance(value, dict):
                yield from keys(value, f"{prefix}{key}.")
            if isinstance(value, list) and value and isinstance(value[0], dict):
                yield from keys(value[0], f"{prefix}{key}[].")

    assert documented == list(keys(told["tiny"]))
