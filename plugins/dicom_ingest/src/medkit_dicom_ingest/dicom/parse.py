"""Bytes to a pydicom data set, recognised by content, without letting a file inflate without end."""

from __future__ import annotations

import zlib
from io import BytesIO

from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from medkit_dicom_ingest.dicom.elements import quiet
from medkit_dicom_ingest.failure import ImageError

MAX_INFLATED = 2**29
"""Bytes that a deflated data set may have: a 1 MB file can hold 1 GB."""
DEFLATED_AT_ONCE = 2**14
"""Bytes, which become 2^24 at most."""

_NAMES = """
SOPClassUID ImageComments SyntheticData Modality BodyPartExamined AnatomicRegionSequence ViewPosition ViewCodeSequence
PatientOrientation Laterality ImageLaterality PatientAge PatientBirthDate PatientSex StudyDate AcquisitionDate
ContentDate SeriesDate PresentationIntentType BurnedInAnnotation PixelSpacing ImagerPixelSpacing
NominalScannedPixelSpacing PixelAspectRatio Rows Columns NumberOfFrames SamplesPerPixel PhotometricInterpretation
PlanarConfiguration BitsAllocated BitsStored HighBit PixelRepresentation PixelPaddingValue PixelPaddingRangeLimit
ModalityLUTSequence RescaleSlope RescaleIntercept VOILUTSequence WindowCenter WindowWidth VOILUTFunction
PresentationLUTShape PixelData FloatPixelData DoubleFloatPixelData SharedFunctionalGroupsSequence
PerFrameFunctionalGroupsSequence ImageOrientationPatient FrameLaterality InstanceNumber
"""
_IDENTITY = """
PatientID IssuerOfPatientID OtherPatientIDs PatientName OtherPatientNames PatientBirthName PatientMotherBirthName
ReferringPhysicianName PerformingPhysicianName NameOfPhysiciansReadingStudy OperatorsName RequestingPhysician
AccessionNumber StudyID StudyInstanceUID SeriesInstanceUID SOPInstanceUID
"""
_PALETTE = ("PaletteColorLookupTableDescriptor", "PaletteColorLookupTableData")
TAGS = [
    Tag(tag)
    for tag in (
        *_NAMES.split(),
        *_IDENTITY.split(),
        *((group, 0x0010) for group in range(0x6000, 0x6020, 2)),  # OverlayRows
        *(channel + part for channel in ("Red", "Green", "Blue") for part in _PALETTE),
        *(f"Segmented{channel}PaletteColorLookupTableData" for channel in ("Red", "Green", "Blue")),
    )
]
"""What is read; everything else, private tags above all, is skipped unread."""

# Little endian group 0002 or 0008 with a VR or a short length behind the element number, and big endian group 0008.
WITHOUT_PREAMBLE = (b"\x02\x00", b"\x08\x00", b"\x00\x08\x00")


def looks_like_dicom(data: bytes) -> bool:
    """Return whether the preamble's mark is there, or the first tag is one that a bare data set starts with."""
    return data[128:132] == b"DICM" or (len(data) > 16 and data.startswith(WITHOUT_PREAMBLE))


def parse(data: bytes) -> Dataset:
    """Return the data set, only the tags that rendering and facts need.

    Raises:
        ImageError: not DICOM after all, truncated, nested too deep, or it inflates beyond `MAX_INFLATED`.
    """
    with quiet() as caught:
        try:
            dataset = _read(data)
        except (ImageError, MemoryError):
            raise
        except RecursionError:
            raise ImageError("corrupt", "DICOM sequences are nested too deep to be an image's") from None
        except Exception as error:  # pydicom raises about anything on damaged input
            raise ImageError(
                "corrupt", f"DICOM cannot be parsed ({type(error).__name__}): truncated or corrupt"
            ) from error
    if "PixelData" not in dataset and any("End of file" in str(warning.message) for warning in caught):
        raise ImageError("truncated", "the file ends inside an element, before its pixel data is complete: truncated")
    return dataset


class _InParts(BytesIO):
    """A file that can be read element by element only: pydicom reads the rest at once where it inflates unlimited."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            raise ImageError("corrupt", "deflated data set: its file meta information is not where it belongs")
        return super().read(size)


def _read(data: bytes) -> Dataset:
    source: BytesIO = _InParts(data)
    meta, end = _meta(data) if DeflatedExplicitVRLittleEndian.encode() in data[:65536] else (FileMetaDataset(), 0)
    if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        source = BytesIO(_inflated(data[end:]))
        dataset = read_dataset(source, False, True, specific_tags=TAGS)
        dataset.file_meta = meta
    else:
        dataset = dcmread(source, force=True, specific_tags=TAGS)
    if "PixelData" not in dataset and source.tell() > source.getbuffer().nbytes:
        raise ImageError("truncated", "the file ends inside an element, before its pixel data is complete: truncated")
    return dataset


def _meta(data: bytes) -> tuple[FileMetaDataset, int]:
    """Return the file meta information and where it ends."""
    source = BytesIO(data)
    source.seek(132 if data[128:132] == b"DICM" else 0)
    meta = read_dataset(source, False, True, stop_when=lambda tag, vr, length: tag.group != 2)
    return FileMetaDataset(meta), source.tell()


def _inflated(packed: bytes) -> bytes:
    """Return what a deflated data set holds; its size is counted first, so that a bomb takes no memory."""
    inflater, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    for at in range(0, len(packed), DEFLATED_AT_ONCE):
        size += len(inflater.decompress(packed[at : at + DEFLATED_AT_ONCE]))
        if size > MAX_INFLATED:
            raise ImageError("too_large", f"deflated data set: inflates to more than {MAX_INFLATED} bytes")
    if not inflater.eof:
        raise ImageError("truncated", "deflated data set: truncated")
    return zlib.decompress(packed, -zlib.MAX_WBITS, size)
