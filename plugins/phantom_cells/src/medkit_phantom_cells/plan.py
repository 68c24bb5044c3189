"""Which classes every image shows, and which section it is in: exact counts, drawn combinations."""

from __future__ import annotations

import numpy as np

from medkit_phantom_cells.classes import ALONE, CLASSES, COUNTS, IMAGES, LABELS_AN_IMAGE, TOGETHER

_TRAIN, _VALID, _TEST = "training", "validation", "test"
_OF_TEN = np.array([_TRAIN, _TEST, _TRAIN, _TRAIN, _VALID, _TRAIN, _TEST, _TRAIN, _TRAIN, _TRAIN])
"""The sections of ten images in turn, and of ten labels of a class: 70 % training, 10 % validation, 20 % test."""


def class_counts(images: int, minimum: int) -> np.ndarray:
    """Return (28,) int64: images of every class, in the real proportions, none below ``minimum``.

    An image has 1.63 classes on average, as in the real table: what raises the rare classes is taken from the others.

    Args:
        images: at least 28 ``minimum``.
        minimum: the floor.
    """
    total = round(images * COUNTS.sum() / IMAGES)
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        enough = np.maximum(minimum, middle * images * COUNTS / IMAGES).sum() > total
        low, high = (low, middle) if enough else (middle, high)
    exact = np.maximum(minimum, low * images * COUNTS / IMAGES)
    counts = np.floor(exact + 1e-9).astype(np.int64)
    counts[np.argsort(counts - exact, kind="stable")[: total - counts.sum()]] += 1
    return counts


def plan(images: int, minimum: int, seed: int, evaluated: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return (N,28) bool and (N,) section names.

    Every section gets its tenths of each class's images, so 100 of a class give exactly 10 to the validation section.
    With ``evaluated`` each section has counts of its own: those of training are as skewed as ``minimum`` allows, and
    those that are measured on have at least ``evaluated`` of every class.

    Args:
        images: at least 28 ``minimum``, and 280 ``evaluated``.
        minimum: see `class_counts`.
        seed: decides the combinations and who is where.
        evaluated: images of every class at least in validation, and in test; 0: what the proportions give.
    """
    rng = np.random.default_rng([seed, 300])
    of_label = np.repeat(np.arange(len(CLASSES)), class_counts(images, minimum))
    section_of_label = np.resize(_OF_TEN, len(of_label))
    sections = rng.permutation(np.resize(_OF_TEN, images))
    labels = np.zeros((images, len(CLASSES)), bool)
    for section in np.unique(sections):
        there = rng.permutation(np.flatnonzero(sections == section))
        if evaluated:
            quota = class_counts(len(there), minimum if section == _TRAIN else evaluated)
        else:
            quota = np.bincount(of_label[section_of_label == section], minlength=len(CLASSES))
        labels[there] = _deal(rng, quota, _sizes(rng, len(there), int(quota.sum())))
    return labels, sections


def _sizes(rng: np.random.Generator, images: int, total: int) -> np.ndarray:
    """Return how many classes each image shows, most first, 1 to 4, in the real proportions, with this sum."""
    shares = np.cumsum(list(LABELS_AN_IMAGE.values())) / IMAGES
    sizes = 1 + np.searchsorted(shares, (np.arange(images) + 0.5) / images)
    while missing := total - sizes.sum():
        step = int(np.sign(missing))
        able = np.flatnonzero((sizes + step >= 1) & (sizes + step <= len(shares)))
        sizes[rng.choice(able)] += step
    return np.sort(sizes)[::-1]


def _deal(rng: np.random.Generator, quota: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return (N,28) bool whose columns sum to ``quota`` and rows to ``sizes``; classes seek the company they keep."""
    left = quota.copy()
    alone = quota * ALONE / COUNTS
    alone *= np.count_nonzero(sizes == 1) / max(alone.sum(), 1)
    labels = np.zeros((len(sizes), len(quota)), bool)
    affinity = np.ones((len(quota), len(quota)))
    for (one, other), times in TOGETHER.items():
        affinity[one, other] = affinity[other, one] = times
    for row, size in enumerate(sizes):
        chosen = np.flatnonzero(left >= len(sizes) - row).tolist()  # needed by every image that is left
        while len(chosen) < size:
            spare = np.maximum(left - alone, 0.001 * left) if size > 1 else left
            weight = spare * affinity[chosen].prod(axis=0)
            weight[chosen] = 0
            chosen.append(int(rng.choice(len(weight), p=weight / weight.sum())))
        labels[row, chosen] = True
        left[chosen] -= 1
    return labels
