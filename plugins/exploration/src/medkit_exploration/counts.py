"""How often findings occur, alone and together; unknown labels are left out."""

from __future__ import annotations

import numpy as np


def co_occurrence(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two (K,K) int64: images that show i (row) and j (column), and images that show i and for which j is known.

    Their ratio is P(j|i).

    Args:
        labels: (N,K), 1 present, 0 absent, NaN unknown.
    """
    shown, known = (labels == 1).astype(np.int64), (~np.isnan(labels)).astype(np.int64)
    return shown.T @ shown, shown.T @ known


def distribution(labels: np.ndarray) -> np.ndarray:
    """Return (K+1,3) int64: images that show a finding, that do not, and for which it is unknown; last "no finding".

    An image is one of "no finding" where every label is 0, none where any is 1, else unknown.

    Args:
        labels: (N,K), 1 present, 0 absent, NaN unknown.
    """
    any_shown = (labels == 1).any(axis=1)
    nothing = np.where(any_shown, 0.0, np.where(np.isnan(labels).any(axis=1), np.nan, 1.0))
    columns = np.column_stack([labels, nothing])
    return np.stack([(columns == 1).sum(axis=0), (columns == 0).sum(axis=0), np.isnan(columns).sum(axis=0)], axis=1)
