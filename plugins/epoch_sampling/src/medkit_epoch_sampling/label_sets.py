"""A label matrix as its distinct label sets: all that class counts depend on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medkit.errors import ConfigError, DataError

NO_FINDING = "no finding"


@dataclass(frozen=True, slots=True)
class LabelSets:
    """The images with a known label, grouped by what they show.

    Attributes:
        names: of the K classes.
        has: (K,S) bool: the classes of each label set.
        sizes: (S,) int: how many images have each set.
        images: (N,) int: indices of the images, those of one set after those of another.
    """

    names: list[str]
    has: np.ndarray
    sizes: np.ndarray
    images: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """(K,) int: how many images show each class."""
        return self.has @ self.sizes


def label_sets(
    labels: np.ndarray, *, no_finding_is_class: bool = True, class_names: Sequence[str] | None = None
) -> LabelSets:
    """Group images by their label set.

    Args:
        labels: (N,K): 1 present, 0 absent, NaN unknown, which counts as absent. A row of NaN alone (a file that could
            not be read, or one without labels) is left out.
        no_finding_is_class: images without any finding show one more class, the last.
        class_names: K names, for messages.

    Raises:
        ConfigError: ``class_names`` are not K names.
        DataError: not a matrix, values other than 0, 1 and NaN, or no row with a known label.
    """
    labels = np.asarray(labels, np.float32)
    if labels.ndim != 2 or not labels.size:
        raise DataError(f"labels must be a matrix, one row an image and one column a class; found shape {labels.shape}")
    unknown = np.isnan(labels)
    present = labels == 1
    wrong = labels[~(present | unknown | (labels == 0))]
    if wrong.size:
        raise DataError(f"labels must be 1, 0 or NaN, found {wrong[0]:g}")
    known = ~unknown.all(axis=1)
    if not known.any():
        raise DataError(f"none of the {len(labels)} images has a known label: nothing to sample")
    names = list(class_names) if class_names is not None else [f"class {k}" for k in range(labels.shape[1])]
    if len(names) != labels.shape[1]:
        raise ConfigError(f"class_names has {len(names)} names for {labels.shape[1]} columns of labels")
    if no_finding_is_class:
        present = np.column_stack([present, ~present.any(axis=1)])
        names.append(NO_FINDING)
    images, present = np.flatnonzero(known), present[known]
    packed = np.packbits(present, axis=1)  # sorts far faster than rows of bool
    keys = packed.view(np.dtype((np.void, packed.shape[1])))[:, 0]
    _, first, member_of, sizes = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    return LabelSets(names, present[first].T, sizes, images[np.argsort(member_of, kind="stable")])


def apportion(total: int, weights: np.ndarray) -> np.ndarray:
    """Return whole numbers (n,) that sum to ``total`` and differ from ``total · weights / Σ weights`` by less than 1.

    By largest remainder; of equal ones the first. Quotas that are whole are met.
    """
    quotas = total * weights / weights.sum()
    parts = np.floor(quotas + 1e-9).astype(np.int64)
    largest = np.argsort(parts - quotas, kind="stable")
    parts[largest[: total - parts.sum()]] += 1
    return parts
