"""Voxels in a file beside the header: a plain file in the same folder, nothing else."""

from __future__ import annotations

import stat
from pathlib import Path

from medkit_dicom_ingest.failure import ImageError
from medkit_dicom_ingest.volumes.grid import MAX_BYTES


def companion(path: Path, name: str) -> Path:
    """Return the path of the file ``name`` beside ``path``.

    Raises:
        ImageError: it is not a bare name, there is no such file, or it is a link, pipe, device or folder.
    """
    plain = name.removeprefix("./")
    if plain in ("", ".", "..") or set(plain) & set("/\\%:\0") or plain.upper().startswith("LIST"):
        raise ImageError("unsupported", "the voxels are not in one file in the header's folder: not opened")
    beside = path.parent / plain
    try:
        status = beside.lstat()
    except (OSError, ValueError):
        raise ImageError("truncated", "the file with the voxels, which the header names, is missing") from None
    if not stat.S_ISREG(status.st_mode):
        raise ImageError("not_regular", "the file with the voxels is a link, pipe, device or folder: not opened")
    if status.st_size > MAX_BYTES:
        raise ImageError("too_large", f"the file with the voxels has {status.st_size} bytes, more than {MAX_BYTES}")
    return beside


def read_companion(path: Path, name: str) -> bytes:
    """Return the content of the file ``name`` beside ``path``.

    Raises:
        ImageError: as `companion`, or it cannot be read.
    """
    try:
        return companion(path, name).read_bytes()
    except OSError as error:
        raise ImageError("unreadable", f"the file with the voxels cannot be opened: {error.strerror}") from error
