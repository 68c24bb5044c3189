"""Run folders: which one a run goes to, and what makes it the same run."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
from collections.abc import Iterable
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

from medkit.errors import ConfigError
from medkit.files import sha256


def run_folder(home: Path, identity: str, on_input: bool) -> Path:
    """Return the folder of the newest run of the same identity, finished or not, else a new one."""
    if not on_input:
        for folder in earlier_runs(home):
            if _said(folder).get("identity") == identity and not _said(folder).get("input"):
                return folder
    stem = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    names = (stem + ("" if n == 0 else f"_{n}") + ("_input" if on_input else "") for n in range(1000))
    return next(home / name for name in names if not (home / name).exists())


def require_same_run(folder: Path, identity: str) -> None:
    """Refuse a folder in which another configuration, or other data, was run: its products would be mixed up."""
    if _said(folder).get("identity", identity) != identity:
        raise ConfigError(f"{folder} holds a run of another configuration or other data: choose another --output_dir")


def _said(folder: Path) -> dict[str, Any]:
    """Return what a run's ``run.json`` says; nothing where there is none."""
    file = folder / "run.json"
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}


def earlier_runs(home: Path) -> list[Path]:
    """Return a bundle's run folders, the newest first."""
    return sorted((p for p in home.glob("*") if p.is_dir() and not p.is_symlink()), reverse=True)


def is_one(made: str, need: str) -> bool:
    """Return whether a product is what a stage needs, or one of those that a pattern asks for."""
    return made == need or ("*" in need and PurePosixPath(made).match(need))


def found(folder: Path, names: Iterable[str]) -> list[str]:
    """Return the files that are there, of names and patterns."""
    paths = [sorted(folder.glob(name)) if "*" in name else [folder / name] for name in names]
    return [path.relative_to(folder).as_posix() for path in chain(*paths) if path.is_file()]


def hashes(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of each file; one that is named and not there is an OSError."""
    files = [file for name in names for file in (found(folder, [name]) if "*" in name else [name])]
    return {file: sha256(folder / file) for file in files}


def digest(value: Any) -> str:
    """Return the SHA-256 of a value's JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def fingerprint(dataset_dir: Any) -> str | None:
    """Return a hash over names, sizes and times of a data set's files: cheap, and enough to see a change."""
    if not isinstance(dataset_dir, str) or not Path(dataset_dir).is_dir():
        return None
    facts = []
    for folder, _, names in os.walk(dataset_dir):
        for name in names:
            status = os.lstat(os.path.join(folder, name))  # noqa: PTH118 - Path is three times slower here
            facts.append((os.path.relpath(folder, dataset_dir), name, status.st_size, status.st_mtime_ns))
    return digest(sorted(facts))
