"""A data set of features in place of images."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any

import torch
from monai.utils import convert_to_tensor
from torch import nn
from torch.utils.data import Dataset, get_worker_info
from tqdm import tqdm

from medkit import contracts as c
from medkit.device import evaluating
from medkit.errors import ConfigError
from medkit.randomness import random_transforms
from medkit_cached_features.frozen import require_frozen, require_head


class CachedFeatures(Dataset):
    """The samples of another data set with ``image`` replaced by the features (F,) float32 of a frozen encoder.

    All other keys stay, so samplers, losses, metrics and handlers see what they always see; samples that could not be
    read keep their places. Features are computed at the first access, in batches in the order of the data set, in
    evaluation mode, with the weights that the network has then: those of a resumed checkpoint, for instance. They are
    kept in memory, 4·F bytes an image, and no random number is drawn for them.

    Args:
        dataset: gives samples with an ``image`` (C,H,W) and no random augmentation.
        network: its ``encode`` gives features (B,F) and is frozen; it stays on its device.
        batch_size: images that are encoded at once.
        quiet: no progress bar.

    Raises:
        ConfigError: a random transform, a network without ``encode`` and ``head`` or one that several processes train;
            at the first access an encoder that is not frozen, or a process of the DataLoader's own.

    Example:
        ```yaml
        dataset: {_target_: medkit.transform, component: cached_features, dataset: "@train#images", network: "@network"}
        inferer: {_target_: medkit.transform, component: head_inferer}
        ```
    """

    def __init__(self, dataset: Dataset[Any], network: nn.Module, batch_size: int = 32, quiet: bool = False) -> None:
        if batch_size < 1:
            raise ConfigError(f"cached_features: batch_size {batch_size}: give at least 1")
        if not isinstance(dataset, Sized):
            raise ConfigError(f"cached_features: {type(dataset).__name__} has no length: give a data set of samples")
        require_head(network, "cached_features")
        for transform in random_transforms(dataset):
            raise ConfigError(
                f"cached_features: the data set has the random transform {type(transform).__name__}, whose images "
                "differ in every epoch: leave augmentation out, or train on images"
            )
        self.dataset = dataset
        self.network = network
        self.batch_size = batch_size
        self.quiet = quiet
        self.samples: list[c.Sample] = []

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> c.Sample:
        """Return a copy of one sample; the first call computes the features of all."""
        if not self.samples:
            self._compute()
        return dict(self.samples[index])

    @torch.no_grad()
    def _compute(self) -> None:
        if get_worker_info() is not None:
            raise ConfigError("cached_features: every process of the DataLoader would encode all: num_workers: 0")
        samples: list[c.Sample] = []
        device = next(self.network.parameters()).device
        for start in tqdm(range(0, len(self), self.batch_size), "features", disable=self.quiet):
            batch = [self.dataset[n] for n in range(start, min(start + self.batch_size, len(self)))]
            images = torch.stack([convert_to_tensor(sample[c.IMAGE]) for sample in batch]).to(device)
            if start == 0:
                require_frozen(self.network, images)
            with evaluating(self.network):
                features = self.network.encode(images).float().cpu()
            samples += [{**sample, c.IMAGE: row.clone()} for sample, row in zip(batch, features, strict=True)]
        self.samples = samples
