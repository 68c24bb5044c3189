"""Planted duplicates: copies of an image as public collections hold them, in known number."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import cv2
import numpy as np
from PIL import Image

KINDS = {"exact": 0.34, "re_encoded": 0.24, "brightened": 0.21, "cropped": 0.21}
"""The kinds of copy and the share of each: the same bytes under another name; saved again as a poorer JPEG; brighter or
darker; up to 3 % cut off the edges and stretched back."""


@dataclass(frozen=True)
class Item:
    """One image of the set.

    Attributes:
        tumour: whether it shows one.
        patient: whose; copies share it.
        original: the number of the item that this is a copy of; None for an original.
        kind: of the copy, one of `KINDS`; empty for an original.
    """

    tumour: bool
    patient: int
    original: int | None = None
    kind: str = ""


def plan(rng: np.random.Generator, images: int, duplicates: float, tumours: float) -> list[Item]:
    """Return what the set holds: originals first, then copies of some, a few of them of the same one.

    Args:
        rng: decides which are copied.
        images: in all.
        duplicates: the share of them that are copies.
        tumours: the share of them that show a tumour.
    """
    copies = round(images * duplicates)
    originals = images - copies
    shown = rng.permutation(originals) < round(originals * tumours)
    items = [Item(bool(tumour), patient) for patient, tumour in enumerate(shown)]
    kinds = np.repeat(list(KINDS), np.floor(np.array(list(KINDS.values())) * copies).astype(int)).tolist()
    kinds += ["exact"] * (copies - len(kinds))
    for kind in rng.permutation(kinds):
        original = int(rng.integers(originals))
        items.append(Item(items[original].tumour, original, original, str(kind)))
    return items


def changed(pixels: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Return a copy of (H,W) uint8 pixels of the same size, changed as ``kind`` says."""
    if kind == "re_encoded":
        buffer = BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=int(rng.integers(45, 80)))
        return np.asarray(Image.open(buffer))
    if kind == "brightened":
        gain, offset = rng.choice([rng.uniform(0.82, 0.94), rng.uniform(1.06, 1.2)]), rng.uniform(0, 10)
        return np.clip(pixels * gain + offset, 0, 255).round().astype(np.uint8)
    if kind == "cropped":
        rows, columns = pixels.shape
        top, left, bottom, right = (1 + int(rng.integers(max(size * 3 // 100, 1))) for size in (rows, columns) * 2)
        cut = pixels[top : rows - bottom, left : columns - right]
        return cv2.resize(cut, (columns, rows), interpolation=cv2.INTER_AREA)
    return pixels
