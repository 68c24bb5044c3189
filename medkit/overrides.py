"""Overrides from the command line: parse them as MONAI does, and refuse one that would be ignored.

MONAI itself ignores a misspelt top-level key silently and answers a misspelt nested one with a bare KeyError.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from medkit import monai_options
from medkit.called import called, unknown_option
from medkit.errors import ConfigError, did_you_mean

_YAML = {"true": True, "false": False, "null": None}


def parse(arguments: Sequence[str]) -> dict[str, Any]:
    """Return ``{"train#trainer#max_epochs": 3}`` for ``["--train#trainer#max_epochs", "3"]``.

    Values are parsed as ``python -m monai.bundle run`` parses them (with fire): Python literals where they are, else
    text; and YAML's ``true``, ``false`` and ``null``, which MONAI would take as text. A key without a value, which
    MONAI takes as True, is an error: it is more often forgotten than meant.

    Raises:
        ConfigError: a word that is neither a key nor a key's value, a key without one, or an option of MONAI's.
    """
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
        overrides[key] = _parsed(value)
    monai_options.require_none(overrides, "an override")
    return overrides


def word(value: Any) -> str:
    """Return the word that `parse`, and MONAI, read as ``value``, quoted where plain text would be read otherwise."""
    return value if isinstance(value, str) and _parsed(value) == value else repr(value)


def _parsed(word: str) -> Any:
    from fire.parser import DefaultParseValue

    return _YAML[word] if word in _YAML else DefaultParseValue(word)


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
    """Check that a new leaf is an option of its part, and that a word is one of those that an option may be.

    An override that names another part comes first: options are those of the part that it names. Imports the parts, so
    the audit comes first.

    Raises:
        ConfigError: with the nearest option, or the nearest word.
    """
    named = {key: value for key, value in overrides.items() if key.split("#")[-1] in ("component", "_target_")}
    different = {id(config): config for config in configs.values()}.values()
    settled = [_with(named, config) for config in different] if named else list(different)
    for key, value in overrides.items():
        for config in settled:
            parent, leaf = _parent(config, key), key.split("#")[-1]
            _require_option(key, parent)
            if isinstance(value, str):
                for part, option in [*_takers(config, f"@{key}"), (parent, leaf)]:
                    _require_word(key, value, part, option)


def _with(overrides: Mapping[str, Any], config: Mapping[str, Any]) -> Mapping[str, Any]:
    config = deepcopy(config)
    for key, value in overrides.items():
        if isinstance(parent := _parent(config, key), dict):
            parent[key.split("#")[-1]] = value
    return config


def require_files(overrides: Mapping[str, Any]) -> None:
    """Check that the weights which an override names are there, before hours of work come to them.

    Raises:
        ConfigError: they are not.
    """
    for key, value in overrides.items():
        is_path = isinstance(value, str) and Path(value).suffix and not value.startswith(("$", "@", "%"))
        if key.split("#")[-1] == "weights" and is_path and not Path(value).expanduser().is_file():
            raise ConfigError(f'override "--{key}": there is no file {value}: give the path of a checkpoint')


def _takers(node: Any, reference: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield every part, and its option, that is given a top-level key as it is."""
    for name, item in node.items() if isinstance(node, Mapping) else enumerate(node):
        if item == reference and isinstance(node, Mapping) and "_target_" in node:
            yield node, str(name)
        elif isinstance(item, Mapping | list):
            yield from _takers(item, reference)


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
    if not isinstance(parent, Mapping) or leaf in parent or leaf.startswith("_"):
        return
    if problem := unknown_option(parent, leaf):
        raise ConfigError(f'override "--{key}": {problem}')


def _require_word(key: str, value: str, part: Any, option: str) -> None:
    """Check a word against the `Literal` that annotates one of medkit's options."""
    if not isinstance(part, Mapping) or not str(part.get("_target_")).startswith("medkit."):
        return
    what, call, _ = called(part)
    try:
        hints = typing.get_type_hints(call.__init__ if inspect.isclass(call) else call)
    except (NameError, TypeError, AttributeError):  # annotated with what only a type checker imports
        return
    hint = hints.get(option)
    choices = [word for kind in (hint, *typing.get_args(hint)) if _is_literal(kind) for word in typing.get_args(kind)]
    if choices and value not in choices:
        words = [word for word in choices if isinstance(word, str)]
        raise ConfigError(
            f'override "--{key}": {what} has no {option} "{value}".{did_you_mean(value, words)} '
            f"Choose one of {', '.join(map(str, choices))}."
        )


def _is_literal(kind: Any) -> bool:
    return typing.get_origin(kind) is typing.Literal
