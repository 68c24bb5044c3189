"""Start a bundle as a copy of one that trains."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from medkit.bundle import Bundle
from medkit.errors import ConfigError
from medkit.new import new_folder

_LEFT_OUT = shutil.ignore_patterns("models", "out", "runs", "__pycache__", ".*", "medkit.lock")
_TEXTS = (".md", ".yaml", ".json", ".conf")


def new_bundle(name: str, into: Path, source: Path) -> Path:
    """Copy a bundle, without its models, runs and lock, to ``into/name``, and return that folder.

    The copy's version is 0.1.0, and its README and its changelog say where it comes from.

    Raises:
        ConfigError: the name is impossible or taken, or there is no bundle to copy.
    """
    if not source.parent.is_dir():
        raise ConfigError(
            f'no folder "{source}" to copy: give --from FOLDER, a bundle, for instance in a clone of medkit'
        )
    original = Bundle.read(source)
    origin = f"{original.name} {original.metadata.get('version', '')}".strip()
    old = re.escape(original.name)
    with new_folder(name, into) as draft:
        shutil.copytree(original.root, draft, ignore=_LEFT_OUT, dirs_exist_ok=True)
        for file in [path for path in draft.rglob("*") if path.suffix in _TEXTS]:
            text = re.sub(rf"\bbundles/{old}\b", name, file.read_text(encoding="utf-8"))
            file.write_text(re.sub(rf"\bruns/{old}\b", f"runs/{name}", text), encoding="utf-8")
        fresh = {"version": "0.1.0", "changelog": {"0.1.0": f"copied from {origin}"}, "name": name}
        metadata = json.dumps({**original.metadata, **fresh}, indent=2, ensure_ascii=False)
        (draft / "configs" / "metadata.json").write_text(metadata + "\n", encoding="utf-8")
        card = draft / "docs" / "README.md"
        if card.is_file():
            title = f"# {name}\n\nCopied from {origin}. Figures below are that bundle's: measure, and write your own."
            text = re.sub(r"\A# .*", title, card.read_text(encoding="utf-8"))
            # links that lead out of the bundle would lead nowhere
            card.write_text(re.sub(r"\[([^]]*)\]\(\.\./\.\./[^)]*\)", r"\1", text), encoding="utf-8")
    return into / name
