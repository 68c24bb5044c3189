"""PNG, JPEG, TIFF and BMP as displayed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO

import imagecodecs
import numpy as np
from numpy.typing import DTypeLike
from PIL import Image, UnidentifiedImageError

from medkit_dicom_ingest.carried import KEYWORD, restored
from medkit_dicom_ingest.colour import displayed
from medkit_dicom_ingest.dicom.elements import quiet
from medkit_dicom_ingest.dicom.header import MAX_PIXELS
from medkit_dicom_ingest.facts import Source
from medkit_dicom_ingest.failure import ImageError

FORMATS = ("PNG", "JPEG", "TIFF", "BMP")
NOT_IMAGES = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"{\\rtf", "an RTF document"),
)
STARTS = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"II*\0": "TIFF", b"MM\0*": "TIFF"}
WHITE_IS_ZERO = 0
ORIENTATION, PHOTOMETRIC, BITS = 274, 262, 258


def read_bitmap(data: bytes, dtype: DTypeLike = np.float32, in_colour: bool = False) -> tuple[np.ndarray, Source]:
    """Return the first page of `bitmap_pages`; that there are more is a warning."""
    pixels, source = next(bitmap_pages(data, dtype, in_colour))
    if source.frames > 1:
        source.warnings.append(f"{source.frames} pages: the first is shown")
    return pixels, source


def bitmap_pages(
    data: bytes, dtype: DTypeLike = np.float32, in_colour: bool = False
) -> Iterator[tuple[np.ndarray, Source]]:
    """Yield each page as displayed, and the facts; alpha is dropped.

    Full scale is what the file's bits can hold: 255, or 65,535 for 16 bits. An Exif orientation is not applied: that is
    a warning.

    Args:
        data: a PNG, JPEG, TIFF or BMP file.
        dtype: float32 (0…1), uint8 or uint16 (0 to their highest).
        in_colour: give RGB (H,W,3) where there is colour, instead of luminance (H,W).

    Raises:
        ImageError: not such an image, truncated, corrupt, or with pixels whose white is not defined.
    """
    try:
        with quiet():
            image = Image.open(BytesIO(data), formats=FORMATS)
            count = int(getattr(image, "n_frames", 1))
    except UnidentifiedImageError:
        if kind := _begins_as(data):
            raise ImageError("corrupt", f"the header of this {kind} is truncated or corrupt") from None
        raise ImageError(
            "not_an_image", f"neither DICOM, PNG, JPEG, TIFF, BMP nor a volume: it looks like {_kind(data)}"
        ) from None
    except Image.DecompressionBombError as error:
        raise _too_large(error) from error
    except MemoryError:
        raise
    except Exception as error:  # Pillow's plugins raise SyntaxError, struct.error, …
        raise ImageError(
            "corrupt", f"the image header cannot be read ({type(error).__name__}): truncated or corrupt"
        ) from error
    for page in range(count):
        try:
            with quiet():
                image.seek(page)
            yield _page(image, data, count, dtype, in_colour)
        except Image.DecompressionBombError as error:
            raise _too_large(error) from error
        except (ImageError, MemoryError):
            raise
        except Exception as error:
            raise ImageError("corrupt", f"{image.format} is truncated or corrupt ({type(error).__name__})") from error


def _too_large(error: Image.DecompressionBombError) -> ImageError:
    pixels = re.search(r"\d+", str(error))
    return ImageError("too_large", f"{pixels[0] if pixels else 'too many'} pixels are more than Pillow decodes")


def _page(image: Image.Image, data: bytes, count: int, dtype: DTypeLike, in_colour: bool) -> tuple[np.ndarray, Source]:
    if image.width * image.height > MAX_PIXELS:
        raise ImageError("too_large", f"{image.height} rows × {image.width} columns are more than {MAX_PIXELS} pixels")
    warnings: list[str] = []
    with quiet():
        image.load()
        samples, bits = _samples(image, data, warnings)
        turned = _orientation(image)
    if turned not in (0, 1):
        warnings.append(f"Exif orientation {turned} is not applied: viewers may show the image turned")
    pixels, colour = displayed(samples, (1 << bits) - 1, dtype, in_colour)
    if image.format == "PNG" and (known := restored(image.info.get(KEYWORD))):
        known.warnings.extend(warnings)
        return pixels, known
    source = Source(
        rows=image.height,
        columns=image.width,
        format="JPEG" if image.format == "MPO" else str(image.format),
        frames=count,
        photometric=image.mode,
        bits_stored=bits,
        colour=colour,
        synthetic=_says_synthetic(image),
        warnings=warnings,
    )
    return pixels, source


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(ORIENTATION, 1)
    except Exception:  # good pixels are not lost to a damaged remark
        return 1


def _samples(image: Image.Image, data: bytes, warnings: list[str]) -> tuple[np.ndarray, int]:
    """Return the page's samples, (H,W) grey or (H,W,3) RGB, and how many bits they have."""
    if image.format == "PNG" and data[24] == 16 and data[25] in (2, 4, 6):  # Pillow would round these to 8 bits
        deep = imagecodecs.png_decode(data)
        return (deep[..., :3] if deep.shape[2] >= 3 else deep[..., 0]), 16
    if image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.uint16)
        bits = int(np.max(image.tag_v2.get(BITS, 16))) if image.format == "TIFF" else 16
        highest = (1 << bits) - 1
        if image.format == "TIFF" and image.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO:
            values = highest - values  # Pillow inverts such files of 8 bits and less by itself
        elif 0 < values.max() < 1 << (bits - 2):
            warnings.append(f"the brightest pixel is {values.max()} of {highest}: the image is dark")
        return values, bits
    if image.mode in ("I", "F"):
        raise ImageError(
            "unsupported", f"{image.format} with 32-bit samples has no defined white: save it with 8 or 16 bits"
        )
    if image.mode in ("1", "L", "LA", "La"):
        return np.asarray(image.convert("L") if image.mode != "LA" else image.getchannel(0)), 8
    rgb = image if image.mode in ("RGB", "RGBA", "RGBX") else image.convert("RGB")
    return np.asarray(rgb)[..., :3], 8


def _says_synthetic(image: Image.Image) -> bool:
    texts = [image.info.get(key, "") for key in ("Comment", "Description", "comment")]
    texts = [text.decode("latin-1") if isinstance(text, bytes) else str(text) for text in texts]
    return any(text.startswith("SYNTHETIC") for text in texts)


def _begins_as(data: bytes) -> str:
    """Return the bitmap format that the first bytes are of, or ``""``."""
    if data.startswith(b"BM") and data[6:10] == bytes(4):
        return "BMP"
    return next((kind for start, kind in STARTS.items() if data.startswith(start)), "")


def _kind(data: bytes) -> str:
    for start, kind in NOT_IMAGES:
        if data.startswith(start):
            return kind
    printable = sum(32 <= byte < 127 or byte in b"\t\n\r" for byte in data[:512])
    return "text" if printable > 0.9 * len(data[:512]) else "something else"
