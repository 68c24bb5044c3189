"""The average of the training images, taken once."""

from __future__ import annotations

from typing import Any

import torch
from ignite.engine import Engine, Events
from torch import nn
from torch.utils.data import DataLoader, Dataset

from medkit import contracts as c
from medkit.device import unwrapped
from medkit.errors import ConfigError, DataError
from medkit.randomness import random_transforms
from medkit_average_image.network import AverageImage, describe_shapes


class FitAverageImage:
    """Ignite handler: before the first epoch, give the network ``average_image`` the mean of the training images.

    One pass over the data set, each image once, in float64; files that could not be read do not count. A network that
    has its average image already, because training is resumed or because it was loaded, keeps it to the bit.
    Under torch.distributed every process takes the mean of all images, which is the same for all.

    Args:
        network: `medkit_average_image.network.AverageImage`, as it is or data-parallel.
        dataset: MONAI's data set of the training images, preprocessed by a `medkit.SafeCompose` without augmentation.
        num_workers: processes that read it.

    Raises:
        ConfigError: another network; a random transform in the data set.
        DataError: no image could be read, or one has another shape than the network's images.

    Example:
        ```yaml
        handlers:
        - {_target_: medkit.handler, component: average_image, network: "@network", dataset: "@train#plain"}
        ```
    """

    def __init__(self, network: nn.Module, dataset: Dataset[Any], num_workers: int = 0) -> None:
        inner = unwrapped(network)
        if not isinstance(inner, AverageImage):
            found = type(inner).__name__
            raise ConfigError(f"handler average_image: the network is {found}: wrap it in the network average_image")
        for transform in random_transforms(dataset):
            raise ConfigError(
                f"handler average_image: the data set has the random transform {type(transform).__name__}: give the "
                "training images in a data set without augmentation"
            )
        self.network = inner
        self.dataset = dataset
        self.num_workers = num_workers

    def attach(self, engine: Engine) -> None:
        """Register with the trainer."""
        engine.add_event_handler(Events.EPOCH_STARTED, self.fit)  # what is resumed has been loaded by then

    @torch.no_grad()
    def fit(self, engine: Engine) -> None:
        """Fill the buffer where it is empty."""
        if self.network.fitted:
            return
        average = self.network.average_image
        total, count = torch.zeros(average.shape, dtype=torch.float64), 0
        loader = DataLoader(
            self.dataset,
            batch_size=None,
            num_workers=self.num_workers,
            generator=torch.Generator(),  # leaves training's random numbers alone
        )
        for sample in loader:
            if sample[c.STATUS] == "ok":
                if sample[c.IMAGE].shape != average.shape:
                    raise DataError(f"{sample[c.FILE]}: {describe_shapes(average, sample[c.IMAGE])}")
                total += sample[c.IMAGE]
                count += 1
        if not count:
            raise DataError(f"none of {len(loader)} training images could be read: there is no average image")
        average.copy_(total / count)
