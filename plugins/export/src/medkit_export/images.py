"""Images to compare on: random ones, and the first that the bundle itself would read."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from monai.bundle import ConfigParser
from monai.transforms import ResizeWithPadOrCrop

from medkit import contracts as c
from medkit.errors import DataError

_MOST = 4


@dataclass(frozen=True, slots=True)
class Images:
    """What the network and its copy are shown.

    Attributes:
        real: (N,C,H,W) float32, preprocessed; N up to 4, and 0 where none could be read.
        synthetic: they are phantoms.
        problem: why there are none.
        shape: (C,H,W) of one.
    """

    real: torch.Tensor
    synthetic: bool
    problem: str
    shape: tuple[int, ...]

    def random(self, count: int) -> torch.Tensor:
        """Return ``count`` images of seeded noise, uniform in 0…1."""
        return torch.rand(count, *self.shape, generator=torch.Generator().manual_seed(count))


def read_images(parser: ConfigParser) -> Images:
    """Return the first images of the configuration's ``dataset``.

    Their size is ``image_size``, where the configuration has it: of larger or smaller ones, which a sliding window
    reads, the middle is taken.

    Raises:
        DataError: the data set is empty.
    """
    dataset = parser.get_parsed_content("dataset")
    if not len(dataset):
        raise DataError("the data set is empty: give --input FOLDER with some images")
    samples = [dataset[0]]  # one that could not be read still says how large they are
    for number in range(1, len(dataset)):
        if len(_read(samples)) == _MOST:
            break
        samples.append(dataset[number])
    size = parser.get_parsed_content("image_size") if "image_size" in parser else samples[0][c.IMAGE].shape[1:]
    fit = ResizeWithPadOrCrop(size)
    read = _read(samples)
    shape = (len(samples[0][c.IMAGE]), *size)
    return Images(
        torch.stack([fit(s[c.IMAGE]).as_tensor().float() for s in read]) if read else torch.empty(0, *shape),
        any(s.get(c.SYNTHETIC, False) for s in read),
        "" if read else f"{samples[0][c.STATUS]}: {samples[0][c.REASON]}",
        shape,
    )


def _read(samples: list[c.Sample]) -> list[c.Sample]:
    return [sample for sample in samples if sample.get(c.STATUS, "ok") == "ok"]
