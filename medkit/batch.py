"""What a training engine takes from a batch: the image, what it is held against, and what else the network wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from monai.engines import PrepareBatch as Base
from monai.utils import ensure_tuple

from medkit import contracts as c
from medkit.errors import DataError


class PrepareBatch(Base):
    """MONAI's ``prepare_batch`` for other targets than the label, such as a mask, or several.

    Post-processing and handlers then find under ``label`` of an engine's output what was the target; `medkit.handlers`
    take the label itself, of the batch.

    Args:
        target: the key that the loss takes; several give the loss a tuple.
        extra: keys whose values the network takes after the image.

    Raises:
        DataError: a batch lacks a key.

    Example:
        ```yaml
        prepare_batch: {_target_: medkit.PrepareBatch, target: [label, mask]}
        ```
    """

    def __init__(self, target: str | Sequence[str] = c.LABEL, extra: str | Sequence[str] = ()) -> None:
        self.target = target
        self.extra = ensure_tuple(extra)

    def __call__(
        self,
        batchdata: Mapping[str, Any],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[Any, ...]:
        """Return (image, target), with ``extra`` (image, target, extra values, {}), as MONAI's engines take them."""

        def moved(key: str) -> Any:
            if key not in batchdata:
                raise DataError(f'prepare_batch was asked for "{key}", the batch has {", ".join(sorted(batchdata))}')
            value = batchdata[key]
            return value.to(device, non_blocking=non_blocking, **kwargs) if isinstance(value, torch.Tensor) else value

        target = moved(self.target) if isinstance(self.target, str) else tuple(moved(key) for key in self.target)
        pair = moved(c.IMAGE), target
        return (*pair, tuple(moved(key) for key in self.extra), {}) if self.extra else pair
