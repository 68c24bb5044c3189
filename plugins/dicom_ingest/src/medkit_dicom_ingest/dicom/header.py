"""The image description in a DICOM header, validated before anything is allocated (PS3.3 C.7.6.3)."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom import Dataset
from pydicom.config import IGNORE
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medkit_dicom_ingest.dicom.elements import code, element, integer, name
from medkit_dicom_ingest.failure import ImageError

MAX_PIXELS = 2**28
"""Rows × columns that are decoded at most: 16,384². The largest X-ray detectors have 2^25."""
MAX_FRAME_BYTES = 2**29
"""Bytes that one decoded frame may have: `MAX_PIXELS` of 16 bits. 64 times fewer bytes of RLE can ask for them."""

MONOCHROME = ("MONOCHROME1", "MONOCHROME2")
COLOUR = ("RGB", "XYB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")


@dataclass(frozen=True, slots=True)
class Header:
    """What the pixel data claims to be.

    Attributes:
        rows, columns, frames: sizes.
        samples: 1, or 3 for colour.
        allocated, stored, high_bit: bits a sample takes, bits that count, and the highest of those.
        signed: two's complement.
        photometric: PhotometricInterpretation.
        planar: colour by plane.
        syntax: the transfer syntax.
        little_endian: byte order of the data set.
    """

    rows: int
    columns: int
    frames: int
    samples: int
    allocated: int
    stored: int
    high_bit: int
    signed: bool
    photometric: str
    planar: bool
    syntax: UID
    little_endian: bool

    @property
    def nominal(self) -> tuple[int, int]:
        """The lowest and highest value that the stored bits can hold."""
        half = 1 << (self.stored - 1)
        return (-half, half - 1) if self.signed else (0, 2 * half - 1)


def read_header(dataset: Dataset) -> Header:
    """Return the validated description of the pixel data.

    Raises:
        ImageError: no pixel data, or a tag is missing, of the wrong kind or out of range.
    """
    if "PixelData" not in dataset:
        floats = [k for k in ("FloatPixelData", "DoubleFloatPixelData") if k in dataset]
        found, kind = f"{floats[0]} is not supported" if floats else "no PixelData", sop_class(dataset)
        if not floats and "Image Storage" in kind:
            raise ImageError("truncated", f"{kind}, but no PixelData: truncated, or a header alone")
        raise ImageError("no_pixels", f"DICOM without an image: {kind or 'unknown SOP class'}, {found}")
    rows, columns = integer(dataset, "Rows", 1, 65535), integer(dataset, "Columns", 1, 65535)
    if rows * columns > MAX_PIXELS:
        raise ImageError("too_large", f"{rows} rows × {columns} columns are more than {MAX_PIXELS} pixels")
    photometric = code(dataset, "PhotometricInterpretation")
    known = (*MONOCHROME, "PALETTE COLOR", *COLOUR)
    if photometric not in known:
        found = "unknown" if photometric else "missing"
        raise ImageError(
            "bad_header", f"{name('PhotometricInterpretation')} is {found}, expected one of {', '.join(known)}"
        )
    samples = integer(dataset, "SamplesPerPixel", 1, 65535, default=3 if photometric in COLOUR else 1)
    if samples != (3 if photometric in COLOUR else 1):
        raise ImageError("bad_header", f"{name('SamplesPerPixel')} is {samples}, which does not fit {photometric}")
    allocated = integer(dataset, "BitsAllocated", 1, 32)
    if allocated not in (1, 8, 16, 32):
        raise ImageError("bad_header", f"{name('BitsAllocated')} is {allocated}, expected 1, 8, 16 or 32")
    if allocated == 1 and samples != 1:
        raise ImageError("bad_header", f"{name('BitsAllocated')} is 1, which does not fit {photometric}")
    if (size := rows * columns * samples * allocated // 8) > MAX_FRAME_BYTES:
        raise ImageError("too_large", f"{rows} rows × {columns} columns × {samples} samples of {allocated} bits are "
                        f"{size} bytes, more than {MAX_FRAME_BYTES}")  # fmt: skip
    stored = integer(dataset, "BitsStored", 1, allocated, default=allocated)
    syntax, little_endian = transfer_syntax(dataset)
    return Header(
        rows=rows,
        columns=columns,
        frames=integer(dataset, "NumberOfFrames", 1, 2**31 - 1, default=1),
        samples=samples,
        allocated=allocated,
        stored=stored,
        high_bit=integer(dataset, "HighBit", stored - 1, allocated - 1, default=stored - 1),
        signed=bool(integer(dataset, "PixelRepresentation", 0, 1, default=0)),
        photometric=photometric,
        planar=bool(integer(dataset, "PlanarConfiguration", 0, 1, default=0)),
        syntax=syntax,
        little_endian=little_endian,
    )


def transfer_syntax(dataset: Dataset) -> tuple[UID, bool]:
    """Return the transfer syntax, and whether the data set is little endian; guessed where the file does not say."""
    meta = getattr(dataset, "file_meta", None)
    stated = element(meta, "TransferSyntaxUID") if meta is not None else None
    implicit, little = dataset.original_encoding
    if stated is not None:
        return UID(str(stated.value), IGNORE), stated.value != ExplicitVRBigEndian
    if little is False:
        return ExplicitVRBigEndian, False
    return (ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian), True


def sop_class(dataset: Dataset) -> str:
    """Return the name of the SOP class, ``""`` where it is missing or not in the standard."""
    meta = getattr(dataset, "file_meta", None) or Dataset()
    try:
        found = element(dataset, "SOPClassUID") or element(meta, "MediaStorageSOPClassUID")
    except ImageError:
        return ""
    uid = UID("" if found is None else str(found.value), IGNORE)
    return "" if uid.name == uid else uid.name
