"""What a file shows, whatever it is: DICOM frames, bitmap pages or a volume's slices, with facts about each."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike
from pydicom import Dataset

from medkit_dicom_ingest.bitmap import bitmap_pages
from medkit_dicom_ingest.dicom.contrast import Voi
from medkit_dicom_ingest.dicom.elements import quiet
from medkit_dicom_ingest.dicom.parse import looks_like_dicom, parse
from medkit_dicom_ingest.dicom.rendering import AS_STORED, rendered_frames
from medkit_dicom_ingest.facts import Source, dicom_facts
from medkit_dicom_ingest.failure import ImageError
from medkit_dicom_ingest.volumes.slices import looks_like_volume, slices

MAX_BYTES = 2**31


@dataclass(frozen=True, slots=True)
class Choices:
    """How files are shown.

    Attributes:
        voi: which contrast, where the file leaves a choice.
        dtype: float32 (0…1), uint8 or uint16 (0 to their highest).
        in_colour: colour images stay RGB (H,W,3) instead of becoming luminance (H,W).
        plane: how volumes are cut: ``axial``, ``coronal`` or ``sagittal``.
    """

    voi: Voi = AS_STORED
    dtype: DTypeLike = np.float32
    in_colour: bool = False
    plane: str = "axial"


@dataclass(frozen=True, slots=True)
class Picture:
    """One image of a file.

    Attributes:
        pixels: (H,W) or (H,W,3), as chosen.
        source: facts, none of which identifies anyone.
        path: the file's.
        index: of the frame, page or slice, from 0.
        dataset: the DICOM data set, with what it says about this frame at its top level; None for other files.
    """

    pixels: np.ndarray
    source: Source
    path: str
    index: int = 0
    dataset: Dataset | None = None


def pictures(data: bytes, path: Path, choices: Choices) -> Iterator[Picture]:
    """Yield what a file shows, one image after the other; its kind is recognised by content, whatever its name.

    Args:
        data: the file's bytes.
        path: where it lies: volumes may have their voxels in a file beside it.
        choices: how it is shown.

    Raises:
        ImageError: what is wrong, in one line without the file's name, which the caller knows. Images that came before
            are good.
    """
    if looks_like_dicom(data):
        yield from _dicom(data, path, choices)
    elif looks_like_volume(data):
        for cut in slices(path, data, choices.plane, choices.voi, choices.dtype, choices.in_colour):
            yield Picture(cut.pixels, cut.source, str(path), cut.index)
    else:
        pages = bitmap_pages(data, choices.dtype, choices.in_colour)
        for index, (pixels, source) in enumerate(pages):
            if choices.voi.kind not in ("auto", "full"):
                source.warnings.append("a bitmap has no values to choose a contrast from: shown as it is")
            yield Picture(pixels, source, str(path), index)


def _dicom(data: bytes, path: Path, choices: Choices) -> Iterator[Picture]:
    program = data[:2] == b"MZ" or data[:4] == b"\x7fELF"
    frames = rendered_frames(parse(data), choices.voi, choices.dtype, choices.in_colour)
    for index, rendered in enumerate(frames):
        with quiet():
            source = dicom_facts(rendered)
        if program:
            source.warnings.append("the DICOM preamble holds a program")
        yield Picture(rendered.pixels, source, str(path), index, rendered.described)


def read_bytes(path: Path, follow_links: bool = True) -> bytes:
    """Return a regular file's content; a pipe or device would block for ever.

    Raises:
        ImageError: it is something else, has no bytes or too many, or the system does not give it.
    """
    try:
        status = path.stat() if follow_links else path.lstat()
        if stat.S_ISLNK(status.st_mode):
            raise ImageError("not_regular", "a symbolic link: not followed")
        if stat.S_ISDIR(status.st_mode):
            next(path.iterdir(), None)  # raises where the folder cannot be read, which is worse than being none
            raise ImageError("not_regular", "a folder, not an image file")
        if not stat.S_ISREG(status.st_mode):
            raise ImageError("not_regular", "not a regular file (a pipe, socket or device): not opened")
        if status.st_size == 0:
            raise ImageError("empty", "the file is empty (0 bytes)")
        if status.st_size > MAX_BYTES:
            raise ImageError("too_large", f"the file has {status.st_size} bytes, more than {MAX_BYTES}")
        with open(path, "rb", opener=None if follow_links else _no_links) as file:
            return file.read()
    except FileNotFoundError:
        raise ImageError("unreadable", "there is no such file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError("unreadable", f"the file cannot be opened: {reason}") from error


def _no_links(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
