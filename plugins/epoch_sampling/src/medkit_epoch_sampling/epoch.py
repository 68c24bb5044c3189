"""What both samplers share: one epoch's order from copies of label sets, and each process's part of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
import torch.distributed
from torch.utils.data import Sampler

from medkit.errors import ConfigError
from medkit_epoch_sampling.label_sets import LabelSets


class EpochSampler(Sampler[int], ABC):
    """Draws from each label set a given number of times, its images as evenly as possible, in random order.

    The order follows from ``seed + epoch`` alone. Under torch.distributed all ranks make the same global draw and each
    takes every world-size-th index of it; where that does not divide, the draw's first indices follow once more, so
    that ranks have equally many, as torch's DistributedSampler does.

    Args:
        sets: of the labels.
        num_samples: indices an epoch, over all ranks.
        seed: of the first epoch.
        rank, world_size: this process and their number; default: torch.distributed's, looked up when drawing,
            because samplers are often built before the process group.

    Raises:
        ConfigError: ``rank`` and ``world_size`` do not go together.
    """

    def __init__(self, sets: LabelSets, num_samples: int, seed: int, rank: int | None, world_size: int | None) -> None:
        if (rank is None) != (world_size is None):
            raise ConfigError("rank and world_size belong together: give both or neither")
        if rank is not None and not 0 <= rank < world_size:
            raise ConfigError(f"rank {rank} is not one of {world_size} ranks, which count from 0")
        self.sets = sets
        self.num_samples = num_samples
        self.seed = seed
        self.epoch = 0
        self._fixed = None if rank is None else (rank, world_size)

    @abstractmethod
    def copies(self, random: np.random.Generator) -> np.ndarray:
        """Return how often (S,) int each label set is drawn in an epoch, ``num_samples`` in all."""

    def set_epoch(self, epoch: int) -> None:
        """Make the next iteration that of ``epoch``."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Return how many indices this rank yields."""
        return -(-self.num_samples // self._place()[1])

    def __iter__(self) -> Iterator[int]:
        rank, world_size = self._place()
        drawn = self.draw()
        return iter(np.resize(drawn, len(self) * world_size)[rank::world_size].tolist())

    def draw(self) -> np.ndarray:
        """Return the indices (num_samples,) of this epoch, over all ranks.

        Of a set of m images that is drawn n times each is drawn ⌊n/m⌋ or ⌈n/m⌉ times.
        """
        random = np.random.default_rng(self.seed + self.epoch)
        sizes = self.sets.sizes
        whole, rest = np.divmod(self.copies(random), sizes)
        member_of = np.repeat(np.arange(len(sizes)), sizes)
        shuffled = np.lexsort((random.random(len(member_of)), member_of))
        place = np.arange(len(member_of)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        times = whole[member_of] + (place < rest[member_of])
        return random.permutation(np.repeat(self.sets.images[shuffled], times))

    def _place(self) -> tuple[int, int]:
        if self._fixed is not None:
            return self._fixed
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return torch.distributed.get_rank(), torch.distributed.get_world_size()
        return 0, 1
