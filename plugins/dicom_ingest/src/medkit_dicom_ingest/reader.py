"""A MONAI image reader for DICOM and bitmaps, and the transform that loads with it."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.data.image_reader import ImageReader
from monai.transforms import MapTransform

from medkit import contracts as c
from medkit.errors import ConfigError, DataError
from medkit_dicom_ingest.dicom.contrast import Voi
from medkit_dicom_ingest.failure import ImageError
from medkit_dicom_ingest.pictures import Choices, Picture, pictures, read_bytes
from medkit_dicom_ingest.volumes.slices import looks_like_volume

AS_DISPLAYED = Choices()


def read_picture(path: str | os.PathLike[str], choices: Choices = AS_DISPLAYED) -> Picture:
    """Return the first image of a file.

    Raises:
        ImageError: what is wrong, in one line without the file's name, which the caller knows.
    """
    data = read_bytes(Path(path))
    if looks_like_volume(data):
        raise ImageError("unsupported", "a volume, not an image: `medkit ingest` cuts it into bitmaps")
    picture = next(pictures(data, Path(path), choices))
    if picture.source.frames > 1:
        kind = "frames" if picture.dataset is not None else "pages"
        picture.source.warnings.append(f"{picture.source.frames} {kind}: the first is shown")
    return picture


class DicomBitmapReader(ImageReader):
    """A MONAI reader: displayed pixels (C,H,W) float32 in 0…1, row-major as in the file.

    The metadata holds the identity as ``affine`` (the pixel frame, in which MONAI's spatial transforms accumulate),
    ``frame_size``, the (rows, columns) of the original image, from which an ingested bitmap may have been reduced, and
    ``source``, the facts of `medkit_dicom_ingest.facts.Source` without identifiers.

    Args:
        channels: 1 for grey (luminance of colour images), 3 for RGB (grey images repeated).
        voi: which contrast is shown; see `medkit_dicom_ingest.dicom.contrast.Voi.parse`.

    Raises:
        ConfigError: neither 1 nor 3 channels, or ``voi`` is not understood.

    Example:
        ```yaml
        _target_: LoadImaged
        keys: image
        reader: {_target_: medkit.transform, component: dicom_bitmap_reader}
        ensure_channel_first: true
        ```
    """

    def __init__(self, channels: int = 1, voi: str = "auto") -> None:
        super().__init__()
        if channels not in (1, 3):
            raise ConfigError(f"{channels} channels asked for: 1 (grey) or 3 (RGB)")
        self.channels = channels
        self.choices = Choices(voi=Voi.parse(voi), in_colour=channels == 3)

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
        return read_picture(paths[0], self.choices)

    def get_data(self, img: Picture) -> tuple[np.ndarray, dict[str, Any]]:
        """Return (C,H,W) float32 and the metadata."""
        meta = {
            "affine": np.eye(4),
            "original_channel_dim": 0,
            "spatial_shape": np.array(img.pixels.shape[:2]),
            "filename_or_obj": img.path,
            c.FRAME_SIZE: np.array([img.source.rows, img.source.columns]),
            c.SOURCE: img.source.as_dict(),
        }
        pixels = np.atleast_3d(img.pixels).transpose(2, 0, 1)
        return np.repeat(pixels, self.channels // len(pixels), axis=0), meta


class LoadBitmapd(MapTransform):
    """Dictionary transform: paths → MetaTensor (C,H,W) float32 in 0…1.

    MONAI's ``LoadImage`` tries one reader after the other, so a file that is bad for the right one may be read wrongly
    by the next; here there is one reader, and one line of error.

    Args:
        keys: which hold a path.
        channels: 1 for grey, 3 for RGB.
        voi: which contrast is shown; see `medkit_dicom_ingest.dicom.contrast.Voi.parse`.
        allow_missing_keys: skip a key that a sample lacks.

    Raises:
        DataError: the file is not a readable image.

    Example:
        ```yaml
        - {_target_: medkit.transform, component: load_image, keys: image}
        ```
    """

    def __init__(
        self, keys: KeysCollection = c.IMAGE, channels: int = 1, voi: str = "auto", allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.reader = DicomBitmapReader(channels, voi)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the sample with its images read."""
        sample = dict(data)
        for key in self.key_iterator(sample):
            array, meta = self.reader.get_data(self.reader.read(sample[key]))
            sample[key] = MetaTensor.ensure_torch_and_prune_meta(array, meta)
        return sample
