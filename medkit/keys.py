"""Keys that nobody knows: misspelt ones of MONAI, options that a part does not take, references that lead nowhere."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from monai.bundle import ConfigComponent, ConfigParser, ReferenceResolver

from medkit.called import unknown_option
from medkit.configuration import walk
from medkit.errors import PluginError, did_you_mean, shown
from medkit.hookspecs import HOOKS
from medkit.registry import registry
from medkit.trusted_targets import TRUSTED_TARGETS

_MONAI = sorted(ConfigComponent.non_arg_keys)


def problems(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the keys and references of a configuration that `medkit.configuration.load_config` gave.

    Options are looked up for parts that anyone may name unasked, and for bare names, which MONAI looks up in itself:
    nothing else is imported.
    """
    parser = ConfigParser(dict(config))
    for _, _, place, value in walk(config):
        at = shown(place.replace("::", "#"))
        if isinstance(value, Mapping):
            yield from (f"{at}: {problem}" for problem in _of_part(value))
        elif isinstance(value, str):
            for name in ReferenceResolver.match_refs_pattern(value):
                if name not in parser:
                    known = [str(key) for key in config]
                    yield f'{at}: "@{shown(name)}" leads nowhere.{did_you_mean(re.split("#|::", name)[0], known)}'


def _of_part(part: Mapping[str, Any]) -> Iterator[str]:
    for key in (str(key) for key in part):
        marked = key not in _MONAI and (key.startswith("_") or key.endswith("_"))
        if marked and (near := difflib.get_close_matches(key, _MONAI, n=1, cutoff=0.8)):
            yield f'"{shown(key)}" is no key of MONAI\'s. Did you mean "{near[0]}"?'
    target = part.get("_target_")
    if isinstance(target, str) and (target in TRUSTED_TARGETS or target.isidentifier()) and _is_installed(target, part):
        yield from filter(None, (unknown_option(part, key) for key in map(str, part) if not key.startswith("_")))


def _is_installed(target: str, part: Mapping[str, Any]) -> bool:
    """Whether a component is there, if the part names one; the audit says which are not."""
    kind = target.removeprefix("medkit.")
    if not target.startswith("medkit.") or kind not in HOOKS:
        return True
    try:
        return bool(registry().find(kind, str(part.get("component"))))
    except PluginError:
        return False


def reached(config: Mapping[str, Any], roots: Iterable[str]) -> set[str]:
    """Return the top-level keys that references lead to from ``roots``, those that are there included."""
    found = {key for key in roots if key in config}
    waiting = list(found)
    while waiting:
        for name in set(re.findall(r"@(\w+)", str(config[waiting.pop()]))) - found:
            if name in config:
                found.add(name)
                waiting.append(name)
    return found
