"""Masks as text, and network output on the pixels of the original image."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage

from medkit.errors import DataError


def encode(mask: np.ndarray) -> str:
    """Return a mask (H,W) bool as run lengths: ``H W a b c …``, row-major, in turn outside and inside, outside first.

    Raises:
        DataError: the mask has not two axes.
    """
    mask = np.asarray(mask, bool)
    if mask.ndim != 2:
        raise DataError(f"a mask (H,W) was asked for, {mask.shape} was found: drop the other axes")
    pixels = mask.ravel()
    changes = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    outside_first = [0] if pixels[:1].any() else []  # a mask whose first pixel is inside begins with a run of 0
    lengths = np.diff(changes, prepend=0, append=pixels.size)
    return " ".join(map(str, (*mask.shape, *outside_first, *lengths.tolist())))


def decode(text: str) -> np.ndarray:
    """Return the mask (H,W) bool of `encode`'s text.

    Raises:
        DataError: the text is empty (nobody drew a mask) or is no such text.
    """
    try:
        rows, columns, *lengths = map(int, text.split())
        runs = np.array(lengths, np.int64)
        if rows < 0 or columns < 0 or (runs < 0).any() or runs.sum() != rows * columns:
            raise ValueError
    except (ValueError, OverflowError) as error:
        shown = f"{text[:30]}…" if len(text) > 30 else text
        raise DataError(f'a mask as run lengths was asked for, "{shown}" was found: give what encode gave') from error
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(rows, columns)


def to_frame(
    values: torch.Tensor | np.ndarray, frame_affine: torch.Tensor | np.ndarray, frame_size: torch.Tensor | np.ndarray
) -> np.ndarray:
    """Return (H,W) float32: values on the network's input, resampled bilinearly to the pixels of the frame.

    Pixels are squares whose values hold at their centres (``align_corners=False``); beyond the outermost centres, the
    values at the edge are repeated.

    Args:
        values: (h,w), one value a pixel of the network's input: logits, probabilities.
        frame_affine: (3,3), input pixel edges → frame pixel edges (`medkit.contracts.FRAME_AFFINE`).
        frame_size: (rows H, columns W).

    Raises:
        DataError: the sample has no frame.
    """
    to_frame_edges = np.asarray(frame_affine, np.float64)
    size = np.asarray(frame_size, np.float64)
    if not (np.isfinite(to_frame_edges).all() and np.isfinite(size).all()):
        raise DataError("an image's frame was asked for, none was found: leave the metadata on in its transforms")
    centre = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    swap = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1.0]])
    to_input = swap @ np.linalg.inv(centre) @ np.linalg.inv(to_frame_edges) @ centre @ swap  # (row, column) indices
    source = torch.as_tensor(values).detach().cpu().float().numpy()
    shape = tuple(round(n) for n in size)
    return ndimage.affine_transform(source, to_input, output_shape=shape, order=1, mode="nearest")
