"""Make an image fit a network that halves it several times, and undo that on its output."""

from __future__ import annotations

import torch
from torch.nn import functional


def padded(images: torch.Tensor, multiples: tuple[int, ...]) -> torch.Tensor:
    """Return the images with their last rows and columns repeated until every side fits.

    A side becomes a multiple of its ``multiples`` entry and at least two of them, so that normalisation over the
    coarsest maps has more than one cell to look at.

    Args:
        images: (B,C,H,W) or (B,C,H,W,D) float.
        multiples: the input pixels, one number a side, that a cell of the coarsest maps covers.
    """
    sides = images.shape[2:]
    missing = [max(-(-side // multiple), 2) * multiple - side for side, multiple in zip(sides, multiples, strict=True)]
    if not any(missing):
        return images
    # torch counts from the last side; at both ends of each: nothing before, the missing pixels behind
    return functional.pad(images, [n for end in reversed(missing) for n in (0, end)], mode="replicate")


def cropped(maps: torch.Tensor, sides: torch.Size) -> torch.Tensor:
    """Return maps (B,K,H,W[,D]) without what `padded` added to images of ``sides``."""
    return maps[(slice(None), slice(None), *(slice(side) for side in sides))]
