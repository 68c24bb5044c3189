"""Slices as the files of the public collection: JPEG and PNG of four modes, four extensions, names with spaces."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, PngImagePlugin

MARK = "SYNTHETIC phantom image, not a patient"
KINDS = {
    ("jpg", "RGB"): 0.48,
    ("jpg", "L"): 0.22,
    ("JPG", "RGB"): 0.12,
    ("jpeg", "RGB"): 0.07,
    ("png", "RGBA"): 0.04,
    ("png", "L"): 0.04,
    ("png", "P"): 0.03,
}
"""Extension and mode, and the share of each."""


def marked(pixels: np.ndarray) -> np.ndarray:
    """Return (H,W) 0…1 as uint8 with SYNTHETIC written small at the bottom."""
    grey = np.round(pixels * 255).astype(np.uint8)
    size = len(grey) / 256 * 0.3
    return cv2.putText(grey, "SYNTHETIC", (3, len(grey) - 4), cv2.FONT_HERSHEY_SIMPLEX, size, 110, 1, cv2.LINE_AA)


def draw_kind(rng: np.random.Generator) -> tuple[str, str]:
    """Return an extension and a mode of `KINDS`."""
    return list(KINDS)[rng.choice(len(KINDS), p=list(KINDS.values()))]


def draw_name(rng: np.random.Generator, tumour: bool, number: int, extension: str) -> str:
    """Return a file name such as ``Y12.jpg`` or ``no 12.JPG``; the number keeps names apart."""
    word = (
        ("Y", "y {}", "{} yes")[rng.choice(3, p=[0.8, 0.1, 0.1])]
        if tumour
        else ("no {}", "{} no", "N")[rng.choice(3, p=[0.5, 0.3, 0.2])]
    )
    return f"{word.format(number) if '{}' in word else f'{word}{number}'}.{extension}"


def write(path: Path, pixels: np.ndarray, mode: str) -> None:
    """Write (H,W) uint8 pixels; the extension decides the format. The header says SYNTHETIC."""
    image = Image.fromarray(pixels)
    if mode == "P":
        image = image.convert("RGB").quantize(128)
    elif mode != "L":
        image = image.convert(mode)
    if path.suffix.lower() == ".png":
        text = PngImagePlugin.PngInfo()
        text.add_text("Comment", MARK)
        image.save(path, "PNG", pnginfo=text, compress_level=1)
    else:
        image.save(path, "JPEG", quality=92, comment=MARK)
