"""Start a plugin or a bundle as a copy of one that works."""

from __future__ import annotations

import importlib.util
import keyword
import re
import shutil
from pathlib import Path

from medkit.bundle import Bundle
from medkit.errors import ConfigError
from medkit.registry import registry

_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.egg-info", "models", "out", "dist", "medkit.lock")


def new_plugin(name: str, into: Path) -> Path:
    """Copy the example plugin to ``into/name`` under a new name.

    Raises:
        ConfigError: the name is taken or no identifier, or the example's source is not here.
    """
    if (taken := f"medkit-{name.replace('_', '-')}") in {offer.distribution for offer in registry().offers}:
        raise ConfigError(f"{taken} is installed: choose another name")
    spec = importlib.util.find_spec("medkit_example")
    source = Path(spec.origin).parents[2] if spec and spec.origin else Path()
    if not (source / "pyproject.toml").is_file():
        raise ConfigError("the source of the example plugin is not installed: run this in a clone of medkit")
    folder = _fresh(name, into)
    shutil.copytree(source, folder, ignore=_LEFT_OUT)
    (folder / "src" / "medkit_example").rename(folder / "src" / f"medkit_{name}")
    words = {"medkit_example": f"medkit_{name}", "medkit-example": f"medkit-{name.replace('_', '-')}"}
    words |= {"saliency": name, "Saliency": "".join(part.title() for part in name.split("_"))}
    words["example = "] = f"{name} = "
    for file in [p for p in folder.rglob("*") if p.is_file()]:
        text = file.read_text(encoding="utf-8")
        for old, fresh in words.items():
            text = text.replace(old, fresh)
        file.write_text(text, encoding="utf-8")
        file.rename(file.with_name(file.name.replace("saliency", name)))
    return folder


def new_bundle(name: str, into: Path, source: Path = Path("bundles/chest_gradcam")) -> Path:
    """Copy a bundle, without its models, to ``into/name``.

    Raises:
        ConfigError: the name is taken or no identifier, or there is no bundle to copy.
    """
    original = Bundle.read(source)
    folder = _fresh(name, into)
    shutil.copytree(original.root, folder, ignore=_LEFT_OUT)
    metadata = folder / "configs" / "metadata.json"
    text = metadata.read_text(encoding="utf-8")
    metadata.write_text(re.sub(r'("name": )"[^"]*"', rf'\1"{name}"', text, count=1), encoding="utf-8")
    return folder


def _fresh(name: str, into: Path) -> Path:
    if not name.isidentifier() or keyword.iskeyword(name) or name != name.lower():
        raise ConfigError(f'"{name}" is not a name for a package: use lower-case letters, digits and underscores')
    folder = into / name
    if folder.exists():
        raise ConfigError(f"{folder} exists: choose another name, or remove it")
    return folder
