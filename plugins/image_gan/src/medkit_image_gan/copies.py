"""Whether an image is a copy of a training image: nearest neighbours at low resolution."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch.nn.functional import adaptive_avg_pool2d

SIDE = 16
"""Pixels a side at which images are compared: what is left of anatomy, without noise."""
_BLOCK = 4_000_000
"""Correlations held in memory at once."""


def signature(image: torch.Tensor, side: int | None = SIDE) -> torch.Tensor:
    """Return (side²,) float32 of an image (C,H,W): reduced, its mean taken off, of length 1; zeros where it is flat.

    So neither brightness nor contrast makes a copy another image. ``side`` None keeps the resolution.
    """
    grey = image.float().mean(dim=0, keepdim=True)
    pixels = (grey if side is None else adaptive_avg_pool2d(grey, side)).flatten()
    pixels = pixels - pixels.mean()
    length = pixels.norm()
    return pixels / length if length > 1e-6 * len(pixels) ** 0.5 else torch.zeros_like(pixels)


def signatures(images: Iterable[torch.Tensor]) -> torch.Tensor:
    """Return (N, 2, `SIDE`²) float32: of each image and of its mirror image, right for left."""
    return torch.stack([torch.stack([signature(image), signature(image.flip(-1))]) for image in images])


def nearest(images: torch.Tensor, others: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return each image's distance to the nearest of ``others`` (N,) and which that is (N,).

    The distance is the root mean square difference of the standardised pixels: 0 for a copy, √2 without correlation.

    Args:
        images: (N,2,P) from `signatures`.
        others: (M,2,P), M at least 1.
    """
    bank = others.flatten(0, 1)
    step = max(1, _BLOCK // len(bank))
    best = [(images[start : start + step, 0] @ bank.T).max(dim=1) for start in range(0, len(images), step)]
    correlation = torch.cat([block.values for block in best]).double().clamp(max=1)
    return (2 - 2 * correlation).sqrt().numpy(), torch.cat([block.indices for block in best]).numpy() // 2


def correlation(image: torch.Tensor, other: torch.Tensor) -> float:
    """Return Pearson's correlation of two images (C,H,W) of one size, or of one and the other's mirror image."""
    of_image = signature(image, None)
    return max(float(of_image @ signature(view, None)) for view in (other, other.flip(-1)))
