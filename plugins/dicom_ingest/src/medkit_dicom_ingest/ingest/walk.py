"""The files of a folder, however many, without following links."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from medkit.errors import DataError

OURS = ".ingest/state.sqlite"
"""File that every OUTPUT holds."""
NO_IMAGES = ("DICOMDIR", "THUMBS.DB", "DESKTOP.INI")


def is_output(folder: str | Path) -> bool:
    """Return whether medkit ingest has made a folder; one that cannot be read counts as none."""
    return os.path.isfile(Path(folder) / OURS)  # noqa: PTH113 (Path.is_file raises where a folder is closed)


def files_below(source: Path) -> Iterator[str]:
    """Yield the path below ``source`` of every file, with ``/``; of a file, its own name.

    Hidden files and folders, DICOMDIR, and what medkit ingest made are left out. Links, pipes and devices are given,
    so that they are listed, but links to folders are not followed. Of a folder that cannot be read, its own path.

    Raises:
        DataError: ``source`` itself cannot be read.
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
                    elif not is_output(entry.path):
                        waiting.append(f"{name}/")
        except OSError as error:
            if not below:
                raise DataError(f'"{source}" cannot be read: {error.strerror}') from error
            yield below.rstrip("/")
