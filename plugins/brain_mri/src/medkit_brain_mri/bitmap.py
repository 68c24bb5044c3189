"""Bitmaps of every mode as grey."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from medkit.errors import DataError


def read_bitmap(path: Path) -> tuple[np.ndarray, dict[str, object]]:
    """Return (H,W) float32, 0…1, and facts; alpha is dropped, colour becomes luminance, 65,535 is white for 16 bits.

    Raises:
        DataError: no image, truncated, or with 32-bit samples, whose white is not defined.
    """
    try:
        with warnings.catch_warnings(), Image.open(path) as image:
            warnings.simplefilter("ignore")  # Pillow's, about transparency and size; a bomb is an error of its own
            image.load()
            mode = image.mode
            if mode.startswith("I;16"):
                pixels, white = np.asarray(image).astype(np.float32), 65535.0
            elif mode in ("I", "F"):
                raise DataError(f"{image.format} with 32-bit samples has no defined white: save it with 8 or 16 bits")
            else:
                opaque = image.convert("RGBA").convert("RGB") if mode in ("P", "PA") else image
                pixels, white = np.asarray(opaque.convert("L"), np.float32), 255.0
            text = image.info.get("comment", image.info.get("Comment", ""))
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError("the file is no image that can be read") from error
    except FileNotFoundError as error:
        raise DataError("there is no such file") from error
    except Exception as error:  # Pillow's plugins raise OSError, SyntaxError, struct.error, …
        raise DataError(f"the image is truncated or corrupt ({type(error).__name__})") from error
    said = text.decode("latin-1") if isinstance(text, bytes) else str(text)
    facts = {"format": "bitmap", "photometric": mode, "synthetic": said.startswith("SYNTHETIC")}
    return pixels / np.float32(white), facts
