"""From a pydicom data set to the grey image that a correct viewer shows (PS3.3 C.7.6.3, C.11.1, C.11.2, C.11.6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from pydicom import Dataset

from medkit_dicom_ingest.colour import to_grey, ybr_to_rgb
from medkit_dicom_ingest.decode import Frame, decode, first_stream
from medkit_dicom_ingest.elements import code, element, quiet
from medkit_dicom_ingest.failure import ImageError
from medkit_dicom_ingest.header import MONOCHROME, Header, read_header
from medkit_dicom_ingest.lut import Function, modality, voi
from medkit_dicom_ingest.palette import read_palette


@dataclass(slots=True)
class Rendered:
    """A displayed image.

    Attributes:
        pixels: (H,W) float32, 0 black to 1 white, row-major as in the file.
        header: what the file says about its pixels.
        window: what made the contrast: ``VOI LUT``, ``window 2048/4096 LINEAR`` (centre/width), ``full range``.
        colour: the channels really differ; the pixels are their luminance.
        warnings: what was not usable and what was done instead.
    """

    pixels: np.ndarray
    header: Header
    window: str
    colour: bool = False
    warnings: list[str] = field(default_factory=list)


def render(dataset: Dataset) -> Rendered:
    """Return the first frame as displayed.

    Stored values are taken out of their words, go through modality and VOI transformation in float64, and are inverted
    exactly once. Padding is outside the rendering pipeline and shown black (C.7.5.1.1.2). Overlays are not burnt in;
    orientation, spacing and aspect are not applied.

    Args:
        dataset: as pydicom reads it, with pixel data.

    Raises:
        ImageError: a tag or the pixel data is missing or wrong; the message names it and never holds patient data.
    """
    warnings: list[str] = []
    grey_scale = colours = None
    with quiet():
        header = read_header(dataset)
        stream = first_stream(dataset, header)
        if header.photometric in MONOCHROME:
            grey_scale, window = displayed(dataset, header, warnings)
        else:
            colours, window = coloured(dataset, header), "full range"
    if header.frames > 1:
        warnings.append(f"{header.frames} frames: the first is shown")
    frame = decode(stream, header)
    if grey_scale is not None:
        return Rendered(_through_table(frame, header, grey_scale), header, window, False, warnings)
    grey, colour = to_grey(*colours(frame))
    return Rendered(grey, header, window, colour, warnings)


def displayed(dataset: Dataset, header: Header, warnings: list[str]) -> tuple[Function, str]:
    """Return stored values → displayed grey in 0…1, and what made the contrast."""
    to_modality, (low, high), unit_known = modality(dataset, header, warnings)
    to_grey_scale, window = voi(dataset if unit_known else Dataset(), low, high, header.little_endian, warnings)
    shape = code(dataset, "PresentationLUTShape")
    invert = inverted(header.photometric, shape)
    if invert != (header.photometric == "MONOCHROME1"):
        warnings.append(f"PresentationLUTShape {shape} contradicts {header.photometric}: the shape is followed")
    padding = _padding(dataset, header)

    def shown(stored: np.ndarray) -> np.ndarray:
        grey = to_grey_scale(to_modality(stored))
        grey = 1 - grey if invert else grey
        return grey if padding is None else np.where((stored >= padding[0]) & (stored <= padding[1]), 0.0, grey)

    return shown, window


def inverted(photometric: str, shape: str) -> bool:
    """Return whether high values are dark: PresentationLUTShape says so (C.11.6), MONOCHROME1 only where it is absent.

    Both describe one inversion, so MONOCHROME1 with INVERSE is inverted once.
    """
    return shape == "INVERSE" if shape in ("IDENTITY", "INVERSE") else photometric == "MONOCHROME1"


def coloured(dataset: Dataset, header: Header) -> Callable[[Frame], tuple[np.ndarray, float]]:
    """Return what makes RGB (H,W,3) and its full scale from a frame, for colour and PALETTE COLOR."""
    if header.photometric == "PALETTE COLOR":
        palette = read_palette(dataset, header)
        return lambda frame: palette(stored_values(frame.words.astype(np.int64), frame, header))
    white = float((1 << header.stored) - 1)
    ybr = header.photometric.startswith("YBR")

    def to_rgb(frame: Frame) -> tuple[np.ndarray, float]:
        full = header.stored == frame.precision == 8 and frame.words.dtype == np.uint8
        samples = frame.words if full else stored_values(frame.words.astype(np.int64), frame, header)
        return (ybr_to_rgb(samples, white) if ybr and not frame.rgb else samples), white

    return to_rgb


def stored_values(words: np.ndarray, frame: Frame, header: Header) -> np.ndarray:
    """Return the stored values (int64) of decoded words (int64, unsigned): shifted, masked or clipped, sign-extended.

    Bits above BitsStored are masked where nothing was rounded (they are old overlays); of a lossy codestream they are
    overshoot, which is clipped.
    """
    low, high = header.nominal
    if frame.signed:
        values = _sign_extended(words, 8 * frame.words.dtype.itemsize)
        values = values if header.signed else np.where(values < 0, values + (1 << frame.precision), values)
    else:
        shift = header.high_bit + 1 - header.stored if frame.precision > header.high_bit else 0
        values, bits = words >> shift, frame.precision - shift
        if frame.lossless and bits > header.stored:
            values, bits = values & ((1 << header.stored) - 1), header.stored
        values = _sign_extended(values, bits) if header.signed else values
    return np.clip(values, low, high)


def _sign_extended(values: np.ndarray, bits: int) -> np.ndarray:
    half = 1 << (bits - 1)
    return ((values & (2 * half - 1)) ^ half) - half


def _through_table(frame: Frame, header: Header, shown: Function) -> np.ndarray:
    """Return pixels (H,W) float32; up to 16 bits the whole way is one table, indexed by the decoded words."""
    if frame.words.dtype.itemsize > 2:
        return shown(stored_values(frame.words.astype(np.int64), frame, header)).astype(np.float32)
    words = np.arange(1 << (8 * frame.words.dtype.itemsize))
    return shown(stored_values(words, frame, header)).astype(np.float32)[frame.words]


def _padding(dataset: Dataset, header: Header) -> tuple[int, int] | None:
    """Return the lowest and highest stored value that is padding, or None."""
    limits = [_stored_limit(dataset, key, header) for key in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    if limits[0] is None:
        return None
    other = limits[0] if limits[1] is None else limits[1]
    return min(limits[0], other), max(limits[0], other)


def _stored_limit(dataset: Dataset, keyword: str, header: Header) -> int | None:
    try:
        found = element(dataset, keyword)
    except ImageError:
        return None
    if found is None or found.VM != 1 or not isinstance(found.value, int):
        return None
    value = found.value % 65536 if header.allocated <= 16 else found.value
    value = _sign_extended(np.int64(value), 16) if header.signed else value
    low, high = header.nominal
    return int(value) if low <= value <= high else None
