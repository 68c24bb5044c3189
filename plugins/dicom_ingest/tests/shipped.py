"""The files that pydicom ships for tests: which give no image and why, and what is stored in the others."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom.data
from pydicom import Dataset, dcmread, uid
from pydicom.encaps import get_frame
from pydicom.pixels import pixel_array

from .cases_samples import NATIVE
from .reference import stored_values

FOLDER = Path(pydicom.data.__file__).parent
PARTS = ("test_files", "charset_files", "palettes")
DECODED = (uid.RLELossless, uid.JPEGBaseline8Bit, uid.JPEG2000Lossless, uid.JPEG2000)
"""What pydicom decodes by itself or with Pillow; of the rest only dcmtk judges."""
REFUSED_BY_PILLOW = "GDCMJ2K_TextGBR.dcm"
NO_IMAGE = {
    "not_an_image": r".*\.(txt|json|dump|md|icc|gz)|.*/README|.*/no_meta\.dcm",
    "no_pixels": r"palettes/.*|.*/(ExplVR_(Big|Lit)EndNoMeta|empty_charset_LEI|reportsi.*|rtplan|rtstruct|test-SR"
    r"|waveform_ecg)\.dcm|.*/DICOMDIR.*",
    "truncated": r".*/(chrJapMulti|chrJapMultiExplicitIR6|chrKoreanMulti|chrSQEncoding1?|MR_truncated|UN_sequence"
    r"|no_meta_group_length|priv_SQ|rtplan_truncated)\.dcm|.*/TINY_ALPHA/.*/.*",
    "size_mismatch": r".*/JPEG2000-embedded-sequence-delimiter\.dcm",
    "bad_header": r".*/(badVR|meta_missing_tsyntax|nested_priv_SQ)\.dcm",
}
"""Code of `ImageError` → paths below `FOLDER`."""


def files() -> list[Path]:
    """Return every file in a fixed order."""
    return sorted(path for part in PARTS for path in (FOLDER / part).rglob("*") if path.is_file())


def called(path: Path) -> str:
    """Return the path below `FOLDER`."""
    return path.relative_to(FOLDER).as_posix()


def no_image(path: Path) -> str:
    """Return the code of the error that the file gives; ``""`` for an image."""
    codes = [code for code, pattern in NO_IMAGE.items() if re.fullmatch(pattern, called(path))]
    return codes[0] if codes else ""


def read(path: Path) -> Dataset:
    """Return the data set; what pydicom warns of is known."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dcmread(path, force=True)


def stored(path: Path, dataset: Dataset) -> np.ndarray | None:
    """Return (F,H,W) or (F,H,W,3) stored values; None where nothing but the code under test decodes them."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax in NATIVE.values():
        return stored_values(dataset)
    if syntax not in DECODED:
        return None
    if path.name == REFUSED_BY_PILLOW:
        return imagecodecs.jpeg2k_decode(get_frame(dataset.PixelData, 0, number_of_frames=1))[None]
    array = pixel_array(dataset, raw=True, decoding_plugin="pydicom" if syntax == uid.RLELossless else "pillow")
    return array if int(dataset.get("NumberOfFrames", 1)) > 1 else array[None]
