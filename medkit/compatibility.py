"""Plugins made for another medkit are named, with what to do, and harm nobody else."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable

import pluggy
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import medkit
from medkit import hookspecs
from medkit.errors import PluginError, did_you_mean

_NEWER = "If it is a newer medkit's, update medkit"


def made_for_another_core(requirements: Iterable[str] | None, core: str | None = None) -> str:
    """Return why a distribution with these requirements does not fit the core, or an empty string.

    Args:
        requirements: its ``Requires-Dist`` lines, such as ``medkit>=0.9``.
        core: the core's version; default: the running one.
    """
    core = core or medkit.__version__
    for requirement in map(Requirement, requirements or ()):
        asked = requirement.specifier
        here = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if canonicalize_name(requirement.name) != "medkit" or not here or asked.contains(core, prereleases=True):
            continue
        lower = [s for s in asked if s.operator not in ("<", "<=", "!=")]
        too_old = any(Version(s.version.removesuffix(".*")) > Version(core) for s in lower)
        do = "update medkit" if too_old else "update the plugin, or install the medkit that it is made for"
        return f"made for medkit{asked}, this is medkit {core}: {do}"
    return ""


def registered(plugin: object, name: str) -> tuple[pluggy.PluginManager, list[str]]:
    """Return a manager with this plugin alone, and what to tell its author.

    A hook that is deprecated still works; the warning is kept, and given to Python's filters with the plugin's name and
    the line of its hook. So is a hook of an unknown kind that is marked ``optionalhook``.

    Raises:
        PluginError: the plugin has a hook that this medkit does not know.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            manager.register(plugin, name=name)
        except pluggy.PluginValidationError as error:
            said = " ".join(str(error).split())
            raise PluginError(f"{said}: hooks of medkit {medkit.__version__} take nothing. {_NEWER}") from error
    notices = []
    for warning in caught:
        notices.append(str(warning.message))
        with contextlib.suppress(Warning):  # where warnings are errors the notice is enough: others must stay
            warnings.warn_explicit(f"{name}: {warning.message}", warning.category, warning.filename, warning.lineno)
    strange = [caller for caller in manager.get_hookcallers(plugin) or () if not caller.has_spec()]
    return manager, notices + [_unknown(caller) for caller in strange]


def _unknown(caller: pluggy.HookCaller) -> str:
    """Return what to say of a hook that may be unknown; raise for one that may not."""
    hook, known = caller.name, list(hookspecs.HOOKS.values())
    about = f'unknown hook "{hook}": this medkit {medkit.__version__} has {", ".join(known)}.'
    if all(implementation.optionalhook for implementation in caller.get_hookimpls()):
        return f"{about} Its parts of that kind are left out: a newer medkit may know them"
    raise PluginError(f"{about}{did_you_mean(hook, known)} {_NEWER}")
