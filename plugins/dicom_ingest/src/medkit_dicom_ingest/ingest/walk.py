"""The files of a folder, however many, without following links."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from medkit.errors import DataError

OURS = ".ingest/state.sqlite"
"""File that every OUTPUT holds."""
NO_IMAGES = ("DICOMDIR", "THUMBS.DB", "DESKTOP.INI")


def files_below(source: Path) -> Iterator[str]:
    """Yield the path below ``source`` of every file, with ``/``; of a file, its own name.

    Hidden files and folders, DICOMDIR, and what medkit ingest made are left out. Links, pipes and devices are given,
    so that they are listed, but links to folders are not followed.

    Raises:
        DataError: a folder cannot be read.
    """
    if not source.is_dir():
        yield source.name
        return
    waiting = [""]
    while waiting:
        below = waiting.pop()
        try:
            with os.scandir(source / below) as entries:
                for entry in entries:
                    name = f"{below}{entry.name}"
                    if entry.name.startswith(".") or entry.name.upper() in NO_IMAGES:
                        continue
                    if not entry.is_dir(follow_symlinks=False):
                        yield name
                    elif not Path(entry.path, OURS).is_file():
                        waiting.append(f"{name}/")
        except OSError as error:
            raise DataError(f'folder "{error.filename}" cannot be read: {error.strerror}') from error
