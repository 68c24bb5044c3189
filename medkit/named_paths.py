"""The paths that a bundle names: which it reads, which it writes, and which are not there.

Found in its stages (``needs``, ``makes``) and in its configurations' texts, sums of texts filled in, nothing executed.
What a part does with a path is the part's affair: one of which the stages do not tell counts as read and as written.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from monai.bundle import ConfigParser

from medkit.bundle import Bundle, Stage
from medkit.configuration import walk
from medkit.folders import is_one

_PLACES = ("bundle_root", "output_dir", "model_dir")
_ATOM = r"""(?:@[\w:]+|'[^']*'|"[^"]*")"""
_SUM = re.compile(rf"\$\s*{_ATOM}(?:\s*\+\s*{_ATOM})*\s*")
_LONGEST = 4096


@dataclass(frozen=True, slots=True)
class NamedPath:
    """One path.

    Attributes:
        stage: the stage's name.
        key: where it stands, e.g. ``validate#handlers#1#path``, ``needs`` or ``makes``.
        path: with ``output_dir``, ``model_dir`` or ``bundle_root`` in front where it lies there.
        read: it may be read.
        written: it may be written.
        missing: why it will not be there when it is needed; empty where it will, or is made by the stage itself.
    """

    stage: str
    key: str
    path: str
    read: bool
    written: bool
    missing: str = ""


def named_paths(bundle: Bundle, configs: Mapping[str, Mapping[str, Any]]) -> Iterator[NamedPath]:
    """Yield every path of each stage that has a configuration here, in order."""
    made: dict[str, None] = {}
    for stage in bundle.stages:
        for name in stage.needs:
            there = _is_of(name, made) or (bundle.root / name).is_file()
            missing = "" if there else "no earlier stage makes it, and the bundle does not hold it"
            yield NamedPath(stage.name, "needs", f"model_dir/{name}", True, False, missing)
        judged = [_judged(bundle, stage, k, p, [*made, *stage.needs]) for k, p in _texts(configs.get(stage.name, {}))]
        yield from judged
        for name in stage.makes:
            yield NamedPath(stage.name, "makes", f"output_dir/{name}", False, True)
        written = [p.path.partition("/")[2] for p in judged if p.written and p.path.startswith("output_dir/")]
        made |= dict.fromkeys([*stage.makes, *written])


def _judged(bundle: Bundle, stage: Stage, key: str, path: str, there: Collection[str]) -> NamedPath:
    place, _, rest = path.partition("/")
    if place == "output_dir":
        read = not rest or _is_of(rest, there)
        return NamedPath(stage.name, key, path, read, not rest or not read)
    if place == "model_dir":
        known = not rest or _is_of(rest, [*there, *stage.makes]) or (bundle.root / rest).exists()
        return NamedPath(stage.name, key, path, True, False, "" if known else "no earlier stage makes it")
    if _is_of(path, there) or _is_of(path, stage.makes):
        return NamedPath(stage.name, key, path, _is_of(path, there), _is_of(path, stage.makes))
    below_a_run = any(one.endswith(f"/{path}") for one in there)
    if "://" in path or below_a_run:
        return NamedPath(stage.name, key, path, True, False)
    file = bundle.root / rest if place == "bundle_root" else bundle.root / Path(path).expanduser()
    return NamedPath(stage.name, key, path, True, True, "" if file.exists() else "it is not there")


def _is_of(path: str, made: Collection[str]) -> bool:
    """Whether a path is one of those that are made, a pattern of them, or a folder around them."""
    inside = path.rstrip("/") + "/"
    patterns = made if "*" in path else [one for one in made if "*" in one]
    return (
        path in made
        or any(one.startswith(inside) for one in made)
        or any(is_one(one, path) or is_one(path, one) for one in patterns)
    )


def _texts(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield key and path of every text in a configuration that is one."""
    places = {place: place for place in _PLACES if place in config}
    texts = _Texts(ConfigParser({**config, **places}))
    for _, _, key, value in walk({k: v for k, v in config.items() if k not in places and k != ConfigParser.meta_key}):
        text = texts.filled(value)
        if text and (_is_path(text) or (key == "dataset_dir" and not text.startswith("$"))):
            yield key.replace("::", "#"), text


class _Texts:
    """Texts with the references in them filled in; each is filled once, however often it is referred to."""

    def __init__(self, parser: ConfigParser) -> None:
        self.parser = parser
        self.known: dict[str, str | None] = {}

    def filled(self, value: Any) -> str | None:
        """Return a text; None where it is none, is too long for a path, or only running it would tell."""
        if not isinstance(value, str):
            return None
        if value not in self.known:
            self.known[value] = None  # what refers to itself is no text
            self.known[value] = self._fill(value)
        return self.known[value]

    def _fill(self, value: str) -> str | None:
        if value.startswith("@"):
            return self.filled(self.parser.get(value[1:])) if value[1:] in self.parser else None
        if not value.startswith("$"):
            return value
        atoms = re.findall(_ATOM, value) if _SUM.fullmatch(value) else [None]
        parts = [self.filled(atom) if atom and atom.startswith("@") else atom and atom[1:-1] for atom in atoms]
        text = None if None in parts else "".join(filter(None, parts))
        return text if text and len(text) <= _LONGEST else None


def _is_path(text: str) -> bool:
    if any(c.isspace() for c in text) or not text.isprintable():
        return False
    path = PurePosixPath(text)
    anchored = text.partition("/")[0] in _PLACES or text.startswith("~") or PurePath(text).is_absolute()
    return anchored or "://" in text or ".." in path.parts or ("/" in text and bool(path.suffix))
