"""A sampler that draws every class equally often."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch.distributed
from torch.utils.data import Sampler

from medkit.errors import ConfigError
from medkit_balanced_sampling.weights import balanced_probabilities, label_sets


class BalancedSampler(Sampler[int]):
    """Indices of images, drawn with replacement so that all classes are equally frequent.

    Equal in expectation to rounding, multi-label images included, see `balanced_probabilities`; and nearly equal in
    every single epoch, because the draw is systematic: images stand in a line, sorted by label set and shuffled
    within each, each as long as its probability, and are picked at equal distances from a random start. So each image
    is drawn ⌊num_samples · p⌋ or ⌈num_samples · p⌉ times, and so is each label set. The picks are then shuffled.

    The order follows from ``seed + epoch`` alone. Under torch.distributed all ranks make the same global draw and
    each takes every world-size-th index of it; where ``num_samples`` does not divide, a few more are drawn, so that
    ranks have equally many.

    Args:
        labels: (N,K): 1 present, 0 absent, NaN unknown; see `balanced_probabilities`.
        no_finding_is_class: images without any finding are a class, as frequent as the others; otherwise they are
            drawn as often as they occur.
        num_samples: indices an epoch, over all ranks; default N.
        seed: of the first epoch.
        spread: ``variance`` repeats the rarest images least; ``entropy`` is more even among the others.
        least_share: each image is drawn at least this often, on average, in an epoch of N.
        class_names: K names, for messages.
        rank, world_size: this process and their number; default: torch.distributed's, looked up when drawing,
            because samplers are often built before the process group.

    Raises:
        ConfigError: an option has no such value.
        DataError: the labels are not a matrix of 0, 1 and NaN, or all are unknown.

    Reference:
        Systematic sampling: Madow 1949, Annals of Mathematical Statistics 20(3), doi:10.1214/aoms/1177729988.

    Example:
        ```yaml
        sampler:
          _target_: medkit.sampler
          component: balanced
          labels: {_target_: medkit.labels, data: "@train#dataset#data"}
        ```
    """

    def __init__(
        self,
        labels: np.ndarray,
        *,
        no_finding_is_class: bool = True,
        num_samples: int | None = None,
        seed: int = 0,
        spread: Literal["variance", "entropy"] = "variance",
        least_share: float = 0.1,
        class_names: Sequence[str] | None = None,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        labels = np.asarray(labels, np.float32)
        self.probabilities = balanced_probabilities(
            labels,
            no_finding_is_class=no_finding_is_class,
            spread=spread,
            least_share=least_share,
            class_names=class_names,
        )
        if num_samples is not None and num_samples < 1:
            raise ConfigError(f"num_samples must be at least 1, found {num_samples}")
        if (rank is None) != (world_size is None):
            raise ConfigError("rank and world_size belong together: give both or neither")
        if rank is not None and not 0 <= rank < world_size:
            raise ConfigError(f"rank {rank} is not one of {world_size} ranks, which count from 0")
        self.num_samples = len(labels) if num_samples is None else num_samples
        self.seed = seed
        self.epoch = 0
        self._fixed = None if rank is None else (rank, world_size)
        self._set_of = label_sets(labels == 1)[1]

    def set_epoch(self, epoch: int) -> None:
        """Make the next iteration that of ``epoch``."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Return how many indices this rank yields."""
        return -(-self.num_samples // self._place()[1])

    def __iter__(self) -> Iterator[int]:
        rank, world_size = self._place()
        return iter(self.draw(len(self) * world_size)[rank::world_size].tolist())

    def draw(self, count: int) -> np.ndarray:
        """Return ``count`` indices of this epoch, over all ranks."""
        random = np.random.default_rng(self.seed + self.epoch)
        order = random.permutation(len(self.probabilities))
        order = order[np.argsort(self._set_of[order], kind="stable")]
        order = order[self.probabilities[order] > 0]
        ends = np.cumsum(self.probabilities[order])
        picks = (np.arange(count) + random.random()) * (ends[-1] / count)
        # rounding may put the last pick on the very end
        drawn = order[np.minimum(np.searchsorted(ends, picks, side="right"), len(order) - 1)]
        return random.permutation(drawn)

    def _place(self) -> tuple[int, int]:
        if self._fixed is not None:
            return self._fixed
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return torch.distributed.get_rank(), torch.distributed.get_world_size()
        return 0, 1
