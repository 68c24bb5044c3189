"""Bytes to a pydicom data set, recognised by content, without letting a file inflate without end."""

from __future__ import annotations

import zlib
from io import BytesIO

from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from medkit_dicom_ingest.elements import quiet
from medkit_dicom_ingest.failure import ImageError

MAX_INFLATED = 2**30
"""Bytes that a deflated data set may have: a 2 MB file can hold 2 GB."""

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
_PALETTE = ("PaletteColorLookupTableDescriptor", "PaletteColorLookupTableData")
TAGS = [
    *_NAMES.split(),
    *(channel + part for channel in ("Red", "Green", "Blue") for part in _PALETTE),
    *(f"Segmented{channel}PaletteColorLookupTableData" for channel in ("Red", "Green", "Blue")),
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
        except ImageError:
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


def _read(data: bytes) -> Dataset:
    if DeflatedExplicitVRLittleEndian.encode() not in data[:65536]:
        return dcmread(BytesIO(data), force=True, specific_tags=TAGS)
    source = BytesIO(data)
    source.seek(132 if data[128:132] == b"DICM" else 0)
    meta = read_dataset(source, False, True, stop_when=lambda tag, vr, length: tag.group != 2)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return dcmread(BytesIO(data), force=True, specific_tags=TAGS)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    body = inflater.decompress(source.read(), MAX_INFLATED)
    if not inflater.eof:
        found = "truncated" if len(body) < MAX_INFLATED else f"inflates to more than {MAX_INFLATED} bytes"
        code = "truncated" if len(body) < MAX_INFLATED else "too_large"
        raise ImageError(code, f"deflated data set: {found}")
    dataset = read_dataset(BytesIO(body), False, True, specific_tags=[Tag(tag) for tag in TAGS])
    dataset.file_meta = FileMetaDataset(meta)
    return dataset
