"""Which images are drawn for which of their findings: a random matching with given counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medkit_epoch_sampling.label_sets import LabelSets


class Short(Exception):
    """Classes that together ask for more images than show any of them (the condition of Hall's theorem, broken)."""

    def __init__(self, classes: Sequence[int], images: int) -> None:
        super().__init__(classes, images)
        self.classes = list(classes)
        self.images = images


def draw_seeds(sets: LabelSets, seeds: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return (K,S) int: how many images of each label set are drawn for each class, none for two.

    Classes take turns, the rarest first, and draw at random among all images of theirs that are left. One that finds
    too few gets others handed over: by a class that can replace them, which may be handed over some in turn
    (augmenting paths; Hall 1935, doi:10.1112/jlms/s1-10.37.26). So the numbers are met if they can be met.

    Args:
        sets: the images.
        seeds: (K,) int: images to draw for each class.
        random: what decides.

    Raises:
        Short: the numbers cannot be met.
    """
    taken = np.zeros(sets.has.shape, np.int64)
    free = sets.sizes.copy()
    for k in np.argsort(sets.counts, kind="stable"):
        there = free * sets.has[k]
        taken[k] = random.multivariate_hypergeometric(there, min(seeds[k], there.sum()))
        free -= taken[k]
        while (lacking := seeds[k] - taken[k].sum()) > 0:
            _hand_over(sets, taken, free, k, lacking)
    return taken


def _hand_over(sets: LabelSets, taken: np.ndarray, free: np.ndarray, short: int, lacking: int) -> None:
    """Give class ``short`` some more images, along the shortest chain of classes that ends at one with free images."""
    taker_of: dict[int, tuple[int, int]] = {}  # class → class that it can give images to, and their set
    waiting = [short]
    for k in waiting:  # grows while it is walked: breadth first
        spare = free * sets.has[k]
        if spare.any():
            chain = [(k, int(np.argmax(spare)))]  # who takes images of which set, each from the one before
            amount = min(lacking, spare.max())
            while k != short:
                amount = min(amount, taken[k, taker_of[k][1]])
                k, s = taker_of[k]
                chain.append((k, s))
            source = free
            for k, s in chain:
                source[s] -= amount
                taken[k, s] += amount
                source = taken[k]
            return
        for giver in set(np.flatnonzero((taken * sets.has[k]).any(axis=1)).tolist()) - set(waiting):
            taker_of[giver] = k, int(np.argmax(taken[giver] * sets.has[k]))
            waiting.append(giver)
    raise Short(sorted(waiting), int(sets.sizes @ sets.has[waiting].any(axis=0)))
