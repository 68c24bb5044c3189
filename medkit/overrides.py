"""Overrides from the command line: parse them as MONAI does, and refuse one that would be ignored.

MONAI itself ignores a misspelt top-level key silently and answers a misspelt nested one with a bare KeyError.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from medkit.errors import ConfigError, did_you_mean


def parse(arguments: Sequence[str]) -> dict[str, Any]:
    """Return ``{"train#trainer#max_epochs": 3}`` for ``["--train#trainer#max_epochs", "3"]``.

    Values are parsed as ``python -m monai.bundle run`` parses them (with fire): Python literals where they are, else
    text. A key without a value, which MONAI takes as True, is an error: it is more often forgotten than meant.

    Raises:
        ConfigError: a word that is neither a key nor a key's value, or a key without one.
    """
    from fire.parser import DefaultParseValue

    overrides: dict[str, Any] = {}
    words = list(arguments)
    while words:
        word = words.pop(0)
        if not word.startswith("--") or len(word) == 2:
            raise ConfigError(f'unexpected argument "{word}": overrides are written --key value')
        key, equals, value = word[2:].partition("=")
        if not equals:
            if not words or words[0].startswith("--"):
                raise ConfigError(f'override "{word}" needs a value: write {word} VALUE')
            value = words.pop(0)
        overrides[key] = DefaultParseValue(value)
    return overrides


def word(value: Any) -> str:
    """Return the word that `parse`, and MONAI, read as ``value``, quoted where plain text would be read otherwise."""
    from fire.parser import DefaultParseValue

    return value if isinstance(value, str) and DefaultParseValue(value) == value else repr(value)


def applicable(overrides: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the overrides whose place exists in a stage's merged configuration.

    A top-level key must be there; ``a#b`` needs ``a`` to be there.
    """
    return {key: value for key, value in overrides.items() if _parent(config, key) is not None}


def require_places(overrides: Mapping[str, Any], configs: Mapping[str, Mapping[str, Any]], options: set[str]) -> None:
    """Check that each override applies to at least one stage.

    Args:
        overrides: as `parse` gives them.
        configs: stage name → merged configuration.
        options: the command's own long options, for the hint.

    Raises:
        ConfigError: with the nearest key.
    """
    for key in overrides:
        stages = [name for name, config in configs.items() if _parent(config, key) is not None]
        if not stages:
            known = {k for config in configs.values() for k in _keys(config)} | options
            names = dict.fromkeys(name.partition("[")[0] for name in configs)
            raise ConfigError(f'override "--{key}" applies to no stage ({", ".join(names)}).{did_you_mean(key, known)}')


def require_options(overrides: Mapping[str, Any], configs: Mapping[str, Mapping[str, Any]]) -> None:
    """Check that a new leaf is an option of its part; imports the part, so the audit comes first.

    Raises:
        ConfigError: with the nearest option.
    """
    for key in overrides:
        for config in configs.values():
            _require_option(key, _parent(config, key))


def _parent(config: Mapping[str, Any], key: str) -> Any:
    """Return the container that ``key`` would be set in, or None where there is no such place."""
    *path, leaf = key.split("#")
    node: Any = config
    for step in path:
        node = _child(node, step)
        if node is None:
            return None
    if isinstance(node, list):
        return node if _child(node, leaf) is not None else None
    if not isinstance(node, Mapping):
        return None
    return node if path or leaf in node else None


def _child(node: Any, step: str) -> Any:
    if isinstance(node, Mapping):
        return node.get(step)
    if isinstance(node, list) and step.isdigit() and int(step) < len(node):
        return node[int(step)]
    return None


def _keys(node: Any, prefix: str = "") -> list[str]:
    """Return every id of a configuration, ``a``, ``a#b`` …"""
    pairs = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ()
    return [i for k, v in pairs for i in (f"{prefix}{k}", *_keys(v, f"{prefix}{k}#"))]


def _require_option(key: str, parent: Any) -> None:
    """Check a new leaf of a part against the options that the part has."""
    leaf = key.split("#")[-1]
    if not isinstance(parent, Mapping) or leaf in parent or leaf.startswith("_") or "_target_" not in parent:
        return
    target, component = str(parent["_target_"]), parent.get("component")
    if target.startswith("medkit.") and isinstance(component, str):
        from medkit.registry import registry

        call: Any = registry().find(target.removeprefix("medkit."), component).component.load()
        what = component
        extra = {"dataset_dir", "fallback", "work_dir", "section"} if target == "medkit.dataset" else set()
    else:
        from monai.bundle import ConfigComponent

        what, extra = target, set()
        call = ConfigComponent(config={"_target_": target}).resolve_module_name()
        if isinstance(call, str):
            from pydoc import locate

            call = locate(call)
    if call is None:
        return
    parameters = inspect.signature(call).parameters.values()
    known = {p.name for p in parameters} | extra
    if leaf not in known and not any(p.kind is p.VAR_KEYWORD for p in parameters):
        raise ConfigError(
            f'override "--{key}": {what} has no option "{leaf}".{did_you_mean(leaf, known)} '
            f"Options: {', '.join(sorted(known))}."
        )
