"""How far a copy of a network is from the original."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from medkit.errors import MedkitError

ABSOLUTE = RELATIVE = 1e-4
"""Logits may differ by ``ABSOLUTE + RELATIVE · |logit|``; no probability then differs by more than 0.00005."""


class DiffersError(MedkitError):
    """A copy that does not compute what the original does."""


def compare(
    original: Callable[[torch.Tensor], Sequence[torch.Tensor]],
    copy: Callable[[torch.Tensor], Sequence[torch.Tensor]],
    batches: Mapping[str, torch.Tensor],
    outputs: Sequence[str],
) -> dict[str, dict[str, dict[str, float]]]:
    """Return batch → output → ``max_absolute`` and ``max_relative``, the first over the output's largest magnitude.

    Args:
        original: (B,C,H,W) → one tensor an output.
        copy: the same, with other means.
        batches: name → images.
        outputs: their names.

    Raises:
        DiffersError: an output has another shape, is not finite, or differs by more than the tolerance.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    for batch, images in batches.items():
        with torch.no_grad():
            pairs = zip(outputs, original(images), copy(images), strict=True)
        found[batch] = {name: _difference(f"{name} of {batch}", true, given) for name, true, given in pairs}
    return found


def _difference(what: str, true: torch.Tensor, given: torch.Tensor) -> dict[str, float]:
    if true.shape != given.shape:
        raise DiffersError(f"{what}: the copy gives the shape {tuple(given.shape)}, the original {tuple(true.shape)}")
    apart = (given.double() - true.double()).abs()
    largest, magnitude = float(apart.max()), float(true.abs().max())
    if not (apart <= ABSOLUTE + RELATIVE * true.abs()).all():  # not a number is never within it
        raise DiffersError(
            f"{what}: the copy differs from the original by up to {largest:.3g}, where {ABSOLUTE:g} + {RELATIVE:g} · "
            f"|logit| is allowed and logits reach {magnitude:.3g}: nothing is written. Try another --format"
        )
    return {"max_absolute": largest, "max_relative": largest / magnitude if magnitude else 0.0}
