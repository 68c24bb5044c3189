"""The house keeps its walls: who may import whom, and what lies where."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from medkit.registry import registry

ROOT = Path(__file__).parent.parent
PLUGINS = sorted(p.parent for p in (ROOT / "plugins").glob("*/pyproject.toml"))


def imported(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda p: p.name)
def test_a_plugin_imports_no_other_plugin(plugin):
    for file in (plugin / "src").rglob("*.py"):
        strangers = {
            n for n in imported(file) if n.startswith("medkit_") and n.split(".")[0] != f"medkit_{plugin.name}"
        }
        assert not strangers, f"{file}: {strangers}"


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda p: p.name)
def test_a_plugin_is_listed_for_development_and_has_a_readme_and_tests(plugin):
    assert f"-e plugins/{plugin.name}" in (ROOT / "plugins" / "requirements.txt").read_text().splitlines()
    assert (plugin / "README.md").is_file()
    assert list(plugin.rglob("tests/test_*.py"))
    assert (plugin / "src" / f"medkit_{plugin.name}" / "hooks.py").is_file()


def test_the_core_imports_no_plugin():
    for file in (ROOT / "medkit").rglob("*.py"):
        assert not {n for n in imported(file) if n.startswith("medkit_")}, file


def test_the_conformance_kit_needs_no_pytest():
    for file in (ROOT / "medkit" / "testing").glob("*.py"):
        assert not {n for n in imported(file) if n.split(".")[0] in ("pytest", "_pytest")}, file


def test_the_light_core_imports_nothing_heavy():
    light = (
        *("__init__", "cli", "component", "hookspecs", "registry", "compatibility"),
        *("errors", "bundle", "files", "build", "contracts"),
    )
    heavy = {"torch", "monai", "ignite", "numpy", "scipy"}
    for name in light:
        tree = ast.parse((ROOT / "medkit" / f"{name}.py").read_text(encoding="utf-8"))
        top = {n for node in tree.body for n in _names(node)}
        assert not {n.split(".")[0] for n in top} & heavy, name


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


def test_bundles_hold_no_python_and_have_a_licence_and_a_card():
    for bundle in (ROOT / "bundles").iterdir():
        assert not list(bundle.rglob("*.py"))
        assert (bundle / "LICENSE").is_file()
        assert (bundle / "docs" / "README.md").is_file()


def test_nothing_names_a_machine():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    homes = ("/home/" + "user", "/" + "root/", "/" + "work/", "/" + "Users/")
    for name in filter(None, listed.stdout.decode().split("\0")):
        file = ROOT / name
        if file.suffix in (".py", ".md", ".yaml", ".toml", ".json", ".txt", "") and file.is_file():
            text = file.read_text(encoding="utf-8")
            assert not [home for home in homes if home in text], name


def test_every_part_of_a_kind_with_a_contract_is_held_to_it():
    tested = {
        name
        for file in (ROOT / "plugins").glob("*/**/test_*.py")
        for name in re.findall(r'^    component = "(\w+)"', file.read_text(encoding="utf-8"), re.M)
    }
    kinds = ("dataset", "network", "loss", "sampler", "localizer", "postprocessor")
    ours = {f"medkit-{plugin.name.replace('_', '-')}" for plugin in PLUGINS}
    offered = {o.component.name for kind in kinds for o in registry().of_kind(kind) if o.distribution in ours}
    assert offered - tested == set()
