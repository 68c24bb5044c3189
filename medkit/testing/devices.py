"""Where a part is tried beside the CPU."""

from __future__ import annotations

import torch

_MIXED = ("expected device", "same device")


def devices() -> list[torch.device]:
    """Return what to check on beside the CPU: ``meta``, which stands for any other, and CUDA where there is one."""
    return [torch.device("meta"), *([torch.device("cuda")] if torch.cuda.is_available() else [])]


def says_nothing(error: BaseException, device: torch.device) -> bool:
    """Whether a part failed on ``meta`` because it looks at values, which tensors do not have there."""
    return device.type == "meta" and not any(words in str(error) for words in _MIXED)
