"""Grids of grey tiles, with exact pixels, and the sheet that they are put on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

GAP = 2
"""Pixels between tiles."""
_BACKGROUND, _INK, _MARGIN, _FONT = 255, 0, 12, 16


def scaled(tile: np.ndarray) -> np.ndarray:
    """Return (h,w) uint8: the tile's lowest value becomes 0, its highest 255; one that is constant becomes 0."""
    low, high = float(tile.min()), float(tile.max())
    spread = (tile.astype(np.float64) - low) / (high - low) if high > low else np.zeros(tile.shape)
    return np.round(255 * spread).astype(np.uint8)


def enlarged(tile: np.ndarray, smallest: int) -> np.ndarray:
    """Return the tile with every pixel repeated as often until its longer side has ``smallest`` pixels."""
    times = -(-smallest // max(tile.shape))
    return tile.repeat(times, axis=0).repeat(times, axis=1)


def grid(tiles: Sequence[np.ndarray], across: int) -> np.ndarray:
    """Return uint8 tiles of one size in lines of ``across``, `GAP` pixels apart."""
    height, width = tiles[0].shape
    lines = -(-len(tiles) // across)
    out = np.full((lines * (height + GAP) - GAP, min(across, len(tiles)) * (width + GAP) - GAP), _BACKGROUND, np.uint8)
    for n, tile in enumerate(tiles):
        top, left = n // across * (height + GAP), n % across * (width + GAP)
        out[top : top + height, left : left + width] = tile
    return out


def sheet(title: str, blocks: Sequence[tuple[str, np.ndarray]]) -> Image.Image:
    """Return a grey picture: the title, and below it each block's caption and grid."""
    font = ImageFont.load_default(_FONT)
    line = _FONT + 8
    texts = [title, *(caption for caption, _ in blocks)]
    width = max(*(int(font.getlength(text)) + 1 for text in texts), *(grid.shape[1] for _, grid in blocks))
    height = line + sum(line + grid.shape[0] + _MARGIN for _, grid in blocks)
    picture = Image.new("L", (width + 2 * _MARGIN, height + 2 * _MARGIN), _BACKGROUND)
    draw = ImageDraw.Draw(picture)
    draw.text((_MARGIN, _MARGIN), title, _INK, font)
    top = _MARGIN + line
    for caption, block in blocks:
        draw.text((_MARGIN, top), caption, _INK, font)
        picture.paste(Image.fromarray(block), (_MARGIN, top + line))
        top += line + block.shape[0] + _MARGIN
    return picture
