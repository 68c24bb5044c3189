"""Synthesised DICOM files, and an independent renderer written slowly from the standard, pixel by pixel."""

from __future__ import annotations

import math
import os
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, ExplicitVRBigEndian, ExplicitVRLittleEndian


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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        buffer = BytesIO()
        dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def slow_reference(dataset: Dataset, stored: np.ndarray) -> np.ndarray:
    """Return displayed grey in 0…1 from stored values, one pixel after the other (PS3.3 C.11.1, C.11.2, C.11.6)."""
    bits, signed = dataset.BitsStored, dataset.PixelRepresentation == 1
    lowest = -(2 ** (bits - 1)) if signed else 0
    highest = lowest + 2**bits - 1

    def table(item: Dataset, value: float) -> float:
        count, first, _ = item.LUTDescriptor
        entries = np.frombuffer(item.LUTData, "<u2")
        position = min(max(round(value) - first, 0), (count or 65536) - 1)
        return float(entries[position])

    def to_modality(value: int) -> float:
        if "ModalityLUTSequence" in dataset:
            return table(dataset.ModalityLUTSequence[0], value)
        return value * float(dataset.get("RescaleSlope", 1)) + float(dataset.get("RescaleIntercept", 0))

    def to_shown(x: float) -> float:
        if "VOILUTSequence" in dataset:
            item = dataset.VOILUTSequence[0]
            return table(item, x) / (2 ** item.LUTDescriptor[2] - 1)
        if "WindowCenter" in dataset:
            c, w = float(np.atleast_1d(dataset.WindowCenter)[0]), float(np.atleast_1d(dataset.WindowWidth)[0])
            kind = dataset.get("VOILUTFunction", "LINEAR")
            if kind == "SIGMOID":
                return 1 / (1 + math.exp(max(min(-4 * (x - c) / w, 700), -700)))
            if kind == "LINEAR_EXACT":
                return 0.0 if x <= c - w / 2 else 1.0 if x > c + w / 2 else (x - c) / w + 0.5
            if x <= c - 0.5 - (w - 1) / 2:
                return 0.0
            return 1.0 if x > c - 0.5 + (w - 1) / 2 else (x - (c - 0.5)) / (w - 1) + 0.5
        if "ModalityLUTSequence" in dataset:
            ends = [0.0, 2.0 ** dataset.ModalityLUTSequence[0].LUTDescriptor[2] - 1]
        else:
            ends = sorted([to_modality(lowest), to_modality(highest)])
        return (x - ends[0]) / (ends[1] - ends[0])

    shape = dataset.get("PresentationLUTShape")
    invert = shape == "INVERSE" or (shape is None and dataset.PhotometricInterpretation == "MONOCHROME1")
    out = np.zeros(stored.shape)
    for place, value in np.ndenumerate(stored):
        padding = dataset.get("PixelPaddingValue")
        limit = dataset.get("PixelPaddingRangeLimit", padding)
        if padding is not None and min(padding, limit) <= value <= max(padding, limit):
            continue
        grey = to_shown(to_modality(int(value)))
        out[place] = 1 - grey if invert else grey
    return out


@pytest.fixture(scope="session")
def dicom():
    return make_dicom


@pytest.fixture(scope="session")
def lut():
    return make_lut


@pytest.fixture(scope="session")
def as_bytes():
    return to_bytes


@pytest.fixture(scope="session")
def reference():
    return slow_reference


@pytest.fixture
def write(tmp_path):
    """Give a function that writes bytes or a data set to a file and returns its path."""

    def written(content: bytes | Dataset, name: str = "image.dcm") -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else to_bytes(content))
        return str(path)

    return written


@pytest.fixture
def data_dir() -> Path:
    """Give the folder of real data, or skip."""
    default = Path(__file__).resolve().parents[4] / "shared" / "data"
    folder = Path(os.environ.get("MEDKIT_DATA", default))
    if not (folder / "dicom").is_dir():
        pytest.skip(f"no real data: set MEDKIT_DATA (looked in {folder})")
    return folder
