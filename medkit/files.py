"""Files that appear whole or not at all, and their hashes."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medkit.errors import TrustError

WRITES_BELOW = "MEDKIT_WRITES_BELOW"
"""Environment variable: the one folder that an untrusted bundle's stage may write in; its processes inherit it."""


def require_writable(path: str | Path) -> None:
    """Refuse a path outside the folder that ``MEDKIT_WRITES_BELOW`` names, links followed.

    Raises:
        TrustError: a bundle's configuration leads elsewhere.
    """
    below = os.environ.get(WRITES_BELOW)
    if below and not Path(path).resolve().is_relative_to(below):
        raise TrustError(f"the bundle would write {path}, outside its run folder {below}: --trust lets it")


@contextmanager
def confined(folder: str | Path | None) -> Iterator[None]:
    """Let this process, and those that it starts, write below ``folder`` only; None changes nothing."""
    before = os.environ.get(WRITES_BELOW)
    if folder is not None:
        os.environ[WRITES_BELOW] = str(Path(folder).resolve())
    try:
        yield
    finally:
        os.environ.pop(WRITES_BELOW, None)
        if before is not None:
            os.environ[WRITES_BELOW] = before


@contextmanager
def whole(path: str | Path, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; it takes that name when the block ends, and goes when it raises.

    Args:
        path: what is written.
        durable: wait until the disk has it; without, only a power failure can leave a file that is not whole.

    Raises:
        TrustError: see `require_writable`.
    """
    path = Path(path)
    require_writable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        if durable:
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as indented JSON; NaN is an error, because JSON has none."""
    with whole(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
