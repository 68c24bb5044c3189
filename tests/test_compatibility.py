"""Plugins for another medkit are named with what to do, and harm nobody else."""

import importlib.metadata
import json
import warnings
from types import ModuleType

import pytest
from click.testing import CliRunner

import medkit
from medkit import hookspecs
from medkit.cli import cli
from medkit.compatibility import made_for_another_core
from medkit.errors import PluginError
from medkit.registry import Registry, registry
from medkit.testing import LossConformance

GOOD = """
from medkit import Component, hookimpl

@hookimpl
def medkit_losses():
    return [Component("counting", "collections:Counter", "counts")]
"""
NEWER_KIND = """
@hookimpl{marks}
def medkit_trackers():
    return []
"""


def of(records):
    """Return the record of the plugin that a test made."""
    (found,) = [r for r in records if r.distribution in ("medkit-foo", "newer-one", "older-one")]
    return found


@pytest.mark.parametrize(
    ("requires", "reason"),
    [
        ("medkit>=0.1", ""),
        ("medkit", ""),
        ("medkit>=0.1,<0.9", ""),
        ("MedKit >=0.1 ; python_version>'3'", ""),
        ("medkit>=9; extra == 'tests'", ""),
        ("medkit-lib>=9", ""),
        ("medkit>=0.9", "made for medkit>=0.9, this is medkit 0.1.0: update medkit"),
        ("medkit~=1.2", "made for medkit~=1.2, this is medkit 0.1.0: update medkit"),
        ("medkit==1.*", "made for medkit==1.*, this is medkit 0.1.0: update medkit"),
        ("medkit<0.1", "made for medkit<0.1, this is medkit 0.1.0: update the plugin, or install the medkit that it"),
        ("Medkit !=0.1.0", "made for medkit!=0.1.0, this is medkit 0.1.0: update the plugin"),
    ],
)
def test_requirements_are_held_against_the_running_core(requires, reason):
    told = made_for_another_core(["torch>=2.6", requires], core="0.1.0")
    assert told.startswith(reason)
    assert bool(told) == bool(reason)


def test_a_pre_release_of_the_core_counts_as_what_it_is():
    assert made_for_another_core(["medkit>=0.1"], core="0.2.0.dev3") == ""
    assert "update medkit" in made_for_another_core(["medkit>=0.2"], core="0.2.0.dev3")


def test_a_plugin_for_a_newer_core_is_not_loaded_and_is_reported(make_plugin):
    make_plugin("medkit-foo", "raise SystemExit('was loaded')", requires="medkit>=0.9")
    make_plugin("good-one", GOOD)
    found = Registry.discover()
    failure = of(found.failures)
    assert failure.error == f"made for medkit>=0.9, this is medkit {medkit.__version__}: update medkit"
    with pytest.raises(PluginError, match=r"Plugin medkit-foo:main 1.0 failed to load: made for medkit>=0.9"):
        found.find("loss", "foo")
    assert found.find("loss", "counting")
    listed = CliRunner().invoke(cli, ["plugins"])
    assert listed.exit_code == 0
    assert f"FAILED         medkit-foo:main 1.0: {failure.error}" in listed.stdout
    checked = CliRunner().invoke(cli, ["check"])
    assert checked.exit_code == 2
    assert f"ERROR medkit-foo:main 1.0 failed to load: {failure.error}" in checked.stdout
    assert CliRunner().invoke(cli, ["check", "--plugin", "medkit-foo"]).exception.args == (
        f"medkit-foo:main 1.0 failed to load: {failure.error}",
    )


def test_a_hook_of_a_newer_core_is_told_from_a_misspelt_one(make_plugin):
    make_plugin("newer-one", GOOD + NEWER_KIND.format(marks=""))
    failure = of(Registry.discover().failures)
    assert failure.error.startswith(f'unknown hook "medkit_trackers": this medkit {medkit.__version__} has medkit_data')
    assert failure.error.endswith("If it is a newer medkit's, update medkit")


def test_a_hook_that_wants_what_only_a_newer_core_gives_is_told(make_plugin):
    make_plugin("newer-one", GOOD.replace("medkit_losses()", "medkit_losses(settings)"))
    failure = of(Registry.discover().failures)
    assert "'settings'" in failure.error
    assert failure.error.endswith("take nothing. If it is a newer medkit's, update medkit")


def test_a_kind_of_a_newer_core_that_is_optional_leaves_the_other_parts(make_plugin):
    make_plugin("newer-one", GOOD + NEWER_KIND.format(marks="(optionalhook=True)"))
    found = Registry.discover()
    assert found.find("loss", "counting")
    notice = of(found.notices)
    assert 'unknown hook "medkit_trackers"' in notice.text
    listed = CliRunner().invoke(cli, ["plugins", "--json"])
    told = {"plugin": "newer-one:main", "version": "1.0", "text": notice.text}
    assert told in json.loads(listed.stdout)["notices"]
    checked = CliRunner().invoke(cli, ["check"]).stdout
    assert f"  newer-one:main 1.0: {notice.text}" in checked.splitlines()
    assert "ERROR newer-one" not in checked


def test_an_unknown_kind_is_an_error_that_names_the_kinds():
    told = CliRunner().invoke(cli, ["plugins", "--kind", "localiser"]).exception
    assert str(told).startswith('kind "localiser" is unknown. Did you mean "localizer"? Kinds: dataset, network, loss')


@pytest.fixture
def losses_are_deprecated(monkeypatch):
    """A core whose hook for losses will be gone in its next major version."""

    def medkit_losses():
        """Losses, as they were."""

    old = ModuleType("specs")
    for hook in hookspecs.HOOKS.values():
        setattr(old, hook, getattr(hookspecs, hook))
    message = "medkit_losses is deprecated since 0.2 and goes in 1.0: use medkit_criteria"
    old.medkit_losses = hookspecs.hookspec(warn_on_impl=DeprecationWarning(message))(medkit_losses)
    monkeypatch.setattr(hookspecs, "medkit_losses", old.medkit_losses)
    return message


@pytest.mark.parametrize("action", ["error", "default"])
def test_a_deprecated_hook_still_works_and_its_author_is_told(make_plugin, losses_are_deprecated, action):
    make_plugin("older-one", GOOD)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter(action)
        found = Registry.discover([e for e in _entries() if e.dist.name == "older-one"])
    assert found.find("loss", "counting")
    notice = of(found.notices)
    assert (notice.plugin, notice.text) == ("older-one:main", losses_are_deprecated)
    if action == "default":
        (warning,) = caught
        assert str(warning.message) == f"older-one:main: {losses_are_deprecated}"
        assert warning.filename.endswith("older_one_hooks.py")
        assert warning.lineno > 1


def test_the_conformance_kit_tells_the_author(make_plugin, losses_are_deprecated):
    make_plugin("older-one", GOOD)
    registry()
    case = type("TestCounting", (LossConformance,), {"component": "counting"})()
    with pytest.warns(DeprecationWarning, match="older-one:main: medkit_losses is deprecated since 0.2"):
        case.test_its_plugin_is_made_for_this_medkit()


def _entries():
    return importlib.metadata.entry_points(group="medkit")
