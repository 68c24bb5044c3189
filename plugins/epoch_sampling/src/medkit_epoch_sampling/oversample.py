"""Oversampling: images of rare classes are repeated."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from medkit.errors import ConfigError
from medkit_epoch_sampling.epoch import EpochSampler
from medkit_epoch_sampling.label_sets import LabelSets, apportion, label_sets

logger = logging.getLogger(__name__)


class OversamplingSampler(EpochSampler):
    """Indices of images: each once, and those of rare classes again until their class is frequent enough.

    The goal is ``share`` times the count of the most frequent class, rounded up. Classes take turns, the rarest first:
    one that the epoch does not yet hold that often gets what it lacks, from its label sets in proportion to their
    images. A repeated image counts for each of its findings, so that a class has at least the goal and, where
    findings occur together, often more; the sampler ``balanced`` is the one for equal counts. How often each label set
    comes is the same in all epochs, and with it their length: at least N, and at most N plus what each class lacks.
    Which images of a set come once more than the others changes.

    Args:
        labels: (N,K): 1 present, 0 absent, NaN unknown, which counts as absent; images all of whose labels are unknown
            are never drawn.
        share: above 0, at most 1.
        no_finding_is_class: images without any finding are a class too; otherwise they come once each, and the goal
            is the most frequent finding's.
        class_names: K names, for messages.
        seed: of the first epoch.
        rank, world_size: see `EpochSampler`.

    Raises:
        ConfigError: an option has no such value.
        DataError: the labels are not a matrix of 0, 1 and NaN, or all are unknown.

    Reference:
        Buda, Maki, Mazurowski 2018, doi:10.1016/j.neunet.2018.07.011.

    Example:
        ```yaml
        sampler:
          _target_: medkit.sampler
          component: oversample
          labels: {_target_: medkit.labels, data: "@train#dataset#data"}
        ```
    """

    def __init__(
        self,
        labels: np.ndarray,
        *,
        share: float = 1.0,
        no_finding_is_class: bool = True,
        class_names: Sequence[str] | None = None,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        if not 0 < share <= 1:
            raise ConfigError(f"oversample: share {share}: give a share of the most frequent class, up to 1")
        sets = label_sets(labels, no_finding_is_class=no_finding_is_class, class_names=class_names)
        absent = [name for name, count in zip(sets.names, sets.counts) if not count]
        if absent:
            logger.warning("oversample: no image shows %s: it cannot be repeated", ", ".join(absent))
        self._copies = oversampled(sets, share)
        super().__init__(sets, int(self._copies.sum()), seed, rank, world_size)

    def copies(self, random: np.random.Generator) -> np.ndarray:
        """Return how often (S,) each label set comes."""
        return self._copies


def oversampled(sets: LabelSets, share: float) -> np.ndarray:
    """Return how often (S,) int each label set comes, at least as often as it has images."""
    goal = int(np.ceil(share * sets.counts.max() - 1e-9))
    copies = sets.sizes.copy()
    for k in np.argsort(sets.counts, kind="stable"):
        lacking = goal - int(sets.has[k] @ copies)
        if sets.counts[k] and lacking > 0:
            copies += apportion(lacking, sets.has[k] * sets.sizes)
    return copies
