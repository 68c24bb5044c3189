"""A network's masks, closed or weakened by another model's word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from monai.inferers import Inferer, SimpleInferer

from medkit.errors import ConfigError

CLOSED = -100.0
"""The logit of a closed image. Its sigmoid is 0 in every loss; torch's BCELoss, too, stops at a logarithm of −100."""


class GatedInferer(Inferer):
    """MONAI Inferer: multiplies each image's mask probabilities by its gate, and gives logits of the product.

    In training, the mask of an image whose gate is 0 is empty whatever the network says, so it teaches nothing: its
    gradient is 0. It still counts in the batch: its constant loss is in the mean, and batch normalisation sees it.

    Args:
        mode: ``hard``: the gate is rounded to 1 from ``threshold``, else 0; ``soft``: it is taken as it is; ``off``: it
            is always 1.
        threshold: for ``hard``.
        inferer: what runs the network, e.g. MONAI's ``SlidingWindowInferer``; None: the network itself.

    Raises:
        ConfigError: an option has an impossible value.

    Example:
        ```yaml
        prepare_batch: {_target_: medkit.PrepareBatch, target: mask, extra: [gate]}
        inferer: {_target_: medkit.transform, component: gated_inferer, mode: hard}
        ```
    """

    def __init__(
        self,
        mode: Literal["hard", "soft", "off"] = "hard",
        *,
        threshold: float = 0.5,
        inferer: Inferer | None = None,
    ) -> None:
        if mode not in ("hard", "soft", "off"):
            raise ConfigError(f'gated_inferer: mode "{mode}" is unknown: choose hard, soft or off')
        if not 0 <= threshold <= 1:
            raise ConfigError(f"gated_inferer: threshold {threshold}: give a probability from 0 to 1")
        self.mode = mode
        self.threshold = threshold
        self.inferer = inferer or SimpleInferer()

    def __call__(
        self,
        inputs: torch.Tensor,
        network: Callable[..., torch.Tensor],
        gate: torch.Tensor | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> torch.Tensor:
        """Return logits of the network's shape, float32 at least.

        Args:
            inputs: (B,C,H,W).
            network: (B,C,H,W) → logits (B,K,H,W).
            gate: (B,), 0…1; NaN is 1.
            *args: for the network.
            **kwargs: for the network.

        Raises:
            ConfigError: there is no gate, or not one an image.
        """
        if gate is None or gate.shape != inputs.shape[:1]:
            found = "none" if gate is None else f"shape {tuple(gate.shape)}"
            raise ConfigError(
                f"gated_inferer: one gate for each of {len(inputs)} images was asked for, {found} was found: use "
                "medkit.PrepareBatch with extra: [gate], and gate_values in the preprocessing"
            )
        gate = gate.nan_to_num(1.0) if self.mode != "off" else torch.ones_like(gate)
        if self.mode == "hard":
            gate = gate >= self.threshold
        return gated(self.inferer(inputs, network, *args, **kwargs), gate)


def gated(logits: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:
    """Return logits of ``g · σ(logits)``: ``log g − log(exp(−logits) + 1 − g)``; where ``g`` is 0, `CLOSED`.

    With ``g`` 1 they are the same logits, to the bit; with 0 their gradient is exactly 0.

    Args:
        logits: (B,…), any floating dtype; computed in float32 at least.
        gate: (B,), 0…1.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    gate = gate.to(logits).view(-1, *[1] * (logits.ndim - 1))
    product = gate.log() - torch.logaddexp(-logits, (-gate).log1p())
    return torch.where(gate > 0, product, CLOSED)
