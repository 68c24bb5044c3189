"""Who is in which section: every class of a multi-label table in proportion."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from numbers import Integral
from typing import NamedTuple

import numpy as np

from medkit.errors import ConfigError
from medkit.folds import SECTIONS


class Split(NamedTuple):
    """Every image of a data set with its section.

    Attributes:
        rows: (Id, section), in the order of the table.
        fingerprint: SHA-256 of the sorted rows: equal where and only where the split is.
    """

    rows: list[tuple[str, str]]
    fingerprint: str


def divide(
    ids: Sequence[str], labels: np.ndarray, validation_fraction: float, test_fraction: float, split_seed: int
) -> Split:
    """Return a section for every image, such that each section has its share of each class.

    Images with the same set of classes are interchangeable, so what is looked for is how many of each set go where. It
    begins with systematic sampling, each set's share rounded up or down. Then, one image at a time, the move from
    section to section is made that most lessens the sum, over sections and classes, of squared distances from the
    share; until no move does. At first they are divided by the share, so that rare classes come first; then by the
    square of 1 % of it, or of one image where that is more. All images together are one more class. A class that has at
    least half an image for a section gets one there.

    Iterative stratification (Sechidis, Tsoumakas, Vlahavas 2011, doi:10.1007/978-3-642-23808-6_10) places an image once
    and for all, the rarest class first, blind to the other classes that the image has: a frequent class that mostly
    comes with rarer ones is far off before its turn comes, and is never mended. Here every move weighs all classes, and
    each set of classes stays near its share too.

    A place follows from ids, classes, fractions and ``split_seed``, not from the order of the table or from which files
    are there; but one more image may move others.

    Args:
        ids: the N images, each once.
        labels: (N,K), 1 where the image has the class.
        validation_fraction: share of the images, at least 0.
        test_fraction: share of the images, at least 0; something is left to train on.
        split_seed: another seed, another division.

    Raises:
        ConfigError: fractions or a seed out of range.
    """
    shares = _shares(validation_fraction, test_fraction)
    if not isinstance(split_seed, Integral) or split_seed < 0:
        raise ConfigError(f"split_seed {split_seed!r}: give a whole number from 0 on")
    sets, which, sizes = np.unique(np.asarray(labels) > 0, axis=0, return_inverse=True, return_counts=True)
    counts = _balanced(sets, _sampled(sizes, shares, split_seed), shares)
    by_chance = [hashlib.sha256(f"{split_seed}:{name}".encode(errors="surrogateescape")).digest() for name in ids]
    order = sorted(range(len(ids)), key=lambda n: (which.flat[n], by_chance[n]))
    section = np.empty(len(ids), np.int64)
    section[order] = np.repeat(np.tile(np.arange(len(SECTIONS)), len(sets)), counts.ravel())
    rows = [(name, SECTIONS[k]) for name, k in zip(ids, section)]
    digest = hashlib.sha256("\n".join("\t".join(row) for row in sorted(rows)).encode(errors="surrogateescape"))
    return Split(rows, digest.hexdigest())


def _shares(validation_fraction: float, test_fraction: float) -> np.ndarray:
    """Return the shares of `SECTIONS`."""
    for name, value in (("validation_fraction", validation_fraction), ("test_fraction", test_fraction)):
        if not 0 <= value < 1:
            raise ConfigError(f"{name} must be at least 0 and below 1, found {value}")
    if validation_fraction + test_fraction >= 1:
        raise ConfigError("validation_fraction and test_fraction together leave nothing to train on")
    return np.array([1 - validation_fraction - test_fraction, validation_fraction, test_fraction])


def _sampled(sizes: np.ndarray, shares: np.ndarray, seed: int) -> np.ndarray:
    """Return (G,S) counts of G sets of images: each section takes what lies in its part of 0…1, evenly laid out."""
    first = np.random.default_rng(seed).random((len(sizes), 1))
    bounds = np.cumsum(shares)[:-1] * sizes[:, None]
    below = np.clip(np.ceil(bounds - first), 0, sizes[:, None])
    return np.diff(below, axis=1, prepend=0, append=sizes[:, None]).astype(np.int64)


def _balanced(sets: np.ndarray, counts: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return (G,S) counts after both descents.

    Args:
        sets: (G,K) bool, the classes of each set.
        counts: (G,S), how many images of each set are in each section.
        shares: (S,) that add up to 1.
    """
    kinds = np.column_stack([sets, np.ones(len(sets))])
    target = _targets(kinds.T @ counts.sum(axis=1), shares)
    for weight in (1 / np.maximum(target, 1), 1 / np.maximum(0.01 * target, 1) ** 2):
        while move := _best_move(kinds, counts, kinds.T @ counts - target, weight, shares):
            g, a, b = move
            counts[g, [a, b]] += -1, 1
    return counts


def _best_move(
    kinds: np.ndarray, counts: np.ndarray, off: np.ndarray, weight: np.ndarray, shares: np.ndarray
) -> tuple[np.intp, ...] | None:
    """Return (set, from section, to section) of what most lessens the sum of ``weight * off**2``; None if nothing does.

    A change that is the same but for rounding is a tie, which every machine breaks alike.
    """
    lost, gained = kinds @ (weight * (1 - 2 * off)), kinds @ (weight * (1 + 2 * off))
    change = lost[:, :, None] + gained[:, None, :]
    change[(counts == 0)[:, :, None] | np.eye(len(shares), dtype=bool) | (shares == 0)] = 0
    best = np.unravel_index(change.round(9).argmin(), change.shape)
    return best if change[best] < -1e-9 else None


def _targets(totals: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return (K,S): what each section should have of each class, at least one where its share is half an image."""
    target = totals[:, None] * shares
    lifted = np.where(target >= 0.5, np.maximum(target, 1.0), target)
    lifted[np.arange(len(target)), target.argmax(axis=1)] -= (lifted - target).sum(axis=1)
    return lifted
