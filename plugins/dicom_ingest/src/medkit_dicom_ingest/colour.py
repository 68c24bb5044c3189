"""Grey levels of a data type; colour to grey, and whether there is any colour."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

COLOURED = 0.2
"""Spread between channels, of full scale, from which a pixel is coloured. JPEG's chroma noise stays below 0.06, a
scanned X-ray with a tint below 0.14."""
COLOURED_SHARE = 0.01
"""Share of coloured pixels from which an image is a colour image; a small mark leaves it grey."""


def quantised(shown: np.ndarray, dtype: DTypeLike) -> np.ndarray:
    """Return 0…1 as ``dtype``: floating as it is, unsigned integers rounded, with 1 as the highest that they hold."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return shown.astype(kind)
    return np.rint(shown * np.iinfo(kind).max).astype(kind)


def displayed(samples: np.ndarray, white: float, dtype: DTypeLike, in_colour: bool) -> tuple[np.ndarray, bool]:
    """Return samples as ``dtype`` (see `quantised`) and whether there is colour to speak of.

    Args:
        samples: (H,W) grey or (H,W,3) RGB, numbers in 0…white.
        white: the value of full scale.
        dtype: float32, uint8 or uint16.
        in_colour: give RGB (H,W,3) where the channels differ, instead of luminance (H,W; ITU-R BT.601).
    """
    scale = np.float32(white)
    if samples.ndim == 2:
        return quantised(samples / scale, dtype), False
    red, green, blue = (np.ascontiguousarray(samples[..., channel]) for channel in range(3))
    if np.array_equal(red, green) and np.array_equal(green, blue):
        return quantised(red / scale, dtype), False
    spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    colour = bool(np.mean(spread > COLOURED * white) > COLOURED_SHARE)
    if not in_colour:
        return quantised((0.299 * red + 0.587 * green + 0.114 * blue) / white, dtype), colour
    exact = samples.dtype == dtype and white == np.iinfo(samples.dtype).max
    return (np.ascontiguousarray(samples) if exact else quantised(samples / scale, dtype)), colour


def ybr_to_rgb(ybr: np.ndarray, white: float) -> np.ndarray:
    """Return RGB (H,W,3) float64 in 0…white from YBR_FULL (PS3.3 C.7.6.3.1.2; ITU-R BT.601, full range)."""
    half = (white + 1) / 2
    luma, blue, red = ybr[..., 0].astype(np.float64), ybr[..., 1] - half, ybr[..., 2] - half
    rgb = np.stack([luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue], axis=-1)
    return np.clip(rgb, 0, white)
