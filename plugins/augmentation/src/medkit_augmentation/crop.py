"""The middle of an image, as pixels or as a region."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal

from monai.config import KeysCollection
from monai.transforms import CenterSpatialCrop, MapTransform, Resize

from medkit.errors import ConfigError, DataError


class CentreCropd(MapTransform):
    """Dictionary transform: the middle of (C,H,W) images.

    Args:
        keys: of the images.
        spatial_size: (rows, columns).
        mode: ``crop`` cuts ``spatial_size`` pixels from the middle; ``shrink`` cuts the largest part of that shape
            from the middle and reduces it to ``spatial_size`` (area).
        of: side of the image that ``spatial_size`` refers to. An image whose shorter side is another one gets a
            ``spatial_size`` that is as many times larger or smaller: 600×800 of 1024 is 150×200 of 256. None: pixels.

    Raises:
        ConfigError: an option out of range.
        DataError: an image that is smaller than ``spatial_size``; it is never enlarged or padded.

    Example:
        ```yaml
        - {_target_: medkit.transform, component: centre_crop, keys: image, spatial_size: [600, 800], of: 1024}
        ```
    """

    def __init__(
        self,
        keys: KeysCollection,
        spatial_size: Sequence[int],
        mode: Literal["crop", "shrink"] = "crop",
        of: int | None = None,
    ) -> None:
        super().__init__(keys)
        size = tuple(spatial_size)
        if len(size) != 2 or not all(
            isinstance(side, int) and 0 < side <= (side if of is None else of) for side in size
        ):
            at_most = f", at most {of} (of)" if of is not None else ""
            raise ConfigError(f"centre_crop: spatial_size is {list(size)}: give rows and columns of 1 or more{at_most}")
        if mode not in ("crop", "shrink"):
            raise ConfigError(f'centre_crop: mode "{mode}" is unknown. Choices: crop, shrink.')
        self.spatial_size = size
        self.mode = mode
        self.of = of

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the sample with its images cut."""
        sample = dict(data)
        for key in self.key_iterator(sample):
            image = sample[key]
            present = image.shape[1:]
            wanted = self._size_for(present)
            if any(w > p for w, p in zip(wanted, present)):
                raise DataError(
                    f"the centre crop of {wanted[0]}×{wanted[1]} pixels is larger than the image, "
                    f"{present[0]}×{present[1]}: give a smaller spatial_size, or in `of` the side that it refers to"
                )
            if self.mode == "shrink":
                factor = min(p / w for w, p in zip(wanted, present))
                image = CenterSpatialCrop([min(round(w * factor), p) for w, p in zip(wanted, present)])(image)
                sample[key] = Resize(wanted, mode="area")(image)
            else:
                sample[key] = CenterSpatialCrop(wanted)(image)
        return sample

    def _size_for(self, present: Sequence[int]) -> tuple[int, ...]:
        factor = min(present) / self.of if self.of else 1
        return tuple(max(1, round(side * factor)) for side in self.spatial_size)
