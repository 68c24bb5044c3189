"""Whatever a bundle would run is found, nothing of it is executed, and only what is known is trusted."""

from __future__ import annotations

import contextlib
import gc
import json
import operator
import sys
import warnings
from pathlib import Path
from pydoc import locate
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from monai.bundle import ConfigParser, ConfigWorkflow
from monai.bundle.config_item import ComponentLocator

from medkit.configuration import load_config
from medkit.errors import ConfigError, PluginError, TrustError
from medkit.expressions import why_refused
from medkit.trust import Audit, Finding, as_json, as_text, audit, require_trust
from medkit.trusted_targets import MONAI, OTHERS, TRUSTED_TARGETS

TRAIN = """
bundle_root: "."
output_dir: "$@bundle_root + '/out'"
dataset_dir: null
seed: 0
quiet: false
findings: [nodule, mass]
device: {_target_: ignite.distributed.device}
network_def: {_target_: medkit.localizer, component: saliency}
network: {_target_: ignite.distributed.auto_model, model: "@network_def"}
optimizer: {_target_: torch.optim.AdamW, params: "$@network.parameters()", lr: 0.001}
train:
  dataset:
    _target_: CacheDataset
    data: "@findings"
    transform: "@train#preprocessing"
  preprocessing:
    _target_: medkit.SafeCompose
    transforms: [{_target_: Resized, keys: image, spatial_size: [64, 48]}, {_target_: RandFlipd, keys: image}]
  handlers:
  - {_target_: medkit.EpochSeed, seed: "@seed", dataset: "@#dataset"}
  - {_target_: medkit.EpochSeed, seed: "@seed", dataset: "@train#dataset"}
  - {_target_: ignite.handlers.ProgressBar, desc: train, _disabled_: "@quiet"}
  - {_target_: medkit.Checkpoints, model: "@network", final: "$@output_dir + '/models/model.pt'", _requires_: "@device"}
  inferer: {_target_: SimpleInferer}
  trainer:
    _target_: SupervisedTrainer
    max_epochs: "$2 * len(@findings)"
    train_handlers: "@train#handlers"
    prepare_batch: {_target_: monai.data.list_data_collate, _mode_: callable}
initialize: [{_target_: monai.utils.set_determinism, seed: "@seed"}, {_target_: medkit.setup, seed: "@seed"}]
run: ["$@train#trainer.run()"]
"""


@pytest.fixture
def bundle(tmp_path: Path):
    """Write files of a bundle, given as ``{name: text or configuration}``, and return its folder."""

    def write(files: dict[str, Any]) -> Path:
        for name, content in files.items():
            file = tmp_path / "bundle" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return tmp_path / "bundle"

    return write


def audit_of(root: Path, **overrides: Any) -> Audit:
    config = load_config([root / "configs/train.yaml"], overrides)
    return audit(config, logging_conf=root / "configs/logging.conf", bundle_root=root)


def untrusted_of(config: dict[str, Any]) -> list[tuple[str, str]]:
    return [(finding.path, finding.what) for finding in audit(config).untrusted]


# -- what may run ------------------------------------------------------------------------------------------------------
def test_a_bundle_of_the_usual_shape_is_trusted(bundle):
    root = bundle(
        {
            "configs/train.yaml": TRAIN,
            "configs/metadata.json": '{"version": "1"}',
            "configs/logging.conf": LOGGING,
            "models/model.pt": "",
            "docs/README.md": "",
        }
    )
    found = audit_of(root)
    assert found.untrusted == ()
    require_trust(found)
    listed = {(f.path, f.what): f.value for f in found.findings}
    assert listed["train#trainer", "target"] == "SupervisedTrainer"
    assert listed["train#preprocessing#transforms#1", "target"] == "RandFlipd"
    assert listed["network_def#component", "component"] == "saliency"
    assert listed["run#0", "expression"] == "$@train::trainer.run()"
    assert listed["train#handlers#3#_requires_", "requires"] == "@device"
    assert listed["logging.conf#handler_screen#args", "logging"] == "(sys.stdout,)"


def test_every_trusted_bare_name_is_the_one_that_monai_finds():
    locator = ComponentLocator()
    for module, names in MONAI.items():
        for name in names.split():
            home = locator.get_component_module_name(name)
            assert isinstance(home, str), name
            assert home.startswith(module), name
            assert locate(f"{home}.{name}") is locate(f"{module}.{name}"), name


def test_every_other_trusted_name_exists():
    for module, names in OTHERS.items():
        for name in names.split():
            assert callable(locate(f"{module}.{name}")), name


@pytest.mark.parametrize(
    "name",
    [
        "Lambda Lambdad RandLambdad LoadImage LoadImaged SaveImage SaveImaged TorchVisiond TorchIOd CuCIMd DataStatsd",
        "PatchInferer CheckpointLoader CheckpointSaver LogfileHandler MLFlowHandler PersistentDataset PerceptualLoss",
        "TorchVisionFCModel MILModel FlexibleUNet HoverNet monai.bundle.run torch.load torch.hub.load",
        "functools.partial builtins.eval builtins.getattr medkit.Component medkit.build.network medkit.registry",
    ],
)
def test_names_that_run_what_they_are_given_are_not_trusted(name):
    for one in name.split():
        assert one not in TRUSTED_TARGETS
        assert f"monai.transforms.{one}" not in TRUSTED_TARGETS


# -- what may not: each really runs in MONAI, none of them here --------------------------------------------------------
CANARY = "CANARY"
OPEN = {"_target_": "builtins.open", "file": CANARY, "mode": "w"}
RUNS = {
    "code in an expression": {"x": f"$open('{CANARY}', 'w')"},
    "an expression far down": {"x": {"a": [1, {"b": [f"$open('{CANARY}', 'w')"]}]}},
    "an expression in _desc_": {"x": {"_target_": "SimpleInferer", "_desc_": f"$open('{CANARY}', 'w')"}},
    "an expression in _requires_": {"x": {"_target_": "SimpleInferer", "_requires_": [f"$open('{CANARY}', 'w')"]}},
    "a part in _requires_": {"x": {"_target_": "SimpleInferer", "_requires_": [OPEN]}},
    "a part in a disabled part": {"x": {"_target_": "SimpleInferer", "_disabled_": True, "y": OPEN}},
    "a builtin as target": {"x": OPEN},
    "a module's module as target": {"x": {"_target_": "torch.os.mkdir", "path": CANARY}},
    "a module of ours as target": {"x": {"_target_": "medkit.registry.os.mkdir", "path": CANARY}},
    "a reference as target": {"name": "os.mkdir", "x": {"_target_": "@name", "path": CANARY}},
    "an expression as target": {"name": "os.mkdir", "x": {"_target_": "$@name + ''", "path": CANARY}},
    "a macro as target": {"name": "os.mkdir", "x": {"_target_": "%name", "path": CANARY}},
    "a part as target": {"x": {"_target_": {"_target_": "os.mkdir", "_mode_": "callable"}, "path": CANARY}},
    "a macro of an expression": {"y": {"z": f"$open('{CANARY}', 'w')"}, "x": "%y#z"},
    "a lambda": {"x": f"$(lambda: open('{CANARY}', 'w'))()"},
    "a comprehension": {"x": f"$[open(name, 'w') for name in ['{CANARY}']]"},
    "a walrus": {"x": f"$(y := open('{CANARY}', 'w'))"},
    "a formatted string": {"x": "$f'{open(\"CANARY\", \"w\")}'"},
    "dunder attributes": {"x": f"$().__class__.__base__.__subclasses__() and open('{CANARY}', 'w')"},
    "a chain after a reference": {
        "p": {"_target_": "pathlib.Path"},
        "x": f"$@p.joinpath('{CANARY}').touch()",
    },
    "a call with arguments": {
        "x": {"_target_": "SimpleInferer", "y": f"$@p.run('{CANARY}')"},
        "p": {"_target_": "types.SimpleNamespace", "run": {"_target_": "os.mkdir", "_mode_": "callable"}},
    },
    "a reader by name": {"x": {"_target_": "LoadImage", "reader": "builtins.open", "file": CANARY, "mode": "w"}},
}  # fmt: skip


@pytest.mark.parametrize("config", RUNS.values(), ids=RUNS)
def test_what_is_not_known_is_refused_and_not_run(config, bundle, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = bundle({"configs/train.yaml": config})
    with pytest.raises(TrustError, match="not trusted"):
        require_trust(audit_of(root))
    assert not Path(CANARY).exists()


@pytest.mark.parametrize("config", RUNS.values(), ids=RUNS)
@pytest.mark.filterwarnings("ignore")
def test_control_what_is_refused_would_have_run_in_monai(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with contextlib.suppress(RuntimeError):  # some fail after the deed
        ConfigParser(json.loads(json.dumps(config))).get_parsed_content("x")
    gc.collect()  # the open files that the deeds leave behind are closed here, not in another test
    assert Path(CANARY).exists()


def test_an_import_runs_wherever_it_stands_and_is_refused(bundle, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/evil_module.py").write_text(f"open({str(tmp_path / CANARY)!r}, 'w').close()")
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    config = {"never": {"used": ["$import evil_module"]}, "x": 1, "imports": ["$from evil_module import y"]}
    root = bundle({"configs/train.yaml": config})
    assert untrusted_of(config) == [("never#used#0", "expression"), ("imports#0", "expression")]
    with pytest.raises(TrustError, match="an import"):
        require_trust(audit_of(root))
    assert not (tmp_path / CANARY).exists()
    ConfigParser(config).get_parsed_content("x")
    assert (tmp_path / CANARY).exists()


@pytest.mark.parametrize("extra", [{"_mode_": "debug"}, {"_mode_": " debug "}, {"_mode_": "@x"}, {"_debug_": True}])
def test_a_debugger_is_refused(extra):
    assert untrusted_of({"x": {"_target_": "SimpleInferer", **extra}}) == [("x", "target")]


@pytest.mark.parametrize(
    "target", ["Medkit.network", "medkit.network ", " DataLoader", "medkit.networks", "torch.optim", 1, None, ["a"]]
)
def test_a_target_is_exactly_a_trusted_name(target):
    assert ("x", "target") in untrusted_of({"x": {"_target_": target, "component": "saliency"}})


def test_metadata_is_part_of_the_configuration(bundle):
    root = bundle({"configs/train.yaml": {"x": 1}, "configs/metadata.json": '{"version": "$open(1)"}'})
    assert [f.path for f in audit_of(root).untrusted] == ["_meta_#version"]
    assert audit({}, metadata={"a": "$import os"}).untrusted[0].path == "_meta_#a"


def test_the_whole_configuration_may_be_a_part():
    assert untrusted_of({"_target_": "os.mkdir", "path": CANARY}) == [("", "target")]


# -- components --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["@x", "$@x + 'liency'", "%x", None, 3, {"_target_": "SimpleInferer"}])
def test_a_component_is_a_literal_name(name):
    found = audit({"x": "sa", "part": {"_target_": "medkit.localizer", "component": name}})
    assert ("part#component", "component") in [(f.path, f.what) for f in found.untrusted]
    with pytest.raises(TrustError):
        require_trust(found)


def test_a_component_that_is_not_installed_is_a_plugin_error_that_no_trust_would_mend():
    with pytest.raises(PluginError, match=r'key part#component: .*Did you mean "saliency"'):
        require_trust(audit({"part": {"_target_": "medkit.localizer", "component": "salience"}}))


def test_a_component_of_another_kind_is_not_found():
    with pytest.raises(PluginError, match="It is a localizer"):
        require_trust(audit({"part": {"_target_": "medkit.network", "component": "saliency"}}))


@pytest.mark.parametrize("fallback", ["@x", {"component": "saliency"}, "nothing_of_this_name"])
def test_the_fallback_of_a_data_set_is_a_component_too(fallback):
    found = audit({"d": {"_target_": "medkit.dataset", "component": "@y", "fallback": fallback}})
    assert [f.path for f in found.findings if f.what == "component"] == ["d#component", "d#fallback"]
    assert "d#fallback" in [f.path for f in found.untrusted]


# -- files -------------------------------------------------------------------------------------------------------------
def test_macros_inside_the_bundle_are_expanded_as_monai_does(bundle, monkeypatch):
    config = {"a": {"b": [1, 2]}, "x": "%a#b#1", "y": "%configs/more.yaml#z", "n": {"m": "%##a#b#0"}}
    root = bundle({"configs/train.yaml": config, "configs/more.yaml": {"z": {"w": 3}}})
    monkeypatch.chdir(root)
    ours = load_config(["configs/train.yaml"])
    theirs = ConfigWorkflow("configs/train.yaml", logging_file=False).parser
    theirs.resolve_macro_and_relative_ids()
    assert ours == theirs.get()
    assert (ours["x"], ours["y"], ours["n"]) == (2, {"w": 3}, {"m": 1})


def test_files_merge_and_overrides_apply_as_monai_does(bundle):
    root = bundle(
        {
            "configs/train.yaml": {"a": {"b": 1, "c": 2}, "l": [1], "d": {"e": {"f": 1}}, "gone": {"x": 1}},
            "configs/fit.yaml": {"+a": {"c": 3}, "+l": [2], "d#e#f": 5, "gone": {"y": 2}, "~l": "no such prefix"},
            "configs/metadata.json": '{"version": "1"}',
        }
    )
    files = [str(root / "configs/train.yaml"), str(root / "configs/fit.yaml")]
    overrides = {"a#b": "@l", "d::e": {"g": "@#h"}}
    theirs = ConfigWorkflow(files, logging_file=False, **json.loads(json.dumps(overrides))).parser
    theirs.resolve_macro_and_relative_ids()
    assert load_config(files, overrides) == theirs.get()
    assert overrides["d::e"] == {"g": "@#h"}, "the caller's overrides are left alone"


def test_overrides_are_audited(bundle):
    root = bundle({"configs/train.yaml": {"x": {"y": 1}}})
    assert [f.path for f in audit_of(root, **{"x#y": "$import os"}).untrusted] == ["x#y"]


@pytest.mark.parametrize("how", ["absolute", "dots", "link", "linked folder", "relative"])
def test_a_macro_that_leaves_the_bundle_is_neither_read_nor_trusted(how, bundle, tmp_path, monkeypatch):
    (tmp_path / "secret.yaml").write_text("password: 1234")
    root = bundle({"configs/train.yaml": {}})
    monkeypatch.chdir(tmp_path)
    if how == "link":
        (root / "inside.yaml").symlink_to(tmp_path / "secret.yaml")
    if how == "linked folder":
        (root / "linked").symlink_to(tmp_path)
    path = {
        "absolute": tmp_path / "secret.yaml",
        "dots": f"{root}/configs/../../secret.yaml",
        "link": root / "inside.yaml",
        "linked folder": root / "linked/secret.yaml",
        "relative": "secret.yaml",
    }[how]
    (root / "configs/train.yaml").write_text(yaml.safe_dump({"x": f"%{path}#password", "copy": "%x"}))
    found = audit_of(root)
    assert ("x", "macro") in [(f.path, f.what) for f in found.untrusted]
    assert "1234" not in json.dumps(as_json(found))
    assert load_config([root / "configs/train.yaml"])["x"] == f"%{path}#password"
    assert load_config([root / "configs/train.yaml"], outside=True)["x"] == 1234


def test_a_macro_inside_a_macro_is_refused_since_monai_may_expand_it_or_not(bundle, monkeypatch):
    root = bundle({"configs/train.yaml": {"x": "%configs/more.yaml#y"}, "configs/more.yaml": {"y": "%/etc/z.yaml"}})
    monkeypatch.chdir(root)
    assert [(f.path, f.what) for f in audit_of(root).untrusted] == [("x", "macro")]


def test_a_configuration_outside_the_bundle_is_refused(bundle, tmp_path):
    root = bundle({"configs/other.yaml": {"x": 1}})
    (tmp_path / "train.yaml").write_text("x: 1")
    (root / "configs/train.yaml").symlink_to(tmp_path / "train.yaml")
    for file in ("configs/train.yaml", "configs/../../train.yaml"):
        with pytest.raises(TrustError, match="outside the bundle"):
            load_config([root / file], bundle_root=root)
    assert load_config([root / "configs/train.yaml"], outside=True)["x"] == 1


@pytest.mark.parametrize(
    "text",
    [
        'x: !!python/object/apply:os.mkdir ["CANARY"]',
        "x: !!python/name:os.mkdir",
        "x: !evil {}",
        "- a list",
        "1: a number for a key",
        "",
        "x: [",
        "+x: {a: 1}\nx#y#z: 2",
        "x: '%no.such.key'",
        "x: '%/no/such/file.yaml'",
        "x: '@####y'",
        "x: &x [*x]",
    ],
)
@pytest.mark.filterwarnings("ignore:Can't merge")
def test_what_cannot_be_read_is_one_line_and_runs_nothing(text, bundle, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = bundle({"configs/train.yaml": text})
    with pytest.raises(ConfigError) as caught:
        load_config([root / "configs/train.yaml"], outside=True)
    assert "\n" not in str(caught.value)
    assert not Path(CANARY).exists()


def test_anchors_that_stand_for_billions_of_items_are_refused(bundle, monkeypatch):
    monkeypatch.setattr("medkit.configuration.MOST_ITEMS", 10_000)
    lines = ["a0: &a0 [1, 1]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9))]
    root = bundle({"configs/train.yaml": "\n".join(lines)})
    with pytest.raises(ConfigError, match="more than 10000 items"):
        load_config([root / "configs/train.yaml"])


def test_a_misspelt_override_is_one_line(bundle):
    root = bundle({"configs/train.yaml": {"x": {"y": 1}}})
    with pytest.raises(ConfigError, match='override "z#y" leads nowhere'):
        load_config([root / "configs/train.yaml"], {"z#y": 1})


@pytest.mark.parametrize("name", ["cv2.py", "scripts/__init__.py", "csv.PYC", "a/b.so", "x.dist-info/entry_points.txt"])
def test_code_in_the_bundle_is_refused_since_monai_makes_it_importable(name, bundle):
    root = bundle({"configs/train.yaml": {"x": 1}, name: ""})
    assert [f.what for f in audit_of(root).untrusted] == ["code"]


def test_a_link_to_a_folder_elsewhere_is_refused(bundle, tmp_path):
    root = bundle({"configs/train.yaml": {"x": 1}, "docs/README.md": ""})
    (root / "cv2").symlink_to(tmp_path)
    (root / "more").symlink_to(root / "docs")
    assert [(f.path, f.what) for f in audit_of(root).untrusted] == [("cv2", "link")]


# -- logging.conf ------------------------------------------------------------------------------------------------------
LOGGING = """
[loggers]
keys=root
[handlers]
keys=screen
[formatters]
keys=full
[logger_root]
level=INFO
handlers=screen
[handler_screen]
class=StreamHandler
level=INFO
formatter=full
args=(sys.stdout,)
[formatter_full]
format=%(asctime)s %(message)s
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("class=StreamHandler", "class=FileHandler"),
        ("class=StreamHandler", "class=handlers.SocketHandler"),
        ("class=StreamHandler", "class=eval"),
        ("args=(sys.stdout,)", "args=(__import__('os').mkdir('CANARY'),)"),
        ("args=(sys.stdout,)", "args=('/tmp/file', 'w')"),
        ("args=(sys.stdout,)", "args=%(evil)s\nevil=(1,)"),
        ("args=(sys.stdout,)", "args=(sys.stdout,)\nkwargs={'a': 1}"),
        ("[formatter_full]", "[formatter_full]\nclass=os.mkdir"),
        ("[formatter_full]", "[formatter_full]\ndefaults=__import__('os').mkdir('CANARY')"),
        ("[loggers]", "[DEFAULT]\nclass=eval\n[loggers]"),
        ("[loggers]", "[loggers"),
    ],
)
def test_logging_that_does_more_than_print_is_refused_and_not_run(old, new, bundle, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = bundle({"configs/train.yaml": {"x": 1}, "configs/logging.conf": LOGGING.replace(old, new)})
    assert {f.what for f in audit_of(root).untrusted} == {"logging"}
    assert not Path(CANARY).exists()


# -- the grammar -------------------------------------------------------------------------------------------------------
VALUES: dict[str, Any] = {"a": 3, "b": 0.5, "deep": {"list": [1, 2, 7]}, "word": "out"}
REFERENCES = {"@a": 3, "@b": 0.5, "@deep#list#2": 7, "@deep::list": [1, 2, 7]}
OPERATIONS = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv,
}  # fmt: skip
numbers = st.integers(0, 99) | st.floats(0.25, 8, allow_nan=False) | st.booleans()
atoms = numbers.map(lambda n: (repr(n), n)) | st.sampled_from(
    [("@a", 3), ("@b", 0.5), ("@deep#list#2", 7), ("len(@deep#list)", 3)]
)


def _binary(parts):
    (left, operation, right) = parts
    return f"({left[0]} {operation} {right[0]})", OPERATIONS[operation](left[1], right[1])


def _divides(parts):
    return parts[1] not in ("/", "//") or parts[2][1] != 0


def _not(part):
    return f"(not {part[0]})", not part[1]


def _minus(part):
    return f"(- {part[0]})", -part[1]


def _chosen(parts):
    (one, test, other) = parts
    return f"({one[0]} if {test[0]} else {other[0]})", one[1] if test[1] else other[1]


def _grow(smaller):
    binary = st.tuples(smaller, st.sampled_from(sorted(OPERATIONS)), smaller).filter(_divides).map(_binary)
    return binary | smaller.map(_not) | smaller.map(_minus) | st.tuples(smaller, smaller, smaller).map(_chosen)


sentences = st.recursive(atoms, _grow, max_leaves=8)


@pytest.mark.filterwarnings("ignore:Generating overly large repr")  # of how a sentence was made, not of the sentence
@given(sentences)
def test_sentences_of_the_grammar_are_trusted_and_mean_the_same_in_monai(sentence):
    text, value = sentence
    assert why_refused(f"${text}") == ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ~True and the like
        assert ConfigParser({**VALUES, "x": f"${text}"}).get_parsed_content("x") == pytest.approx(value, nan_ok=True)


@given(st.lists(st.sampled_from(["@word", "'/models'", '".pt"', "''"]), min_size=2, max_size=6))
def test_paths_may_be_added(words):
    text = "$" + " + ".join(words)
    assert why_refused(text) == ""
    expected = "".join("out" if word == "@word" else word[1:-1] for word in words)
    assert ConfigParser({**VALUES, "x": text}).get_parsed_content("x") == expected


OUTSIDE = [
    "{0}.x", "{0}.run", "{0}.__class__", "{0}()", "{0}[0]", "[{0}]", "({0},)", "{{{0}: 1}}", "{{{0}}}", "lambda: {0}",
    "lambda y={0}: y", "('s' if {0} else 's')", "({0} and 1)", "({0} < 1)", "{0} ** 2", "{0} % 2", "{0} << 2", "~({0})",
    "+({0})", "[y for y in {0}]", "{{y for y in {0}}}", "({0} for y in [])", "(y := {0})", "print({0})", "len({0}, 1)",
    "len(*{0})", "len(obj={0})", "int({0})", "({0}).run()", "@a.run({0})", "@a.run(x={0})", "@a.run().run()",
    "@a.stop()", "@a.parameters().x", "'s' * ({0})", "({0}) * ('s' + @word)", "-('s' + @word)", "b'x' + ({0})",
    "1j + ({0})", "... + ({0})", "f'{{{0}}}'", "[*{0}]", "(yield {0})", "await {0}", "'@a' + ({0})", '"@a" + ({0})',
    "torch + ({0})", "__local_refs['a'] + ({0})", "__loc\uff41l_refs['a'] + ({0})", "__builtins__ + ({0})",
]  # fmt: skip


@given(sentences.map(lambda s: s[0]), st.sampled_from(OUTSIDE), st.sampled_from(["{0}", "1 + ({0})", "not ({0})"]))
def test_one_step_outside_the_grammar_is_refused_wherever_it_is_taken(inside, step, around):
    assert why_refused("$" + around.format(step.format(f"({inside})")))


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_any_text_is_judged_without_an_error(text):
    assert isinstance(why_refused(f"${text}"), str)


@pytest.mark.parametrize("text", ["$'lonely'", "$", "$ 1", "$1\n2", "$1; 2", "$" + "(" * 300, "$" + "-" * 400 + "1"])
def test_lonely_strings_statements_and_monsters_are_refused(text):
    assert why_refused(text)


def test_long_and_deep_expressions_are_refused():
    assert "longer" in why_refused("$" + "1+" * 400 + "1")
    assert "deep" in why_refused("$" + "-" * 60 + "1")


# -- what a person reads -----------------------------------------------------------------------------------------------
def test_the_error_names_the_first_few_and_how_many_there_are(bundle):
    config = {"train": {f"x{i}": {"_target_": f"os.evil{i}"} for i in range(5)}, "ok": {"_target_": "SimpleInferer"}}
    with pytest.raises(TrustError) as caught:
        require_trust(audit(config))
    message = str(caught.value)
    assert message.startswith("5 of 6 things that would run are not trusted: train#x0 target os.evil0 (not on the list")
    assert "os.evil2" in message
    assert "os.evil3" not in message
    assert message.endswith('and 2 more. "--trust" runs them anyway, "medkit check BUNDLE" lists all')
    assert "\n" not in message


def test_the_text_lists_the_untrusted_first():
    text = as_text(audit({"a": {"_target_": "SimpleInferer"}, "b": "$@a.run()", "c": {"_target_": "os.mkdir"}}))
    lines = text.splitlines()
    assert lines[0].split()[:5] == ["NOT", "TRUSTED", "c", "target", "os.mkdir"]
    assert lines[1].split() == ["a", "target", "SimpleInferer"]
    assert lines[-1] == "3 things would run (target 2, expression 1), 1 not trusted"
    assert as_text(Audit(())) == "0 things would run (), 0 not trusted"


def test_no_terminal_obeys_what_a_bundle_writes():
    text = as_text(audit({"x\n\x1b[2K": "$\x1b[31m\u202etrusted\n" + "y" * 500}))
    assert len(text.splitlines()) == 2
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_the_json_holds_every_finding():
    found = audit({"a": {"_target_": "SimpleInferer"}, "b": "$1 ** 2"})
    told = as_json(found)
    assert told["trusted"] is False
    assert [Finding(**finding) for finding in told["findings"]] == list(found.findings)


def test_two_stages_are_joined_without_repeats():
    first, second = audit({"a": "$1", "b": "$2"}), audit({"b": "$2", "c": "$3"})
    assert [f.path for f in (first | second).findings] == ["a", "b", "c"]


def test_an_audit_imports_nothing_of_the_bundle(bundle, tmp_path, monkeypatch):
    config = {"x": {"_target_": "evil_package.f"}, "y": "$import evil_package"}
    root = bundle({"configs/train.yaml": config, "evil_package.py": f"open({str(tmp_path / CANARY)!r}, 'w')"})
    monkeypatch.syspath_prepend(root)
    assert [f.what for f in audit_of(root).untrusted] == ["target", "expression", "code"]
    assert "evil_package" not in sys.modules
    assert not (tmp_path / CANARY).exists()
