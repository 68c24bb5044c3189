"""Mask files of any kind, united."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from PIL import Image, UnidentifiedImageError

from medkit.contracts import FRAME_MASK, FRAME_SIZE, IMAGE, MASK
from medkit.errors import DataError
from medkit.masks import encode


class LoadMaskd(MapTransform):
    """Dictionary transform: lists of mask files → MetaTensor (1,H,W) float32 of 0 and 1, with the image's affine.

    Goes right after the image is read, before anything moves its pixels; spatial transforms then take both keys, the
    mask with ``mode: nearest``. An empty list gives zeros. A sample without the key gives NaN everywhere, which losses
    and metrics skip: nobody drew a mask.

    The sample also gets ``frame_mask``, which no spatial transform moves: the mask as run-length text on the frame's
    pixels (`medkit.contracts.FRAME_MASK`), taken from the nearest where the frame has another size than the file.

    Args:
        keys: which hold a list of paths; ``frame_mask`` is of the first.
        image_key: holds the image, (C,H,W).

    Raises:
        DataError: a file is no image or has another size than the image, or there is no image to compare with.

    Example:
        ```yaml
        - {_target_: medkit.transform, component: load_image, keys: image}
        - {_target_: medkit.transform, component: load_mask}
        - {_target_: Resized, keys: [image, mask], spatial_size: [128, 128], mode: [area, nearest]}
        ```
    """

    def __init__(self, keys: KeysCollection = MASK, image_key: str = IMAGE) -> None:
        super().__init__(keys, allow_missing_keys=True)
        self.image_key = image_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the sample with its masks read."""
        sample = dict(data)
        image = sample.get(self.image_key)
        if not isinstance(image, torch.Tensor) or image.ndim != 3:
            raise DataError(f'load_mask found no image (C,H,W) in "{self.image_key}": put load_image before it')
        shape = tuple(image.shape[1:])
        sample[FRAME_MASK] = ""
        for key in self.keys:
            paths = sample.get(key)
            mask = np.full(shape, np.nan, np.float32) if paths is None else united_mask(paths, shape)
            if paths is not None and key == self.keys[0]:
                sample[FRAME_MASK] = encode(on_frame(mask > 0, sample, image))
            affine = image.affine.clone() if isinstance(image, MetaTensor) else torch.eye(4)
            sample[key] = MetaTensor(mask[None], affine=affine, meta={"spatial_shape": np.array(shape)})
        return sample


def on_frame(mask: np.ndarray, sample: Mapping[Hashable, Any], image: torch.Tensor) -> np.ndarray:
    """Return a mask (h,w) bool on the sample's frame (H,W), which is its own or its reader's, as in `SafeCompose`."""
    size = np.asarray(sample.get(FRAME_SIZE, np.nan), np.float64)
    if np.isnan(size).any():
        size = image.meta.get(FRAME_SIZE, mask.shape) if isinstance(image, MetaTensor) else mask.shape
    rows, columns = (round(float(n)) for n in size)
    return np.asarray(Image.fromarray(mask).resize((columns, rows), Image.Resampling.NEAREST))


def united_mask(paths: Sequence[str] | str, shape: tuple[int, ...]) -> np.ndarray:
    """Return (H,W) float32: 1 where any of the files has a pixel above 0.

    Args:
        paths: mask files; one path alone is a list of one.
        shape: (H,W) that each must have.

    Raises:
        DataError: a file cannot be read or has another size.
    """
    united = np.zeros(shape, bool)
    for path in [paths] if isinstance(paths, str) else paths:
        mask = read_mask(path)
        if mask.shape != shape:
            raise DataError(
                f"{path}: the mask has {mask.shape[0]} rows and {mask.shape[1]} columns, "
                f"the image {shape[0]} and {shape[1]}"
            )
        united |= mask
    return united.astype(np.float32)


def read_mask(path: str) -> np.ndarray:
    """Return (H,W) bool of a 1-bit, grey, 16-bit, palette, RGB or RGBA file; what is transparent is not inside.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with Image.open(path) as image:
            has_alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
            if image.mode in ("P", "PA", "LA") or has_alpha:
                image = image.convert("RGBA")
            pixels = np.asarray(image)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise DataError(f"{path}: the mask cannot be read: {' '.join(str(error).split())}") from error
    if pixels.ndim == 2:
        return pixels > 0
    inside = (pixels[..., :3] > 0).any(axis=-1)
    return inside & (pixels[..., 3] > 0) if pixels.shape[-1] == 4 else inside
