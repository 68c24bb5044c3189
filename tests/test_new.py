"""What `medkit new` makes installs, tests green and is found, as it stands."""

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from flit_core.wheel import make_wheel_in

from medkit.bundle import Bundle
from medkit.check import check_bundle
from medkit.errors import ConfigError, PluginError
from medkit.hookspecs import HOOKS
from medkit.new import new_folder
from medkit.new_bundle import new_bundle
from medkit.new_plugin import new_plugin
from medkit.registry import Registry

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    """One new plugin of each kind, ``my_KIND``, in a folder; its wheel is installed in ``site``."""
    folder = tmp_path_factory.mktemp("plugins")
    for kind in HOOKS:
        made = new_plugin(f"my_{kind}", folder, kind)
        wheel = make_wheel_in(made / "pyproject.toml", folder).file
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder / "site")
    return folder


def python(folder, *words):
    path = os.pathsep.join([str(folder / "site"), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_a_plugin_of_every_kind_is_found(plugins):
    done = python(plugins, "-m", "medkit.cli", "plugins", "--json")
    parts = {(part["kind"], part["name"]): part["distribution"] for part in json.loads(done.stdout)["parts"]}
    for kind in HOOKS:
        assert parts[kind, f"my_{kind}"] == f"medkit-my-{kind}"


def test_the_tests_of_every_kind_pass(plugins):
    options = [
        "-q",
        "-p",
        "no:cacheprovider",
        "--import-mode=importlib",
        "-c",
        str(ROOT / "pyproject.toml"),
    ]
    folders = [str(plugins / f"my_{kind}") for kind in HOOKS]
    done = python(plugins, "-m", "pytest", *options, "--rootdir", str(plugins), "-rA", *folders)
    assert done.returncode == 0, done.stdout[-5000:]
    for kind in HOOKS:
        assert f"PASSED my_{kind}/tests/test_{kind}.py::TestContract::" in done.stdout


@pytest.mark.parametrize("kind", HOOKS)
def test_a_plugin_holds_what_its_kind_needs_under_its_own_name(plugins, kind):
    folder = plugins / f"my_{kind}"
    package = f"src/medkit_my_{kind}"
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    modules = {f"{package}/{name}.py" for name in ("__init__", "hooks", kind)}
    assert files == {"README.md", "pyproject.toml", f"tests/test_{kind}.py", *modules}
    example = [offer.component for offer in Registry.discover().of_kind(kind) if offer.distribution == "medkit-example"]
    old = [word for part in example for word in (f'"{part.name}"', f"component: {part.name}", "_example", "-example")]
    for file in files:
        assert not [word for word in old if word in (folder / file).read_text()], file
    assert (folder / package / "hooks.py").read_text().count("@hookimpl") == 1


def test_a_new_pyproject_says_what_the_examples_does(plugins):
    ours = tomllib.loads((ROOT / "plugins" / "example" / "pyproject.toml").read_text())
    wanted: set[str] = set()
    for kind in HOOKS:
        theirs = tomllib.loads((plugins / f"my_{kind}" / "pyproject.toml").read_text())
        assert theirs["build-system"] == ours["build-system"]
        assert theirs["project"].keys() == ours["project"].keys()
        assert all(theirs["project"][key] == ours["project"][key] for key in ("license", "requires-python", "readme"))
        assert "medkit>=0.1" in theirs["project"]["dependencies"]
        wanted |= set(theirs["project"]["dependencies"])
    assert {name.partition(">")[0] for name in wanted} == {n.partition(">")[0] for n in ours["project"]["dependencies"]}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("My-Plugin", "is not a name for a package"),
        ("1x", "is not a name for a package"),
        ("class", "is taken by a Python keyword"),
        ("none", "is taken by a Python keyword"),
        ("grad_cam", "is taken by the localizer of medkit-grad-cam"),
        ("unet_dice", "is taken by the installed Python module medkit_unet_dice"),
        ("json", "is taken by the installed Python module json"),
        ("torch", "is taken by the installed Python module torch"),
        ("lib", "is taken by another project's distribution, medkit-lib"),
        ("taken", "exists: choose another name, or remove it"),
    ],
)
def test_a_name_that_cannot_be_is_refused_and_leaves_nothing(tmp_path, name, message):
    (tmp_path / "taken").mkdir()
    with pytest.raises(ConfigError, match=message):
        new_plugin(name, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_command_does_not_hide_behind_medkits_own(tmp_path):
    with pytest.raises(ConfigError, match="is taken by medkit's own command"):
        new_plugin("chekc", tmp_path, "command", commands=["chekc"])
    assert new_plugin("chekc", tmp_path, "loss", commands=["chekc"]).is_dir()


def test_without_the_example_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("medkit.new_plugin.registry", Registry)
    with pytest.raises(PluginError, match="pip install medkit-example"):
        new_plugin("mine", tmp_path)


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    def interrupted():
        with new_folder("mine", tmp_path) as draft:
            (draft / "half").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("source", ["chest_gradcam", "brain_mri", "breast_ultrasound"])
def test_a_new_bundle_is_in_order_under_its_own_name(tmp_path, source):
    original = Bundle.read(ROOT / "bundles" / source)
    folder = new_bundle("mine", tmp_path, original.root)
    assert check_bundle(folder).errors == []
    copy = Bundle.read(folder)
    assert copy.stages == original.stages
    assert (copy.metadata["name"], copy.metadata["version"]) == ("mine", "0.1.0")
    assert copy.metadata["changelog"] == {"0.1.0": f"copied from {source} {original.metadata['version']}"}
    card = (folder / "docs" / "README.md").read_text()
    assert card.startswith(f"# mine\n\nCopied from {source} ")
    assert "](../../" not in card
    assert not [path for path in folder.rglob("*.*") if f"bundles/{source}" in path.read_text()]


def test_a_bundle_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match="give --from FOLDER"):
        new_bundle("mine", tmp_path, tmp_path / "bundles" / "chest_gradcam")
