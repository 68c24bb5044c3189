"""Images and heat maps as data URIs, small enough for one page."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from medkit import contracts as c

# Dark violet to pale yellow: brightness grows along the way, so it reads without colour vision, and on grey.
_COLOURS = np.array([[70, 12, 105], [160, 35, 100], [225, 85, 40], [250, 165, 20], [252, 255, 164]], np.float64)
_OVERLAY_SIDE = 192


@dataclass(frozen=True, slots=True)
class Picture:
    """An image file that was opened again.

    Attributes:
        uri: the image as ``data:…``.
        rows: of the file.
        columns: of the file.
        source: facts about the file, as its reader gives them.
    """

    uri: str
    rows: int
    columns: int
    source: Mapping[str, Any]


def photograph(reader: Any, path: str, max_side: int) -> Picture:
    """Read an image file and return it in grey, its longer side at most ``max_side`` pixels.

    Args:
        reader: a MONAI image reader whose ``get_data`` gives (C,H,W) in 0…1 and its metadata.
        path: the file.
        max_side: of the picture.

    Raises:
        Exception: whatever the reader raises.
        ValueError: what was read is not one flat image.
    """
    pixels, meta = reader.get_data(reader.read(path))
    pixels = np.asarray(pixels, np.float32)
    if pixels.ndim != 3 or not pixels.size:
        raise ValueError(f"shape {pixels.shape} is not (channels, rows, columns)")
    rows, columns = pixels.shape[1:]
    grey = Image.fromarray(np.rint(255 * np.clip(np.nan_to_num(pixels[:3].mean(axis=0)), 0, 1)).astype(np.uint8))
    if max(grey.size) > max_side:
        scale = max_side / max(grey.size)
        size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
        grey = grey.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return Picture(_uri(grey, quality=85), rows, columns, meta.get(c.SOURCE) or {})


def overlay(png: Path) -> str:
    """Return a grey heat map in colour, transparent where there is no evidence, smoothed between its cells."""
    with Image.open(png) as image:
        grey = image.convert("L")
    scale = max(1.0, _OVERLAY_SIDE / max(grey.size))
    size = (round(grey.width * scale), round(grey.height * scale))
    evidence = np.asarray(grey.resize(size, Image.Resampling.BICUBIC), np.float64) / 255
    stops = np.linspace(0, 1, len(_COLOURS))
    channels = [np.interp(evidence, stops, column) for column in (*_COLOURS.T, 255 * stops)]
    return _uri(Image.fromarray(np.rint(np.stack(channels, axis=-1)).astype(np.uint8), "RGBA"), quality=70)


def _uri(image: Image.Image, quality: int) -> str:
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=quality, alpha_quality=50, method=2)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
