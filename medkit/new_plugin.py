"""Start a plugin as a copy of one of medkit-example's parts.

The example has one part of each kind: a module, beside it its README (``loss.py``, ``loss.md``), and its tests below
``tests``. All of it lies inside the package, so that it is there wherever medkit-example is installed.
"""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.resources
import importlib.util
import json
import keyword
import re
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

from medkit.errors import ConfigError, PluginError, did_you_mean
from medkit.hookspecs import HOOKS
from medkit.new import new_folder
from medkit.registry import Offer, registry

EXAMPLE = "medkit-example"
_PROJECT = """\
[build-system]
requires = ["flit_core>=3.9,<5"]
build-backend = "flit_core.buildapi"

[project]
name = "{distribution}"
version = "0.1.0"
description = "{description}"
readme = "README.md"
license = "{license}"
requires-python = "{python}"
dependencies = {dependencies}

[project.entry-points.medkit]
{name} = "{package}.hooks"
"""


def new_plugin(name: str, into: Path, kind: str = "localizer", commands: Collection[str] = ()) -> Path:
    """Copy the example's part of a kind to ``into/name``, as a plugin of its own, and return that folder.

    Args:
        name: of the part, of the package ``medkit_name`` and of the distribution ``medkit-name``.
        into: the folder to make it in.
        kind: of the part, one of `medkit.hookspecs.HOOKS`.
        commands: medkit's own, whose names a command cannot have.

    Raises:
        ConfigError: there is no such kind, or the name is impossible or taken.
        PluginError: the example is not installed.
    """
    if kind not in HOOKS:
        raise ConfigError(f'no kind "{kind}".{did_you_mean(kind, HOOKS)} Kinds: {", ".join(HOOKS)}.')
    with new_folder(name, into) as draft:
        _require_free(name, commands if kind == "command" else ())
        for file, text in _files(name, kind).items():
            (draft / file).parent.mkdir(parents=True, exist_ok=True)
            (draft / file).write_text(text, encoding="utf-8")
    return into / name


def _require_free(name: str, commands: Collection[str]) -> None:
    """Refuse the name of a part, a plugin, a module or a keyword: two of one name are in each other's way."""
    takers = [f"the {o.kind} of {o.distribution}" for o in registry().offers if o.component.name == name]
    takers += ["medkit's own command"] * (name in commands)
    takers += ["a Python keyword"] * (keyword.iskeyword(name) or keyword.iskeyword(name.title()))
    for module in (name, f"medkit_{name}"):
        spec = importlib.util.find_spec(module)  # without an origin it is any folder of that name
        if module in sys.stdlib_module_names or (spec and spec.origin):
            takers.append(f"the installed Python module {module}")
    if name == "lib":
        takers.append("another project's distribution, medkit-lib")
    if takers:
        raise ConfigError(f'"{name}" is taken by {takers[0]}: choose another name')


def _files(name: str, kind: str) -> dict[str, str]:
    """Return path → text of the new plugin."""
    example = _example(kind)
    old, _, attribute = example.component.target.partition(":")
    old, _, module = old.partition(".")
    source = importlib.resources.files(old)
    package, distribution = f"medkit_{name}", f"medkit-{name.replace('_', '-')}"
    code = source.joinpath(f"{module}.py").read_text(encoding="utf-8")
    files = {
        "README.md": source.joinpath(f"{module}.md").read_text(encoding="utf-8"),
        f"src/{package}/__init__.py": f'"""The {kind} {name}, as a medkit plugin."""\n',
        f"src/{package}/hooks.py": _one_hook(source.joinpath("hooks.py").read_text(encoding="utf-8"), HOOKS[kind]),
        f"src/{package}/{module}.py": code,
        f"tests/test_{module}.py": source.joinpath("tests", f"test_{module}.py").read_text(encoding="utf-8"),
    }
    fresh = "".join(word.title() for word in name.split("_")) if attribute[0].isupper() else name
    words = {old: package, EXAMPLE: distribution, example.component.name: name, attribute: fresh}
    project = _PROJECT.format(name=name, package=package, distribution=distribution, **_facts(example, code))
    return {file: _renamed(text, words) for file, text in files.items()} | {"pyproject.toml": project}


def _example(kind: str) -> Offer:
    for offer in registry().of_kind(kind):
        if offer.distribution == EXAMPLE:
            return offer
    raise PluginError(
        f"a new plugin is a copy of {EXAMPLE}, which offers no {kind} here: pip install {EXAMPLE}, "
        "or in a clone of medkit pip install -e plugins/example"
    )


def _one_hook(text: str, hook: str) -> str:
    """Return a module of hooks with one of its functions."""
    lines = text.splitlines(keepends=True)
    functions = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    chosen = next(node for node in functions if node.name == hook)
    first, start = (node.decorator_list[0].lineno - 1 for node in (functions[0], chosen))
    return "".join([*lines[:first], *lines[start : chosen.end_lineno]])


def _facts(example: Offer, code: str) -> dict[str, str]:
    """Return what pyproject.toml takes over from the example's; of its dependencies those that ``code`` imports."""
    metadata = importlib.metadata.metadata(EXAMPLE)
    imported = {"medkit", *re.findall(r"^(?:from|import) (\w+)", code, re.MULTILINE)}
    # "pytorch-ignite>=0.5" is asked for by who imports ignite
    needs = [r for r in metadata.get_all("Requires-Dist") or [] if imported & set(re.findall(r"[a-z]\w*", r))]
    return {
        "description": example.component.summary,
        "license": metadata["License-Expression"],
        "python": metadata["Requires-Python"],
        "dependencies": json.dumps(needs),
    }


def _renamed(text: str, words: Mapping[str, str]) -> str:
    return re.sub(rf"\b({'|'.join(words)})\b", lambda found: words[found[0]], text)
