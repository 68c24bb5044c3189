"""What a GAN takes from a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from medkit import contracts as c


class GanBatch:
    """``d_prepare_batch`` of MONAI's ``GanTrainer``: the images that could be read; placeholders are no real images."""

    def __call__(
        self,
        batchdata: Mapping[str, Any],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> torch.Tensor:
        """Return (N,C,H,W), N at most the batch size."""
        readable = torch.tensor([status == "ok" for status in batchdata[c.STATUS]])
        return batchdata[c.IMAGE][readable].to(device, non_blocking=non_blocking, **kwargs)
