"""Evidence as the input gradient (Simonyan, Vedaldi, Zisserman 2013, arXiv:1312.6034, section 3)."""

from __future__ import annotations

import torch
from torch import nn

from medkit.device import evaluating


class Saliency:
    """For every finding, how strongly its logit answers to each input pixel.

    ``map[k, i, j] = max over channels of |d logit_k / d image[i, j]|``: one backward pass a class over the whole batch,
    which does not mix images, because in evaluation mode an image's logits depend on that image alone. The network runs
    in that mode and is left as it was.

    Args:
        network: gives logits (B,K) from images (B,C,H,W). May also be passed with each call, as a MONAI Inferer is.

    Example:
        ```yaml
        inferer: {_target_: medkit.localizer, component: saliency}
        ```
    """

    def __init__(self, network: nn.Module | None = None) -> None:
        self.network = network

    def __call__(self, images: torch.Tensor, network: nn.Module | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits (B,K) and maps (B,K,H,W), float32, ≥ 0, without gradients.

        Args:
            images: (B,C,H,W) float.
            network: takes the place of the one given at construction.

        Raises:
            ValueError: no network was given, here or at construction.
        """
        model = network or self.network
        if model is None:
            raise ValueError("saliency needs a network: pass it here or at construction")
        with torch.enable_grad(), evaluating(model):
            pixels = images.detach().clone().requires_grad_()
            logits = model(pixels)
            maps = []
            for class_logits in logits.unbind(dim=1):
                (gradient,) = torch.autograd.grad(class_logits.sum(), pixels, retain_graph=True)
                maps.append(gradient.abs().amax(dim=1))
        return logits.detach(), torch.stack(maps, dim=1)
