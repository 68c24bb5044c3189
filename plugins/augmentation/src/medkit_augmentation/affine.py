"""Small random movements of an image, in units that do not depend on its size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from monai.config import KeysCollection
from monai.transforms import Compose, RandAffined, RandFlipd
from monai.utils import GridSampleMode, GridSamplePadMode

from medkit.errors import ConfigError, did_you_mean


class RandomAffined(Compose):
    """Dictionary transform: rotate, shear, shift and zoom (C,H,W) images at random about their centre, then flip them.

    MONAI's ``RandAffined`` (one resampling) and ``RandFlipd``; all ``keys`` of a sample move alike. With ``R`` the
    rotation, ``H`` the shear, ``t`` the shift and ``S`` the zooms, the output's pixel at ``x``, (rows, columns) from
    the centre, shows the input's at ``R H (t + S x)``. Each number is drawn uniformly from its range.

    Args:
        keys: of images of one size.
        rotation: degrees, to either side.
        translation: part of the image's side: rows of its height, columns of its width.
        shear: pixels that a row moves down for each column to the right.
        zoom: 0.04 scales height and width, each on its own, by 0.96 to 1.04.
        horizontal_flip: probability that left and right change places.
        vertical_flip: probability that top and bottom change places.
        probability: that the image is moved at all, flips aside.
        mode: ``bilinear``, ``nearest`` (masks) or ``bicubic``; one for all keys, or one each.
        padding_mode: what comes in from outside: ``border`` repeats the edge, ``zeros``, ``reflection``.

    Raises:
        ConfigError: a number out of range, or an unknown mode.
    """

    def __init__(
        self,
        keys: KeysCollection,
        rotation: float = 10.0,
        translation: float = 0.05,
        shear: float = 0.04,
        zoom: float = 0.04,
        horizontal_flip: float = 0.5,
        vertical_flip: float = 0.0,
        probability: float = 1.0,
        mode: str | Sequence[str] = "bilinear",
        padding_mode: str = "border",
    ) -> None:
        parts = {"horizontal_flip": horizontal_flip, "vertical_flip": vertical_flip, "probability": probability}
        _require_between(1, **parts)
        _require_between(180, rotation=rotation)
        _require_between(1, translation=translation, shear=shear)
        _require_between(0.9, zoom=zoom)
        for name in [mode] if isinstance(mode, str) else mode:
            _require_known("mode", name, GridSampleMode)
        _require_known("padding_mode", padding_mode, GridSamplePadMode)
        self.translation = translation
        self.affine = RandAffined(
            keys,
            prob=probability,
            rotate_range=math.radians(rotation),
            shear_range=shear,
            scale_range=(zoom, zoom),
            mode=mode,
            padding_mode=padding_mode,
        )
        flips = [RandFlipd(keys, horizontal_flip, spatial_axis=1), RandFlipd(keys, vertical_flip, spatial_axis=0)]
        super().__init__([self.affine, *flips])

    def __call__(self, input_: Any, start: int = 0, end: int | None = None, threading: bool = False, lazy: Any = None):
        """Return the sample with its images moved."""
        height, width = input_[self.affine.first_key(input_)].shape[1:]
        grid = self.affine.rand_affine.rand_affine_grid
        grid.translate_range = (self.translation * height, self.translation * width)  # MONAI counts in pixels
        return super().__call__(input_, start, end, threading, lazy)


def _require_between(high: float, **options: float) -> None:
    for name, value in options.items():
        if not 0 <= value <= high:
            raise ConfigError(f"random_affine: {name} is {value}: give 0 to {high}")


def _require_known(option: str, name: str, choices: Any) -> None:
    known = [choice.value for choice in choices]
    if name not in known:
        hint = did_you_mean(str(name), known)
        raise ConfigError(f'random_affine: {option} "{name}" is unknown.{hint} Choices: {", ".join(known)}.')
