"""Folders that a program makes: built once, whole or not at all, and recognised again."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from medkit.errors import DataError
from medkit.files import require_writable


def made_once(folder: Path, manifest: str, options: Mapping[str, Any], build: Callable[[Path], None]) -> None:
    """Make ``folder`` hold what ``build`` writes with these options, unless it does.

    Built in a hidden folder beside it and renamed, so that it is whole or not there; of two builders at once the first
    to finish wins, and the other reads what it made. Nothing that is there is ever changed or deleted.

    Args:
        folder: absent, empty, or made by this function before.
        manifest: name of a JSON file in it that says so: ``synthetic``, ``options``, and a hash of all other files.
        options: JSON-able values that decide what is written, a version of the program among them.
        build: writes into the folder that it is given.

    Raises:
        DataError: the folder holds something else, was made with other options, or was changed.
        TrustError: see `medkit.files.require_writable`.
    """
    wanted = dict(options)
    if not folder.exists() or not any(folder.iterdir()):
        require_writable(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.partial-", dir=folder.parent))
        try:
            partial.chmod(0o755)
            build(partial)
            made = {"synthetic": True, "options": wanted, "contents": _contents(partial, manifest)}
            (partial / manifest).write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
            try:
                partial.rename(folder)
            except OSError:
                if not (folder / manifest).is_file():  # else another process was quicker: read its folder
                    raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    _check(folder, manifest, wanted)


def _check(folder: Path, manifest: str, wanted: dict[str, Any]) -> None:
    path = folder / manifest
    if not path.is_file():
        raise DataError(f"{folder} is not empty and holds no phantoms (no {manifest}): give an empty or a new folder")
    try:
        made = json.loads(path.read_text(encoding="utf-8"))
        found, contents = made["options"], made["contents"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be read: delete {folder} and it is made again") from error
    if found != wanted:
        differing = ", ".join(
            f"{name} {found.get(name)} instead of {asked}" for name, asked in wanted.items() if found.get(name) != asked
        )
        raise DataError(f"{folder} holds other phantoms ({differing}): delete it, or give another folder")
    if _contents_once(folder, manifest, contents) != contents:
        raise DataError(
            f"files in {folder} were changed, added or lost since it was made: delete it and it is made again"
        )


def _contents(folder: Path, manifest: str) -> str:
    """Return one SHA-256 over the names and bytes of all files but the manifest."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != manifest):
        total.update(path.relative_to(folder).as_posix().encode() + b"\0")
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


@lru_cache(maxsize=8)
def _contents_once(folder: Path, manifest: str, expected: str) -> str:
    """Return `_contents`, read once a process for each manifest: a stage asks for several sections of one folder."""
    return _contents(folder, manifest)
