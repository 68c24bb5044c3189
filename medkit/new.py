"""A folder under a new name, for a plugin or a bundle of one's own."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medkit.errors import ConfigError


@contextmanager
def new_folder(name: str, into: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes ``into/name`` when the block ends, and goes when it raises.

    Raises:
        ConfigError: the name cannot be a package's, or the folder exists.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        raise ConfigError(f'"{name}" is not a name for a package: use lower-case letters, digits and underscores')
    folder = into / name
    if folder.exists():
        raise ConfigError(f"{folder} exists: choose another name, or remove it")
    into.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=into))
    try:
        draft.chmod(0o755)
        yield draft
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
