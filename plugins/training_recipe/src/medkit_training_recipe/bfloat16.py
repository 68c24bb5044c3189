"""The network in bfloat16 where the processor computes in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from monai.inferers import Inferer, SimpleInferer


class BFloat16(Inferer):
    """MONAI Inferer: the network's output in float32, most of it computed in bfloat16 on processors that can.

    MONAI's engines know mixed precision on CUDA only. On a CPU with bfloat16 instructions a convolutional network
    takes about half the time; on others, and on any other device, the network runs as it is. Weights, gradients and
    optimizer stay float32, and so does whatever follows: nothing needs scaling, for bfloat16 has float32's range.

    Args:
        inferer: what runs the network; None: the network itself.
        enabled: False: as it is; None: where the processor has the instructions.

    Reference:
        Kalamkar et al. 2019, arXiv:1905.12322.

    Example:
        ```yaml
        inferer: {_target_: medkit.transform, component: bfloat16}
        ```
    """

    def __init__(self, inferer: Inferer | None = None, enabled: bool | None = None) -> None:
        self.inferer = inferer or SimpleInferer()
        self.enabled = computes_bfloat16() if enabled is None else enabled

    def __call__(self, inputs: torch.Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return the network's output, a tensor or a tuple of them; reduced precision becomes float32.

        Args:
            inputs: (B,C,H,W).
            network: gives logits.
            *args: for the network.
            **kwargs: for the network.
        """
        if not self.enabled or inputs.device.type != "cpu":
            return self.inferer(inputs, network, *args, **kwargs)
        with torch.autocast("cpu", torch.bfloat16):
            output = self.inferer(inputs, network, *args, **kwargs)
        return output.float() if isinstance(output, torch.Tensor) else tuple(part.float() for part in output)


def computes_bfloat16() -> bool:
    """Return whether this processor has instructions for bfloat16: elsewhere it would be emulated, and slower."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
