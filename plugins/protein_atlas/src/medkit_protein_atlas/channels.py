"""One file a colour, read side by side."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from medkit.errors import DataError

_CODED_IN = {"red": [2], "green": [1], "blue": [0], "yellow": [1, 2]}
"""Where a coloured file has its grey value, in OpenCV's order: blue, green, red."""
_STRAY = 2 / 255
"""How much brighter than it, on average, JPEG may leave another channel."""


class Grey(NamedTuple):
    """Pixels (H,W), the value that is white, and the bytes of the file."""

    pixels: np.ndarray
    white: int
    data: bytes


def read_channels(paths: Sequence[Path], colours: Sequence[str]) -> list[Grey]:
    """Return the grey values of each file.

    A thread a file: OpenCV decodes without holding the interpreter. The threads end with the call, so that a process
    can be forked at any time.

    Args:
        paths: PNG, TIFF or JPEG files of 8 or 16 bits, grey or coloured.
        colours: what each shows.

    Raises:
        DataError: a file is missing, cannot be read, is of another colour, or has another size than the first.
    """
    with ThreadPoolExecutor(len(paths)) as pool:
        read = list(pool.map(read_channel, paths, colours))
    sizes = [f"{grey.pixels.shape[0]}×{grey.pixels.shape[1]}" for grey in read]
    for path, size in zip(paths, sizes):
        if size != sizes[0]:
            raise DataError(
                f"{paths[0].name} is {sizes[0]} and {path.name} is {size} (rows×columns): "
                "the files of one image must have one size"
            )
    return read


def read_channel(path: Path, colour: str) -> Grey:
    """Return the grey values of one file.

    In a coloured file they are where the colour is: red in R, green in G, blue in B, yellow in R and G, of which the
    higher counts. A grey file that is stored as RGB comes out the same. Alpha is dropped.

    Raises:
        DataError: the file is missing, cannot be read, or shows another colour.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{path.name} is missing: an image is one file a colour, beside each other") from error
    except OSError as error:
        raise DataError(f"{path.name} cannot be read ({type(error).__name__})") from error
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    except cv2.error:
        pixels = None
    if pixels is None:
        raise DataError(f"{path.name} is no image that can be read: truncated, corrupt or of another format")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise DataError(f"{path.name} has {pixels.dtype} samples, which have no white: save it with 8 or 16 bits")
    white = 255 if pixels.dtype == np.uint8 else 65535
    if pixels.ndim == 2:
        return Grey(pixels, white, data)
    level, own = np.array(cv2.mean(pixels)[:3]) / white, _CODED_IN[colour]
    if np.delete(level, own).max() > level[own].max() + _STRAY:
        shown = ("blue", "green", "red")[level.argmax()]
        raise DataError(f"{path.name} is brightest in {shown}: a grey file or one in {colour} is expected")
    return Grey(np.max([pixels[..., k] for k in own], axis=0), white, data)
