"""What a configuration file says otherwise than its author meant, each with its line.

MONAI reads YAML 1.1, where ``1e-3`` is text, ``no`` is False, ``012`` is ten and ``1:30`` is ninety.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from medkit.errors import shown

_NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+))[eE]([-+]?)(\d+)")
_PLAIN = {*yaml.SafeLoader.yaml_constructors, "tag:yaml.org,2002:merge"} - {None}
_UNQUOTED = {"\\t": "a tab: indent with spaces", "@": 'quote what begins with "@"', "%": 'quote what begins with "%"'}


def traps(file: Path) -> list[str]:
    """Return ``train.yaml:12: 1e-3 is read as text: write 1.0e-3`` and the like; [] where there is nothing of the kind.

    Nothing is constructed of what the file holds. Of JSON, only keys that are given twice are traps.
    """
    is_json = file.suffix == ".json"
    try:
        text = file.read_text(encoding="utf-8")
        root = yaml.compose(text.replace("\t", " ") if is_json else text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        reason = next((what for sign, what in _UNQUOTED.items() if f"character '{sign}'" in str(error.problem)), None)
        return [] if is_json else [f"{file.name}:{line}: {reason or shown(error.problem, 200)}"]
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        return [f"{file.name}: cannot be read: {shown(error, 200)}"]
    found = _in(root, set()) if root is not None else iter(())
    return [f"{file.name}:{line}: {what}" for line, what in found if not is_json or "twice" in what]


def _in(node: yaml.Node, seen: set[int]) -> Iterator[tuple[int, str]]:
    """Yield line and trap of a node and all below it, an anchored one once."""
    if id(node) in seen:
        return
    seen.add(id(node))
    line = node.start_mark.line + 1
    if node.tag not in _PLAIN:
        yield line, f"the tag {shown(node.tag)} is not plain YAML: nothing but plain YAML is read"
    if isinstance(node, yaml.ScalarNode) and node.style is None and (what := _misread(node)):
        yield line, what
    if isinstance(node, yaml.SequenceNode):
        for child in node.value:
            yield from _in(child, seen)
    if isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            if key.value in keys and isinstance(key, yaml.ScalarNode):
                yield key.start_mark.line + 1, f'the key "{shown(key.value)}" is given twice: remove one'
            keys |= {key.value} if isinstance(key, yaml.ScalarNode) else set()
            yield from _in(key, seen)
            yield from _in(value, seen)


def _misread(node: yaml.ScalarNode) -> str:
    """Return what an unquoted word is read as, where that surprises."""
    text, kind = node.value, node.tag.rpartition(":")[2]
    word, quoted = shown(text), f'quote it: "{shown(text)}"'
    if kind == "bool" and text.lower() not in ("true", "false"):
        meant = yaml.SafeLoader.bool_values[text.lower()]
        return f"{word} is read as {str(meant).lower()}: write {str(meant).lower()}, or {quoted}"
    if kind in ("int", "float") and ":" in text:
        return f"{word} is read in base 60, as {yaml.safe_load(text)}: {quoted}"
    if kind == "int" and re.fullmatch(r"[-+]?0[0-7_]+", text):
        return f"{word} is read as octal, as {yaml.safe_load(text)}: write {text.replace('0', '', 1)}, or {quoted}"
    if kind == "timestamp":
        return f"{word} is read as a date: {quoted}"
    if kind == "str" and (number := _NUMBER.fullmatch(text)):
        mantissa = number[1] if "." in number[1] else f"{number[1]}.0"
        return f"{word} is read as text: write {mantissa}e{number[2] or '+'}{number[3]}, or {quoted}"
    return ""
