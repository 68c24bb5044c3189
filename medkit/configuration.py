"""The configuration that MONAI would parse: merged, overridden, macros expanded, nothing executed."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from monai.bundle import ConfigParser, ReferenceResolver
from monai.bundle.utils import MACRO_KEY, merge_kv

from medkit.errors import ConfigError, TrustError, shown

MOST_ITEMS, LONGEST_ID = 1_000_000, 5_000
"""Items of a configuration and characters of an id: a few YAML anchors can stand for more than any memory holds."""


def load_config(
    files: Sequence[str | os.PathLike[str]],
    overrides: Mapping[str, Any] | None = None,
    *,
    bundle_root: str | os.PathLike[str] | None = None,
    outside: bool = False,
) -> dict[str, Any]:
    """Return the configuration that `monai.bundle.ConfigWorkflow` would parse: merged, overridden, macros expanded.

    MONAI's own reading, merging and expansion; none of them executes anything. The metadata.json beside the first file
    becomes ``_meta_``, as in MONAI.

    Args:
        files: later ones override earlier ones by whole top-level keys; ``a#b`` and ``+key`` change a part.
        overrides: values by id, e.g. ``{"optimizer#lr": 0.01}``.
        bundle_root: default: the folder that MONAI puts on the import path, above the first file's ``configs``.
        outside: also read configurations and macros that lie outside the bundle (what ``--trust`` allows). If not,
            such a macro stays as it is and `audit` reports it.

    Raises:
        ConfigError: a file cannot be read or merged, an override or a macro leads nowhere.
        TrustError: a configuration file itself lies outside the bundle, perhaps through a link.
    """
    configs = [Path(file) for file in files]
    folder = configs[0].absolute().parent
    root = Path(bundle_root or (folder.parent if folder.name == "configs" else folder))
    metadata = [path for path in [folder / "metadata.json"] if path.is_file()]
    for path in configs + metadata:
        if not outside and not is_inside(path, root):
            name = shown(os.path.relpath(path, root), 200)
            raise TrustError(f"{name} lies outside the bundle {shown(root)}, or a link leads there: --trust reads it")
    parser = ConfigParser(config={})
    for path in configs:
        for key, value in _read(path).items():
            with _mendable(f'{shown(path)}: "{shown(key)}" cannot be merged'):
                merge_kv(parser, key, value)
    parser.read_config(parser.get())
    for path in metadata:
        parser.read_meta(_read(path))
    for key, value in (overrides or {}).items():
        with _mendable(f'override "{shown(key)}" leads nowhere in {shown(configs[-1])}'):
            parser[key] = deepcopy(value)
    with _mendable("a macro or a relative id leads nowhere"):
        _expand(parser, None if outside else root)
    return parser.get()


def _read(file: Path) -> dict[str, Any]:
    """Return one file's content, for the caller to change."""
    with _mendable(f"{shown(file)} cannot be read"):
        content = deepcopy(_parsed(file, file.read_bytes()))
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ConfigError(f"{shown(file)} is not a mapping of names to values")
    return content


@functools.lru_cache(maxsize=64)
def _parsed(file: Path, _content: bytes) -> Any:
    """Return what MONAI's loader, which is YAML's safe one, reads: the stages of a bundle share most of their files."""
    return ConfigParser.load_config_file(file)


@dataclass(frozen=True)
class _Held:
    """A macro that MONAI shall not expand: it leaves alone whatever is no string."""

    macro: str


def _expand(parser: ConfigParser, root: Path | None) -> None:
    """Expand macros in place, except those that read a file outside ``root``."""
    for holder, key, path, value in list(walk(parser.get())):
        if root is not None and isinstance(value, str) and value.startswith(MACRO_KEY):
            file, _ = ConfigParser.split_path_id(ConfigParser.resolve_relative_ids(path, value)[len(MACRO_KEY) :])
            if file and not is_inside(Path(file), root):
                holder[key] = _Held(value)
    parser.resolve_macro_and_relative_ids()
    for holder, key, _, value in list(walk(parser.get())):
        if isinstance(value, _Held):
            holder[key] = value.macro


def walk(config: Any) -> Iterator[tuple[Any, Any, str, Any]]:
    """Yield (container, key, MONAI's id, value) of the whole tree, outermost first."""
    waiting: list[tuple[Any, Any, str, Any]] = [({"": config}, "", "", config)]
    for _ in range(MOST_ITEMS):
        if not waiting:
            return
        *_, path, value = item = waiting.pop()
        if len(path) > LONGEST_ID:
            break
        yield item
        if isinstance(value, dict | list):
            below = ReferenceResolver.iter_subconfigs(path, value)
            waiting += reversed([(value, key, sub_id, child) for key, sub_id, child in below])
    raise ConfigError(f"the configuration has more than {MOST_ITEMS} items, or contains itself")


def is_inside(file: Path, root: Path) -> bool:
    """Whether ``file``, links followed, lies in ``root``; a relative path counts from here, as in MONAI."""
    return file.resolve().is_relative_to(root.resolve())


@contextmanager
def _mendable(message: str) -> Iterator[None]:
    """Turn what MONAI and YAML raise for a wrong configuration into a `ConfigError`."""
    try:
        yield
    except (OSError, yaml.YAMLError, LookupError, ValueError, TypeError, RecursionError) as error:
        raise ConfigError(f"{message}: {shown(error, 200)}") from error
