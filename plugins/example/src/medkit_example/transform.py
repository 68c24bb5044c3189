"""Speckle (Goodman 1976, doi:10.1364/JOSA.66.001145), as a change of training images."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform

from medkit.errors import ConfigError


class RandSpeckled(RandomizableTransform, MapTransform):
    """Dictionary transform: images (C,H,W) in 0…1 whose pixels are each multiplied by a number near 1.

    The numbers are normal with mean 1, cut so that pixels stay in 0…1: grain that is stronger where the image is
    brighter, as coherent waves give it. Speckle itself follows a Rayleigh distribution; scanners compress its range.

    Args:
        keys: of the images; each gets speckle of its own.
        probability: that a sample is changed at all.
        deviation: standard deviation of the numbers.

    Raises:
        ConfigError: an option has no such value.

    Example:
        ```yaml
        - {_target_: medkit.transform, component: rand_speckle, keys: image, deviation: 0.1}
        ```
    """

    def __init__(self, keys: KeysCollection, *, probability: float = 0.5, deviation: float = 0.1) -> None:
        if not (0 <= probability <= 1 and deviation >= 0):
            raise ConfigError("rand_speckle: give a probability from 0 to 1 and a deviation of at least 0")
        MapTransform.__init__(self, keys)
        RandomizableTransform.__init__(self, probability)
        self.deviation = deviation

    def __call__(self, data: Mapping[Hashable, torch.Tensor]) -> dict[Hashable, Any]:
        """Return the sample with its images changed."""
        sample = dict(data)
        self.randomize(None)
        if self._do_transform:
            for key in self.key_iterator(sample):
                image = sample[key]
                factors = self.R.normal(1, self.deviation, tuple(image.shape))
                sample[key] = (image * torch.as_tensor(factors, dtype=image.dtype)).clamp(0, 1)
        return sample
