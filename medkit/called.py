"""What a part of a configuration calls, and whether that takes an option. Imports the part: the audit comes first."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import Any

from medkit.errors import did_you_mean

_OF_DATASET = {"dataset_dir", "fallback", "fallback_options", "work_dir", "section"}


def called(part: Mapping[str, Any]) -> tuple[str, Any, set[str]]:
    """Return the name of a part, what builds it (None: nothing that can be found), and options that others read."""
    if "_target_" not in part:
        return "", None, set()
    target, component = str(part["_target_"]), part.get("component")
    if target.startswith("medkit.") and isinstance(component, str):
        from medkit.registry import registry

        extra = {"component", *(_OF_DATASET if target == "medkit.dataset" else ())}
        return component, registry().find(target.removeprefix("medkit."), component).component.load(), extra
    return target, _located(target), set()


@functools.cache
def _located(target: str) -> Any:
    """Return what MONAI would call for a ``_target_``; it looks a bare name up in its own modules."""
    from pydoc import locate

    from monai.bundle import ConfigComponent

    call: Any = ConfigComponent(config={"_target_": target}).resolve_module_name()
    return locate(call) if isinstance(call, str) else call


def unknown_option(part: Mapping[str, Any], option: str) -> str:
    """Return what is wrong where a part does not take an option, with the nearest one; else an empty string."""
    what, call, extra = called(part)
    known = _options(call)
    if known is None or option in known | extra:
        return ""
    known = known | extra - {"component"}
    return f'{what} has no option "{option}".{did_you_mean(option, known)} Options: {", ".join(sorted(known))}.'


@functools.cache
def _options(call: Any) -> frozenset[str] | None:
    """Return the names of what it takes; None: it takes any, or cannot be asked."""
    try:
        parameters = inspect.signature(call).parameters.values()
    except (TypeError, ValueError):  # nothing, or written in C
        return None
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return frozenset(p.name for p in parameters if p.kind is not p.VAR_POSITIONAL)
