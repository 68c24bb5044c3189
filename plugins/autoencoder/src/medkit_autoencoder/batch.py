"""What an engine takes from a batch to train an auto-encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from medkit import contracts as c
from medkit.batch import PrepareBatch


class ReconstructionBatch(PrepareBatch):
    """MONAI's ``prepare_batch`` for the network ``autoencoder``: images are their own targets.

    The network is told which files could be read: the placeholders of the others have an error and a gradient of 0.

    Raises:
        DataError: a batch lacks ``image`` or ``status``, see `medkit.SafeCompose`.

    Example:
        ```yaml
        prepare_batch: {_target_: medkit.transform, component: reconstruction_batch}
        ```
    """

    def __init__(self) -> None:
        super().__init__(target=c.IMAGE, extra=c.STATUS)

    def __call__(
        self,
        batchdata: Mapping[str, Any],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[Any, ...]:
        """Return (images, images, (readable,), {}) with ``readable`` (B,) bool, as MONAI's engines take them."""
        images, target, (status,), options = super().__call__(batchdata, device, non_blocking, **kwargs)
        readable = torch.tensor([one == "ok" for one in status], device=images.device)
        return images, target, (readable,), options
