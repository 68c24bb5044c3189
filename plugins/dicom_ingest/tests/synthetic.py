"""Synthesised DICOM: data sets from stored values, look-up tables, their bytes, and what a test case is."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, ExplicitVRBigEndian, ExplicitVRLittleEndian


@dataclass(frozen=True, slots=True)
class Case:
    """A synthesised file.

    Attributes:
        name: unique; starts with the rule.
        dataset: with pixel data, ready to be written.
        stored: (F,H,W) or (F,H,W,3) integers that a correct decoder gives for each frame.
    """

    name: str
    dataset: Dataset
    stored: np.ndarray

    @property
    def rule(self) -> str:
        return self.name.split(": ")[0]


def make_frames(stored: np.ndarray, *, encode: Callable[[np.ndarray], bytes] | None = None, **tags) -> Dataset:
    """Return the data set of (F,H,W) or (F,H,W,3) stored values: native, or each frame encoded."""
    frames = [make_dicom(frame, frame=encode and encode(frame), **tags) for frame in stored]
    dataset = frames[0]
    if encode:
        dataset.PixelData = encapsulate([encode(frame) for frame in stored])
    else:
        dataset.PixelData = b"".join(frame.PixelData for frame in frames)
    if len(stored) > 1:
        dataset.NumberOfFrames = len(stored)
    dataset["PixelData"].VR = "OB" if encode or dataset.BitsAllocated <= 8 else "OW"
    return dataset


def make_dicom(
    stored: np.ndarray, *, frame: bytes | None = None, syntax: str = ExplicitVRLittleEndian, **tags
) -> Dataset:
    """Return a DX data set whose stored values are ``stored``; other tags by keyword."""
    syntax = UID(syntax)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID("1.2.826.0.1.3680043.8.498.1")
    dataset.Modality = "DX"
    dataset.Rows, dataset.Columns = stored.shape[:2]
    dataset.SamplesPerPixel = 3 if stored.ndim == 3 else 1
    dataset.PhotometricInterpretation = "RGB" if stored.ndim == 3 else "MONOCHROME2"
    if stored.ndim == 3:
        dataset.PlanarConfiguration = 0
    bits = 8 * stored.dtype.itemsize
    dataset.BitsAllocated = bits
    dataset.BitsStored = tags.pop("BitsStored", bits)
    dataset.HighBit = tags.pop("HighBit", dataset.BitsStored - 1)
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    if frame is not None:
        dataset.PixelData = encapsulate([frame])
    else:
        shift, mask = dataset.HighBit + 1 - dataset.BitsStored, (1 << dataset.BitsStored) - 1
        words = ((stored.astype(np.int64) & mask) << shift).astype(f"u{stored.dtype.itemsize}")
        order = ">" if syntax == ExplicitVRBigEndian else "<"
        dataset.PixelData = words.astype(words.dtype.newbyteorder(order)).tobytes()
    if len(dataset.PixelData) % 2:
        dataset.PixelData += b"\0"
    dataset["PixelData"].VR = "OB" if frame is not None or bits == 8 else "OW"
    return dataset


def make_lut(entries: list[int], first: int, bits: int, *, first_signed: bool = False) -> Dataset:
    """Return an item of a LUT sequence, its data as 16-bit words."""
    item = Dataset()
    vr = "SS" if first_signed else "US"
    item.add_new("LUTDescriptor", vr, [len(entries) % 65536, first, bits])
    item.add_new("LUTData", "OW", np.asarray(entries, "<u2").tobytes())
    return item


def to_bytes(dataset: Dataset) -> bytes:
    """Return the file, in syntaxes that pydicom does not know (JPEG XL) too."""
    buffer = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dataset.file_meta.TransferSyntaxUID.is_transfer_syntax:
            dataset.save_as(buffer, enforce_file_format=True)
        else:
            buffer.write(bytes(128) + b"DICM")
            write_file_meta_info(buffer, dataset.file_meta)
            stream = DicomIO(buffer)
            stream.is_implicit_VR, stream.is_little_endian = False, True
            write_dataset(stream, dataset)
    return buffer.getvalue()
