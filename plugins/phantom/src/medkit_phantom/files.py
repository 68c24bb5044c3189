"""Phantom images as the files that hospitals and public sets hold: DICOM of several kinds, RGB and RGBA PNG.

Every file says SYNTHETIC in its header. The same content gives the same bytes: identifiers follow from the content's
key, dates are fixed.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    generate_uid,
)

MARK = "SYNTHETIC phantom image, not a patient"
KINDS = {
    "dx_window": 0.20,
    "dx_voi_lut": 0.12,
    "dx_monochrome1_window": 0.08,
    "cr_window": 0.10,
    "cr_monochrome1_window": 0.10,
    "cr_monochrome1_voi_lut": 0.06,
    "png_rgb": 0.26,
    "png_rgba": 0.08,
}
"""The kinds of file and the share of each in a set."""

_BITS = 12
_TOP = (1 << _BITS) - 1


@dataclass(frozen=True)
class Facts:
    """What a file says about its image.

    Attributes:
        key: decides every identifier in the file.
        patient_id: also decides the study's patient.
        age: years.
        sex: ``M`` or ``F``.
        view: ViewPosition: ``PA``, ``AP``, ``LL``; empty where it does not apply.
        body_part: BodyPartExamined.
        spacing_mm: size of a pixel.
    """

    key: str
    patient_id: str
    age: int
    sex: str
    view: str
    spacing_mm: float
    body_part: str = "CHEST"


def write_image(path: Path, pixels: np.ndarray, kind: str, facts: Facts, rng: np.random.Generator) -> None:
    """Write display values (H,W) float32, 0 black to 1 white, as a file of ``kind``, one of `KINDS`."""
    if kind.startswith("png"):
        grey = np.round(pixels * 255).astype(np.uint8)
        path.write_bytes(_png(cv2.merge([grey] * 3 + [np.full_like(grey, 255)] * (kind == "png_rgba"))))
    else:
        _dicom(pixels, kind, facts, rng).save_as(path, enforce_file_format=True)


def write_colour(path: Path, picture: np.ndarray) -> None:
    """Write an (H,W,3) uint8 picture in OpenCV's order, BGR, as PNG."""
    path.write_bytes(_png(picture))


def _png(channels: np.ndarray) -> bytes:
    data = cv2.imencode(".png", channels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
    text = b"tEXt" + b"Comment\0" + MARK.encode("latin-1")
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    after_header = 8 + 25  # the signature, then IHDR, which must come first
    return data[:after_header] + chunk + data[after_header:]


def _dicom(pixels: np.ndarray, kind: str, facts: Facts, rng: np.random.Generator) -> FileDataset:
    is_dx = kind.startswith("dx")
    inverted = "monochrome1" in kind
    storage = DigitalXRayImageStorageForPresentation if is_dx else ComputedRadiographyImageStorage
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = storage
    meta.MediaStorageSOPInstanceUID = _uid("image", facts.key)
    meta.TransferSyntaxUID = ImplicitVRLittleEndian if rng.random() < 0.25 else ExplicitVRLittleEndian
    out = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    out.SpecificCharacterSet = "ISO_IR 100"
    out.ImageType = ["ORIGINAL", "PRIMARY", ""] if is_dx else ["ORIGINAL", "PRIMARY"]
    out.SOPClassUID, out.SOPInstanceUID = storage, meta.MediaStorageSOPInstanceUID
    out.StudyDate = out.SeriesDate = out.ContentDate = "20000101"
    out.StudyTime = out.ContentTime = "120000"
    out.AccessionNumber = ""
    out.Modality = "DX" if is_dx else "CR"
    out.Manufacturer = "medkit phantom"
    out.ReferringPhysicianName = ""
    out.StudyDescription = "SYNTHETIC"
    out.SeriesDescription = f"SYNTHETIC {facts.body_part.lower()} {facts.view}".strip()
    out.PatientName, out.PatientID = "SYNTHETIC^PHANTOM", facts.patient_id
    out.PatientBirthDate, out.PatientSex, out.PatientAge = "", facts.sex, f"{facts.age:03d}Y"
    out.PatientComments = out.ImageComments = MARK
    out.BodyPartExamined, out.ViewPosition = facts.body_part, facts.view
    out.StudyInstanceUID, out.SeriesInstanceUID = _uid("study", facts.key), _uid("series", facts.key)
    out.StudyID, out.SeriesNumber, out.InstanceNumber = "1", 1, 1
    out.SamplesPerPixel, out.PhotometricInterpretation = 1, "MONOCHROME1" if inverted else "MONOCHROME2"
    out.Rows, out.Columns = pixels.shape
    spacing = f"{facts.spacing_mm:.4f}"
    if is_dx:
        out.PresentationIntentType = "FOR PRESENTATION"
        out.PresentationLUTShape = "INVERSE" if inverted else "IDENTITY"
        out.PixelIntensityRelationship, out.PixelIntensityRelationshipSign = "LOG", -1
        out.ImagerPixelSpacing = [spacing, spacing]
        out.ImageLaterality, out.PatientOrientation = "U", ["L", "F"]
        out.RescaleIntercept, out.RescaleSlope, out.RescaleType = 0, 1, "US"
    else:
        out.PixelSpacing = [spacing, spacing]
    out.BurnedInAnnotation, out.LossyImageCompression = "YES", "00"
    out.BitsAllocated, out.BitsStored, out.HighBit, out.PixelRepresentation = 16, _BITS, _BITS - 1, 0
    shown = 1 - pixels if inverted else pixels
    stored = _through_lut(out, shown, rng) if kind.endswith("voi_lut") else _through_window(out, shown, rng)
    out.PixelData = stored.astype("<u2").tobytes()
    return out


def _through_window(out: Dataset, shown: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Set a window and return the stored values that it shows as ``shown`` (PS3.3 C.11.2.1.2, LINEAR, solved for x)."""
    width, centre = int(rng.integers(1800, 3200)), int(rng.integers(1800, 2300))
    out.WindowCenter, out.WindowWidth = centre, width
    return np.clip(np.round((shown - 0.5) * (width - 1) + (centre - 0.5)), 0, _TOP)


def _through_lut(out: Dataset, shown: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Set a VOI LUT, an S-shaped curve as scanners have, and return the stored values that it shows as ``shown``."""
    steepness = rng.uniform(2.0, 3.5)
    curve = np.tanh(np.linspace(-1, 1, _TOP + 1) * steepness * 0.5)
    table = np.round((curve - curve[0]) / (curve[-1] - curve[0]) * _TOP).astype("<u2")
    item = Dataset()
    item.LUTDescriptor = [_TOP + 1, 0, _BITS]
    item.LUTExplanation = "SYNTHETIC"
    item.add_new("LUTData", "OW", table.tobytes())
    out.VOILUTSequence = Sequence([item])
    inverse = np.searchsorted(table, np.arange(_TOP + 1))
    return inverse[np.round(shown * _TOP).astype(np.intp)]


def _uid(level: str, key: str) -> str:
    return generate_uid(entropy_srcs=["medkit phantom", level, key])
