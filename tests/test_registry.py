"""Plugins are found one by one; a broken one harms nobody else."""

import subprocess
import sys

import pytest

from medkit.errors import PluginError
from medkit.registry import DISABLED, Registry

GOOD = """
from medkit import Component, hookimpl

@hookimpl
def medkit_losses():
    yield Component("{name}", "collections:Counter", "counts")
"""


def test_a_plugin_on_the_path_is_found_with_its_version(make_plugin):
    make_plugin("good-one", GOOD.format(name="counting"), version="2.5")
    offer = Registry.discover().find("loss", "counting")
    assert (offer.distribution, offer.version, offer.component.summary) == ("good-one", "2.5", "counts")
    assert Registry.discover().find("loss", "good-one:counting") == offer


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("import not_there", "ModuleNotFoundError: No module named 'not_there'"),
        ("def (", "SyntaxError"),
        (
            "from medkit import hookimpl\n@hookimpl\ndef medkit_losses():\n    yield 1/0",
            "ZeroDivisionError: division by zero",
        ),
        ("from medkit import hookimpl\n@hookimpl\ndef medkit_losses():\n    return ['x']", "gave str, expected"),
        ("from medkit import hookimpl\n@hookimpl\ndef medkit_loses():\n    return []", 'unknown hook "medkit_loses"'),
    ],
)
def test_a_broken_plugin_is_recorded_and_the_others_stay(make_plugin, source, reason):
    make_plugin("good-one", GOOD.format(name="counting"))
    make_plugin("bad-one", source)
    found = Registry.discover()
    assert found.find("loss", "counting")
    (failure,) = found.failures
    assert failure.plugin == "bad-one:main"
    assert reason in failure.error


def test_a_name_offered_twice_is_an_error_only_when_it_is_used(make_plugin):
    make_plugin("first", GOOD.format(name="counting"))
    make_plugin("second", GOOD.format(name="counting"))
    found = Registry.discover()
    with pytest.raises(PluginError, match=r'offered by several plugins: name one of "first:counting" 1.0, "second'):
        found.find("loss", "counting")
    assert found.find("loss", "second:counting").distribution == "second"


def test_an_unknown_name_says_what_is_there_and_the_nearest(make_plugin):
    make_plugin("good-one", GOOD.format(name="counting"))
    make_plugin("bad-one", "raise RuntimeError('no licence')")
    with pytest.raises(PluginError) as caught:
        Registry.discover().find("loss", "countin")
    assert 'loss "countin" is not installed. Did you mean "counting"? Installed: ' in str(caught.value)
    assert "Plugin bad-one:main 1.0 failed to load: RuntimeError: no licence." in str(caught.value)


def test_a_name_of_another_kind_is_told(make_plugin):
    make_plugin("good-one", GOOD.format(name="counting"))
    with pytest.raises(PluginError, match="It is a loss"):
        Registry.discover().find("network", "counting")


@pytest.mark.parametrize("name", ["good-one", "good-one:main", "main"])
def test_a_plugin_can_be_switched_off_by_any_of_its_names(make_plugin, monkeypatch, name):
    make_plugin("good-one", GOOD.format(name="counting"))
    monkeypatch.setenv(DISABLED, f" {name},other")
    found = Registry.discover()
    assert "good-one:main" in found.disabled
    with pytest.raises(PluginError, match=f"Switched off by {DISABLED}: .*good-one:main"):
        found.find("loss", "counting")


@pytest.mark.parametrize(
    "command",
    [["--help"], ["plugins"], *([name, "--help"] for name in ("run", "compare", "tune", "expand", "merge"))],
)
def test_listing_imports_neither_torch_nor_monai_nor_numpy(command):
    code = (
        f"import sys; sys.argv = ['medkit', *{command!r}]\n"
        "import medkit.cli\n"
        "try: medkit.cli.main()\n"
        "except SystemExit: pass\n"
        "sys.exit(repr([m for m in ('torch', 'monai', 'numpy', 'scipy', 'ignite') if m in sys.modules] or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "''"
