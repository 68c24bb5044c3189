"""The input that pretrained weights expect, from the card beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from medkit.errors import CheckpointError


def mean_and_deviation(input_scaling: Mapping[str, Any] | None) -> torch.Tensor | None:
    """Return (2,C or 1) float32: the mean and the standard deviation that the input is normalised with.

    Args:
        input_scaling: `medkit.card.Card.input_scaling`.

    Raises:
        CheckpointError: it says neither ``mean`` and ``std`` nor ``range``.
    """
    if input_scaling is None:
        return None
    given = dict(input_scaling)
    if set(given) == {"range"}:
        low, high = map(float, given["range"])
        given = {"mean": -low / (high - low), "std": 1 / (high - low)}
    if set(given) != {"mean", "std"}:
        raise CheckpointError('input_scaling of the card must be {"mean": …, "std": …} or {"range": [low, high]}')
    mean, std = (torch.tensor(given[key], dtype=torch.float32).reshape(-1) for key in ("mean", "std"))
    return torch.stack(torch.broadcast_tensors(mean, std))
