"""From a pydicom data set to the image that a correct viewer shows (PS3.3 C.7.6.3, C.11.1, C.11.2, C.11.6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import DTypeLike
from pydicom import Dataset

from medkit_dicom_ingest.colour import displayed, quantised, ybr_to_rgb
from medkit_dicom_ingest.dicom.contrast import Function, Voi, modality, voi
from medkit_dicom_ingest.dicom.decode import Frame, decode, frame_streams
from medkit_dicom_ingest.dicom.elements import code, element, quiet
from medkit_dicom_ingest.dicom.frames import of_frame, one_for_all
from medkit_dicom_ingest.dicom.header import MONOCHROME, Header, read_header
from medkit_dicom_ingest.dicom.palette import read_palette
from medkit_dicom_ingest.failure import ImageError

AS_STORED = Voi()


@dataclass(slots=True)
class Rendered:
    """A displayed image.

    Attributes:
        pixels: (H,W), or (H,W,3) where colour was asked for and is there; row-major as in the file. float32 from 0
            black to 1 white, or unsigned integers from 0 to the highest that they hold, rounded.
        header: what the file says about its pixels.
        described: the data set, with what it says about this frame at its top level.
        window: what made the contrast: ``VOI LUT``, ``window 2048/4096 LINEAR`` (centre/width), ``full range``.
        colour: the channels really differ; two-dimensional pixels are their luminance.
        warnings: what was not usable and what was done instead.
    """

    pixels: np.ndarray
    header: Header
    described: Dataset
    window: str
    colour: bool = False
    warnings: list[str] = field(default_factory=list)


def render(
    dataset: Dataset, choice: Voi = AS_STORED, dtype: DTypeLike = np.float32, in_colour: bool = False
) -> Rendered:
    """Return the first frame as displayed; see `rendered_frames`."""
    rendered = next(rendered_frames(dataset, choice, dtype, in_colour))
    if rendered.header.frames > 1:
        rendered.warnings.append(f"{rendered.header.frames} frames: the first is shown")
    return rendered


def rendered_frames(
    dataset: Dataset, choice: Voi = AS_STORED, dtype: DTypeLike = np.float32, in_colour: bool = False
) -> Iterator[Rendered]:
    """Yield one frame after the other as displayed.

    Stored values are taken out of their words, go through modality and VOI transformation in float64, and are inverted
    exactly once. Padding is outside the rendering pipeline and shown black (C.7.5.1.1.2). Overlays are not burnt in;
    orientation, spacing and aspect are not applied. Functional groups of enhanced images are followed.

    Args:
        dataset: as pydicom reads it, with pixel data.
        choice: which VOI transformation.
        dtype: float32 (0…1), uint8 or uint16 (0 to their highest).
        in_colour: give colour images as RGB instead of their luminance.

    Raises:
        ImageError: a tag or the pixel data is missing or wrong; the message names it and never holds patient data.
    """
    with quiet():
        header = read_header(dataset)
        streams = frame_streams(dataset, header)
    alike, contrast = one_for_all(dataset) and choice.kind != "minmax", None
    for index in range(header.frames):
        with quiet():
            frame = _decoded(streams, header, index)
            described = of_frame(dataset, index)
            if header.photometric in MONOCHROME:
                contrast = contrast if alike and contrast else _Contrast.of(described, header, frame, choice)
                pixels, colour = contrast(frame, header, dtype), False
                window, warnings = contrast.window, [*contrast.warnings]
            else:
                pixels, colour = _coloured(described, header, frame, dtype, in_colour)
                window, warnings = "full range", []
        yield Rendered(pixels, header, described, window, colour, warnings)


def _decoded(streams: Iterator[bytes], header: Header, index: int) -> Frame:
    try:
        return decode(next(streams), header)
    except ImageError as error:
        if header.frames == 1:
            raise
        raise ImageError(error.code, f"frame {index + 1} of {header.frames}: {error}") from error


@dataclass(slots=True)
class _Contrast:
    """Stored values → displayed grey 0…1, and what made it; up to 16 bits the whole way is one table."""

    shown: Function
    window: str
    warnings: list[str]
    _tables: dict[tuple[object, ...], np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, dataset: Dataset, header: Header, frame: Frame, choice: Voi) -> _Contrast:
        warnings: list[str] = []
        padding = _padding(dataset, header)

        def is_padding(stored: np.ndarray) -> np.ndarray | bool:
            return False if padding is None else (stored >= padding[0]) & (stored <= padding[1])

        def occurring() -> np.ndarray:
            stored = stored_values(np.unique(frame.words).astype(np.int64), frame, header)
            return to_modality(stored[~np.broadcast_to(is_padding(stored), stored.shape)])

        to_modality, limits, unit_known = modality(dataset, header, warnings)
        to_grey_scale, window = voi(
            dataset if unit_known else Dataset(), limits, header.little_endian, warnings, choice, occurring
        )
        shape = code(dataset, "PresentationLUTShape")
        invert = inverted(header.photometric, shape)
        if invert != (header.photometric == "MONOCHROME1"):
            warnings.append(f"PresentationLUTShape {shape} contradicts {header.photometric}: the shape is followed")

        def shown(stored: np.ndarray) -> np.ndarray:
            grey = to_grey_scale(to_modality(stored))
            return np.where(is_padding(stored), 0.0, 1 - grey if invert else grey)

        return cls(shown, window, warnings)

    def __call__(self, frame: Frame, header: Header, dtype: DTypeLike) -> np.ndarray:
        """Return the frame's pixels (H,W)."""
        size = frame.words.dtype.itemsize
        if size > 2:
            return quantised(self.shown(stored_values(frame.words.astype(np.int64), frame, header)), dtype)
        key = (size, frame.precision, frame.signed, frame.lossless, np.dtype(dtype))
        if key not in self._tables:
            self._tables[key] = quantised(self.shown(stored_values(np.arange(1 << (8 * size)), frame, header)), dtype)
        return cv2.LUT(frame.words, self._tables[key])


def inverted(photometric: str, shape: str) -> bool:
    """Return whether high values are dark: PresentationLUTShape says so (C.11.6), MONOCHROME1 only where it is absent.

    Both describe one inversion, so MONOCHROME1 with INVERSE is inverted once.
    """
    return shape == "INVERSE" if shape in ("IDENTITY", "INVERSE") else photometric == "MONOCHROME1"


def _coloured(
    dataset: Dataset, header: Header, frame: Frame, dtype: DTypeLike, in_colour: bool
) -> tuple[np.ndarray, bool]:
    """Return RGB (H,W,3) or luminance (H,W), and whether there is colour, for colour and PALETTE COLOR."""
    white = float((1 << header.stored) - 1)
    if header.photometric == "PALETTE COLOR":
        samples, white = read_palette(dataset, header)(stored_values(frame.words.astype(np.int64), frame, header))
    elif header.stored == frame.precision == 8 and frame.words.dtype == np.uint8:
        samples = frame.words
    else:
        samples = stored_values(frame.words.astype(np.int64), frame, header)
    if header.photometric.startswith("YBR") and not frame.rgb:
        samples = ybr_to_rgb(samples, white)
    return displayed(samples, white, dtype, in_colour)


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
