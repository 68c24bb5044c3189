"""Sampling probabilities that make all classes equally frequent."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Literal

import numpy as np

from medkit.errors import ConfigError, DataError
from medkit_balanced_sampling.dual import nearest_frequencies, room, solve

logger = logging.getLogger(__name__)

NO_FINDING = "no finding"


def balanced_probabilities(
    labels: np.ndarray,
    *,
    no_finding_is_class: bool = True,
    spread: Literal["variance", "entropy"] = "variance",
    least_share: float = 0.1,
    class_names: Sequence[str] | None = None,
) -> np.ndarray:
    """Return the probability (N,) float64 of each image, summing to 1, such that all classes are equally frequent.

    Images with the same set of labels are alike, so the unknowns are one probability for each distinct set (801 for
    the 112,120 images and 14 findings of ChestX-ray14). Of the many solutions the one nearest to uniform sampling is
    taken: ``variance`` keeps the sum of squares of the probabilities smallest, ``entropy`` their entropy largest.

    Equality alone would give some sets a probability of 0: images with several common findings. ``least_share`` keeps
    them in: each image is drawn at least that often, on average, in an epoch of N. Where equality leaves less room,
    half of that room is taken, and images that equality forbids (those with A alone, where B occurs only beside A)
    are left out; a warning says so.

    Some label matrices cannot be balanced: where B and C occur only beside A but never together, A is at least as
    frequent as both together. Then the class frequencies nearest to equal (least squares) are taken, with a warning.

    Args:
        labels: (N,K): 1 present, 0 absent, NaN unknown, which counts as absent. A row of NaN alone (a file that could
            not be read, or one without labels) gets probability 0.
        no_finding_is_class: images without any finding are one more class, as frequent as each other. Otherwise
            they are drawn as often as they occur.
        spread: ``variance`` repeats the rarest images least, ``entropy`` draws more evenly among the others.
        least_share: 0…1, only with ``variance``: ``entropy`` never reaches 0.
        class_names: K names, for messages.

    Raises:
        ConfigError: an option has no such value.
        DataError: not a matrix, values other than 0, 1 and NaN, or no row with a known label.
    """
    if spread not in ("variance", "entropy"):
        raise ConfigError(f'spread "{spread}" is unknown. Choices: variance, entropy.')
    if not 0 <= least_share < 1:
        raise ConfigError(f"least_share must be at least 0 and below 1, found {least_share}")
    labels = np.asarray(labels, np.float32)
    if labels.ndim != 2 or not labels.size:
        raise DataError(f"labels must be a matrix, one row an image and one column a class; found shape {labels.shape}")
    unknown = np.isnan(labels)
    present = labels == 1
    if not (present | unknown | (labels == 0)).all():
        wrong = labels[~(present | unknown | (labels == 0))][0]
        raise DataError(f"labels must be 1, 0 or NaN, found {wrong:g}")
    known = ~unknown.all(axis=1)
    if not known.any():
        raise DataError(f"none of the {len(labels)} images has a known label: nothing to balance")
    names = list(class_names) if class_names is not None else [f"class {k}" for k in range(labels.shape[1])]
    if len(names) != labels.shape[1]:
        raise ConfigError(f"class_names has {len(names)} names for {labels.shape[1]} columns of labels")
    absent = [name for name, found in zip(names, present.any(axis=0)) if not found]
    if absent:
        logger.warning("no image shows %s: left out of the balance", ", ".join(absent))

    normal = known & ~present.any(axis=1)
    probabilities = np.zeros(len(labels))
    if no_finding_is_class:
        rows = known
        present = np.column_stack([present, normal])
        names.append(NO_FINDING)
    else:
        rows = known & ~normal
        probabilities[normal] = 1 / known.sum()
    if rows.any():
        sets, member_of, images = label_sets(present[rows])
        mass = _set_probabilities(sets, images, names, spread, least_share)
        probabilities[rows] = (mass / images)[member_of] * (rows.sum() / known.sum())
    return probabilities / probabilities.sum()


def label_sets(present: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the distinct rows (S,K) of a bool matrix (N,K), the number of each row's set (N,), and counts (S,)."""
    packed = np.packbits(present, axis=1)
    keys = np.ascontiguousarray(packed).view(np.dtype((np.void, packed.shape[1])))[:, 0]
    _, first, member_of, images = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    return present[first], member_of, images


def _set_probabilities(
    sets: np.ndarray, images: np.ndarray, names: Sequence[str], spread: str, least_share: float
) -> np.ndarray:
    """Return the probability (S,) of each label set."""
    occurs = sets.any(axis=0)
    counts = sets[:, occurs].T.astype(np.float64)
    shares = images / images.sum()
    frequencies = nearest_frequencies(counts)
    if np.ptp(frequencies):
        occurring = [name for name, there in zip(names, occurs) if there]
        described = ", ".join(f"{name} {value:.2f}" for name, value in zip(occurring, frequencies))
        logger.warning("the classes cannot be made equally frequent; nearest relative frequencies: %s", described)
    floor = least_share if spread == "variance" else None
    mass = solve(counts, shares, frequencies, floor)
    if mass is not None:
        return mass
    usable, most = room(counts, shares, frequencies)
    if floor is not None and floor > most / 2:
        floor = most / 2  # at the most itself the floor would decide everything
        logger.warning("the balance leaves no room for least_share %g: lowered to %.3g", least_share, floor)
    if not usable.all():
        logger.warning("the balance leaves no room for %d of %d images", images[~usable].sum(), images.sum())
    mass = np.zeros(len(images))
    solved = solve(counts[:, usable], shares[usable] / shares[usable].sum(), frequencies, floor)
    if solved is None:
        raise DataError("the sampling weights did not converge: try the other spread, or another least_share")
    mass[usable] = solved
    return mass
