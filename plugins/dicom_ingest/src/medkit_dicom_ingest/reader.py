"""A MONAI image reader for DICOM and bitmaps, and the transform that loads with it."""

from __future__ import annotations

import os
import stat
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.data.image_reader import ImageReader
from monai.transforms import MapTransform

from medkit import contracts as c
from medkit.errors import DataError
from medkit_dicom_ingest.bitmap import read_bitmap
from medkit_dicom_ingest.elements import quiet
from medkit_dicom_ingest.facts import Source, dicom_facts
from medkit_dicom_ingest.failure import ImageError
from medkit_dicom_ingest.parse import looks_like_dicom, parse
from medkit_dicom_ingest.rendering import render

MAX_BYTES = 2**31


@dataclass(frozen=True, slots=True)
class Picture:
    """One file: displayed grey (H,W) float32 in 0…1, facts, and its path."""

    pixels: np.ndarray
    source: Source
    path: str


def read_picture(path: str | os.PathLike[str]) -> Picture:
    """Return what a file shows; DICOM is recognised by its content, whatever its name.

    Raises:
        ImageError: what is wrong, in one line without the file's name, which the caller knows.
    """
    data = _bytes(Path(path))
    if not looks_like_dicom(data):
        pixels, source = read_bitmap(data)
        return Picture(pixels, source, str(path))
    dataset = parse(data)
    rendered = render(dataset)
    with quiet():
        source = dicom_facts(dataset, rendered)
    if data[:2] == b"MZ" or data[:4] == b"\x7fELF":
        source.warnings.append("the DICOM preamble holds a program")
    return Picture(rendered.pixels, source, str(path))


def _bytes(path: Path) -> bytes:
    """Return a regular file's content; a pipe or device would block for ever."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ImageError("not_regular", "a folder, not an image file")
        if not stat.S_ISREG(status.st_mode):
            raise ImageError("not_regular", "not a regular file (a pipe, socket or device): not opened")
        if status.st_size == 0:
            raise ImageError("empty", "the file is empty (0 bytes)")
        if status.st_size > MAX_BYTES:
            raise ImageError("too_large", f"the file has {status.st_size} bytes, more than {MAX_BYTES}")
        return path.read_bytes()
    except FileNotFoundError:
        raise ImageError("unreadable", "there is no such file") from None
    except (OSError, ValueError) as error:
        raise ImageError(
            "unreadable", f"the file cannot be opened: {getattr(error, 'strerror', None) or error}"
        ) from error


class DicomBitmapReader(ImageReader):
    """A MONAI reader: displayed grey (1,H,W) float32 in 0…1, row-major as in the file.

    The metadata holds the identity as ``affine`` (the pixel frame, in which MONAI's spatial transforms accumulate) and
    ``source``, the facts of `medkit_dicom_ingest.facts.Source` without identifiers.

    Example:
        ```yaml
        _target_: LoadImaged
        keys: image
        reader: {_target_: medkit.transform, component: dicom_bitmap_reader}
        ensure_channel_first: true
        ```
    """

    def verify_suffix(self, filename: Sequence[str | os.PathLike[str]] | str | os.PathLike[str]) -> bool:
        """Return True: names say nothing, content decides."""
        return True

    def read(self, data: Sequence[str | os.PathLike[str]] | str | os.PathLike[str]) -> Picture:
        """Return what the file at ``data`` shows.

        Raises:
            DataError: the file is not a readable image, or several were given.
        """
        paths = [data] if isinstance(data, str | os.PathLike) else list(data)
        if len(paths) != 1:
            raise DataError(f"{len(paths)} files given for one image, expected 1")
        return read_picture(paths[0])

    def get_data(self, img: Picture) -> tuple[np.ndarray, dict[str, Any]]:
        """Return (1,H,W) float32 and the metadata."""
        meta = {
            "affine": np.eye(4),
            "original_channel_dim": 0,
            "spatial_shape": np.array(img.pixels.shape),
            "filename_or_obj": img.path,
            c.SOURCE: img.source.as_dict(),
        }
        return np.ascontiguousarray(img.pixels[None]), meta


class LoadBitmapd(MapTransform):
    """Dictionary transform: paths → MetaTensor (1,H,W) float32 in 0…1.

    MONAI's ``LoadImage`` tries one reader after the other, so a file that is bad for the right one may be read wrongly
    by the next; here there is one reader, and one line of error.

    Args:
        keys: which hold a path.
        allow_missing_keys: skip a key that a sample lacks.

    Raises:
        DataError: the file is not a readable image.

    Example:
        ```yaml
        - {_target_: medkit.transform, component: load_image, keys: image}
        ```
    """

    def __init__(self, keys: KeysCollection = c.IMAGE, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.reader = DicomBitmapReader()

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the sample with its images read."""
        sample = dict(data)
        for key in self.key_iterator(sample):
            array, meta = self.reader.get_data(self.reader.read(sample[key]))
            sample[key] = MetaTensor.ensure_torch_and_prune_meta(array, meta)
        return sample
