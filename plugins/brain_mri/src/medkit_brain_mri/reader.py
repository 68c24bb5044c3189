"""A MONAI image reader for bitmaps and slices of volumes, and the transform that loads with it."""

from __future__ import annotations

import os
import re
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
from medkit.errors import ConfigError, DataError
from medkit_brain_mri.bitmap import read_bitmap
from medkit_brain_mri.volume import PLANES, SPACING_TAGS, is_dicom, is_volume_file, read_volume, suffix

SLICE, PLANE = "slice", "plane"
"""Sample keys: which slice of a volume, and across which plane; -1 and empty for a bitmap."""
_ADDRESS = re.compile(rf"(.+)#({'|'.join(PLANES)}):(\d+)")


@dataclass(frozen=True, slots=True)
class Picture:
    """One grey image: (H,W) float32 in 0…1, facts without identifiers, and what it is called."""

    pixels: np.ndarray
    source: dict[str, Any]
    address: str


def address(path: str, plane: str, index: int) -> str:
    """Return ``path#plane:index``, which `SliceReader` opens; the path alone for a bitmap (``index`` below 0)."""
    return f"{path}#{plane}:{index}" if index >= 0 else path


def read_picture(path: str | os.PathLike[str], plane: str = "axial", index: int | None = None) -> Picture:
    """Return a bitmap, or a slice of a volume.

    Args:
        path: of a bitmap, a NIfTI, MetaImage or NRRD file, or any file of a DICOM series.
        plane: ``axial``, ``coronal``, ``sagittal`` or ``acquired``.
        index: from 0, see `medkit_brain_mri.volume.Volume.slice`; None or below 0 for the middle one.

    Raises:
        DataError: what is wrong, in one line without the file's name, which the caller knows.
    """
    file = Path(path)
    if not (is_volume_file(file) or is_dicom(file)):
        if index is not None and index >= 0:
            raise DataError(f"slice {index} asked for, this is no volume")
        pixels, facts = read_bitmap(file)
        return Picture(pixels, {**facts, "rows": pixels.shape[0], "columns": pixels.shape[1]}, str(path))
    volume = read_volume(file)
    plane = volume.plane(plane)
    index = volume.count(plane) // 2 if index is None or index < 0 else index
    pixels = volume.slice(plane, index)
    source = {
        "format": "volume",
        "plane": plane,
        "slice": index,
        "frames": volume.count(plane),
        "rows": pixels.shape[0],
        "columns": pixels.shape[1],
        "spacing_mm": volume.slice_spacing_mm(plane),
        "spacing_tag": _spacing_tag(file) if volume.spacing_mm else "",
        "window": "percentiles 0.5 to 99.5 of the volume",
        "warnings": list(volume.warnings),
    }
    return Picture(pixels, source, address(str(path), plane, index))


def _spacing_tag(file: Path) -> str:
    return SPACING_TAGS.get(suffix(file), "space directions" if is_volume_file(file) else "PixelSpacing")


class SliceReader(ImageReader):
    """A MONAI reader: (C,H,W) float32 in 0…1, row-major as looked at, of a bitmap or of ``path#plane:index``.

    A volume without an address gives its middle axial slice. Metadata as `medkit` expects it: an identity ``affine`` in
    pixels, ``frame_size`` (rows, columns) and ``source``.

    Args:
        channels: 1 for grey, 3 for grey repeated.

    Raises:
        ConfigError: neither 1 nor 3 channels.

    Example:
        ```yaml
        reader: {_target_: medkit.transform, component: slice_reader}
        ```
    """

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        if channels not in (1, 3):
            raise ConfigError(f"{channels} channels asked for: 1 (grey) or 3 (grey repeated)")
        self.channels = channels

    def verify_suffix(self, filename: Sequence[str | os.PathLike[str]] | str | os.PathLike[str]) -> bool:
        """Return True: names say nothing about bitmaps."""
        return True

    def read(self, data: Sequence[str | os.PathLike[str]] | str | os.PathLike[str]) -> Picture:
        """Return what the file or address shows.

        Raises:
            DataError: it cannot be read, or several were given.
        """
        paths = [data] if isinstance(data, str | os.PathLike) else list(data)
        if len(paths) != 1:
            raise DataError(f"{len(paths)} files given for one image, expected 1")
        named = _ADDRESS.fullmatch(str(paths[0]))
        if named and not Path(paths[0]).exists():
            return read_picture(named[1], named[2], int(named[3]))
        return read_picture(paths[0])

    def get_data(self, img: Picture) -> tuple[np.ndarray, dict[str, Any]]:
        """Return (C,H,W) float32 and the metadata."""
        size = np.array(img.pixels.shape)
        meta = {
            "affine": np.eye(4),
            "original_channel_dim": 0,
            "spatial_shape": size,
            "filename_or_obj": img.address,
            c.FRAME_SIZE: size,
            c.SOURCE: img.source,
        }
        return np.repeat(img.pixels[None], self.channels, axis=0), meta


class LoadSliced(MapTransform):
    """Dictionary transform: the path, with the sample's ``slice`` and ``plane`` → MetaTensor (C,H,W) float32 in 0…1.

    Where a slice was read, the sample's ``file`` becomes ``path#plane:index``, so that the rows of a predictions table
    can be told apart and `SliceReader` opens them again.

    Args:
        keys: which hold a path.
        channels: 1 for grey, 3 for grey repeated.
        allow_missing_keys: skip a key that a sample lacks.

    Raises:
        DataError: the file is no readable image or volume, or has no such slice.

    Example:
        ```yaml
        - {_target_: medkit.transform, component: load_slice, keys: image}
        ```
    """

    def __init__(self, keys: KeysCollection = c.IMAGE, channels: int = 1, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.reader = SliceReader(channels)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the sample with its images read."""
        sample = dict(data)
        index, plane = int(sample.get(SLICE, -1)), sample.get(PLANE) or "axial"
        for key in self.key_iterator(sample):
            path = str(sample[key])
            picture = read_picture(path, plane, index) if index >= 0 else self.reader.read(path)
            array, meta = self.reader.get_data(picture)
            sample[key] = MetaTensor.ensure_torch_and_prune_meta(array, meta)
            if sample.get(c.FILE) == path:
                sample[c.FILE] = picture.address
        return sample
