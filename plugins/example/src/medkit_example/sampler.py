"""Square-root sampling (Mahajan et al. 2018, arXiv:1805.00932, section 2.2)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch.distributed
from torch.utils.data import Sampler

from medkit.errors import DataError


class SquareRoot(Sampler[int]):
    """Indices of images, drawn with replacement, as many an epoch as there are images.

    An image's weight is ``1 / √f``, with f the frequency of its rarest class; images without any finding are a class
    of their own. That is half way, on a logarithmic scale, between images as they come and equal classes. The order
    follows from ``seed + epoch``. Under torch.distributed all ranks make one draw and each takes its part.

    Args:
        labels: (N,K): 1 present, 0 absent, NaN unknown, which counts as absent; a row of NaN alone is never drawn.
        seed: of the first epoch.

    Raises:
        DataError: the labels are no matrix, or all unknown.

    Reference:
        Mahajan, Girshick, Ramanathan, He, Paluri, Li, Bharambe, van der Maaten 2018, ECCV, arXiv:1805.00932; they
        repeat images of rare classes, this draws them more often.

    Example:
        ```yaml
        sampler:
          _target_: medkit.sampler
          component: square_root
          labels: {_target_: medkit.labels, data: "@train#dataset#data"}
        ```
    """

    def __init__(self, labels: np.ndarray, *, seed: int = 0) -> None:
        labels = np.asarray(labels, np.float32)
        known = ~np.isnan(labels).all(axis=1) if labels.ndim == 2 else np.zeros(0, bool)
        if not known.any():
            raise DataError(f"square_root needs labels (N,K) with known ones, found shape {labels.shape}")
        shows = labels == 1
        shows = np.column_stack([shows, ~shows.any(axis=1)]) & known[:, None]
        frequency = shows.sum(axis=0) / known.sum()
        weights = (shows / np.sqrt(np.where(frequency > 0, frequency, 1))).max(axis=1)
        self.probabilities = weights / weights.sum()
        self.num_samples = len(labels)
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Make the next iteration that of ``epoch``."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Return how many indices this rank yields."""
        return -(-self.num_samples // _rank_and_world_size()[1])

    def __iter__(self) -> Iterator[int]:
        rank, world_size = _rank_and_world_size()
        random = np.random.default_rng(self.seed + self.epoch)
        drawn = random.choice(len(self.probabilities), size=len(self) * world_size, p=self.probabilities)
        return iter(drawn[rank::world_size].tolist())


def _rank_and_world_size() -> tuple[int, int]:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
