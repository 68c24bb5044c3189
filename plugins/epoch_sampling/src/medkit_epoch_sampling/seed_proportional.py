"""Epochs of a fixed number of images in chosen class proportions, none of them twice."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from medkit.errors import ConfigError, DataError, did_you_mean
from medkit_epoch_sampling.epoch import EpochSampler
from medkit_epoch_sampling.label_sets import LabelSets, apportion, label_sets
from medkit_epoch_sampling.seeds import Short, draw_seeds

logger = logging.getLogger(__name__)


class SeedProportionalSampler(EpochSampler):
    """Indices of images, drawn without repeats such that each class has its share of an epoch.

    Each image is drawn for one of its findings, its *seed*, and ``num_samples · proportion`` images have their seed in
    each class, exactly (where that is no whole number, by largest remainder). For images with one finding these are the
    class counts; those with several add to their other classes as well, so that a class is present in at least its
    number of images. The seeds are chosen such that the counts are met wherever they can be met at all, see
    `medkit_epoch_sampling.seeds.draw_seeds`.

    Args:
        labels: (N,K): 1 present, 0 absent, NaN unknown, which counts as absent; images all of whose labels are unknown
            are never drawn.
        num_samples: images an epoch, over all ranks. Default: as many as the proportions allow without repeats, each
            class's number rounded down.
        proportions: relative sizes, one a class ("no finding" last), or by name, where classes that are not named have
            none. Default: equal ones of all classes that occur.
        class_names: K names, for ``proportions`` and for messages.
        no_finding_is_class: images without any finding are a class, called "no finding"; otherwise they are not drawn.
        seed: of the first epoch.
        rank, world_size: see `EpochSampler`.

    Raises:
        ConfigError: an option has no such value.
        DataError: the labels are not a matrix of 0, 1 and NaN, or all are unknown; a class has too few images.

    Example:
        ```yaml
        sampler:
          _target_: medkit.sampler
          component: seed_proportional
          labels: {_target_: medkit.labels, data: "@train#dataset#data"}
          class_names: "@findings"
          num_samples: 2000
          proportions: {Hernia: 1, Infiltration: 5, no finding: 10}
        ```
    """

    def __init__(
        self,
        labels: np.ndarray,
        *,
        num_samples: int | None = None,
        proportions: Sequence[float] | Mapping[str, float] | None = None,
        class_names: Sequence[str] | None = None,
        no_finding_is_class: bool = True,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        if num_samples is not None and num_samples < 1:
            raise ConfigError(f"num_samples must be at least 1, found {num_samples}")
        sets = label_sets(labels, no_finding_is_class=no_finding_is_class, class_names=class_names)
        weights = _weights(proportions, sets)
        self.seeds = _most(sets, weights) if num_samples is None else apportion(num_samples, weights)
        super().__init__(sets, int(self.seeds.sum()), seed, rank, world_size)
        try:
            self.copies(np.random.default_rng(seed))
        except Short as short:
            names = " and ".join(sets.names[k] for k in short.classes)
            raise DataError(
                f"seed_proportional: {names}: {self.seeds[short.classes].sum()} images were asked for, there are "
                f"{short.images}, and none is drawn twice: lower num_samples, or this share of proportions"
            ) from None

    def copies(self, random: np.random.Generator) -> np.ndarray:
        """Return how many images (S,) of each label set are drawn."""
        return draw_seeds(self.sets, self.seeds, random).sum(axis=0)


def _weights(proportions: Sequence[float] | Mapping[str, float] | None, sets: LabelSets) -> np.ndarray:
    """Return (K,) float64 ≥ 0, summing to 1."""
    if proportions is None:
        weights = (sets.counts > 0).astype(np.float64)
        if not weights.all():
            absent = ", ".join(name for name, weight in zip(sets.names, weights) if not weight)
            logger.warning("seed_proportional: no image shows %s: left out", absent)
    elif isinstance(proportions, Mapping):
        for name in proportions:
            if name not in sets.names:
                hint = did_you_mean(name, sets.names)
                raise ConfigError(f'proportions name "{name}".{hint} Classes: {", ".join(sets.names)}')
        weights = np.array([proportions.get(name, 0) for name in sets.names], np.float64)
    else:
        weights = np.asarray(proportions, np.float64)
    if weights.shape != (len(sets.names),):
        raise ConfigError(f"proportions are {weights.size} numbers: give one for each of {', '.join(sets.names)}")
    if not (np.isfinite(weights) & (weights >= 0)).all() or not weights.any():
        raise ConfigError(f"proportions are {weights.tolist()}: give numbers of at least 0, one of them above")
    return weights / weights.sum()


def _most(sets: LabelSets, weights: np.ndarray) -> np.ndarray:
    """Return ``⌊t · weights⌋`` (K,) int that can be drawn without repeats, t as great as the rarest classes allow.

    Raises:
        DataError: it is 0 for a class that has a weight.
    """
    total, classes = float(sets.sizes.sum()), np.arange(len(weights))
    while True:
        seeds = np.floor(total * weights + 1e-9).astype(np.int64)
        if not seeds[weights > 0].all():
            names = " and ".join(sets.names[k] for k in classes)
            raise DataError(
                f"seed_proportional: {names}: too few images for these proportions without repeats: give num_samples, "
                "or other proportions"
            )
        try:
            draw_seeds(sets, seeds, np.random.default_rng(0))
            return seeds
        except Short as short:  # these classes allow no more
            classes = np.asarray(short.classes)
            total = short.images / weights[classes].sum()
