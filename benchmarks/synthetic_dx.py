"""Radiograph-like DICOM files for the benchmarks of `medkit ingest`: smooth shapes, ribs, quantum noise."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
from pydicom import Dataset, uid
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate

WHITE = 4095
NOISE = 14.0
"""Standard deviation of the noise, of 4,095, at the middle of the range."""
Encoder = Callable[[np.ndarray], bytes]
SYNTAXES: dict[str, tuple[uid.UID, Encoder | None]] = {
    "raw": (uid.ExplicitVRLittleEndian, None),
    "jpeg_lossless": (uid.JPEGLosslessSV1, None),
    "jpeg_ls": (uid.JPEGLSLossless, imagecodecs.jpegls_encode),
    "jpeg_2000": (
        uid.JPEG2000Lossless,
        lambda image: imagecodecs.jpeg2k_encode(image, codecformat="j2k", reversible=True, bitspersample=12),
    ),
    "htj2k": (uid.HTJ2KLossless, lambda image: imagecodecs.htj2k_encode(image, reversible=True)),
}
"""Name → (transfer syntax, encoder); JPEG lossless is encoded by dcmtk's ``dcmcjpeg``."""


def radiograph(size: int, seed: int, bits: int = 12) -> np.ndarray:
    """Return (size,size) values of ``bits`` bits, uint8 or uint16: a chest-like image that compresses like a real one.

    Quantum noise grows with the square root of the signal and is correlated between neighbours, as a scintillator does.
    """
    random = np.random.default_rng(seed)
    y, x = np.mgrid[-1:1:256j, -1:1:256j]
    small = 0.2 * np.ones_like(x)

    def ellipse(row: float, column: float, height: float, width: float, value: float) -> None:
        inside = ((y - row) / height) ** 2 + ((x - column) / width) ** 2
        np.add(small, value / (1 + np.exp(np.clip(24 * (inside - 1), -40, 40))), out=small)

    ellipse(0.1, 0, 1.2, random.uniform(0.75, 0.95), random.uniform(0.35, 0.5))
    for side in (-1, 1):
        ellipse(random.uniform(-0.1, 0.1), side * 0.38, 0.65, 0.27, -random.uniform(0.2, 0.35))
        for rib in range(8):
            ellipse(-0.6 + 0.17 * rib + random.uniform(-0.02, 0.02), side * 0.4, 0.025, 0.3, 0.06)
    ellipse(0, 0, 1.3, 0.1, 0.15)
    ellipse(0.3, random.uniform(0.05, 0.2), 0.35, 0.3, 0.15)
    small += 0.04 * cv2.resize(random.standard_normal((24, 24)), small.shape, interpolation=cv2.INTER_CUBIC)
    smooth = cv2.resize(np.clip(small, 0.02, 1).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    noise = random.standard_normal((size, size), dtype=np.float32)
    noise = cv2.GaussianBlur(noise, (3, 3), 0.6)
    noise *= NOISE / noise.std() / WHITE
    image = smooth + noise * np.sqrt(2 * np.clip(smooth, 0.05, 1))
    highest = (1 << bits) - 1
    return np.clip(image * highest, 0, highest).astype(np.uint8 if bits <= 8 else np.uint16)


def dx(stored: np.ndarray, seed: int, bits: int, syntax: uid.UID = uid.ExplicitVRLittleEndian) -> Dataset:
    """Return a DX data set without its pixel data: (H,W), or (F,H,W) for several frames."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = uid.DigitalXRayImageStorageForPresentation
    number = f"1.2.826.0.1.3680043.8.498.7.{seed}"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"{number}.3"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{number}.1", f"{number}.2"
    dataset.StudyDate, dataset.StudyTime, dataset.AccessionNumber = "20240131", "101500", f"A{seed:07d}"
    dataset.Modality, dataset.PresentationIntentType = "DX", "FOR PRESENTATION"
    dataset.Manufacturer, dataset.InstanceNumber = "Synthetic", 1
    dataset.PatientName, dataset.PatientID = f"Synthetic^Patient{seed}", f"P{seed // 3:06d}"
    dataset.PatientBirthDate, dataset.PatientSex, dataset.PatientAge = "19600101", "FM"[seed % 2], "064Y"
    dataset.BodyPartExamined, dataset.ViewPosition = "CHEST", ("PA", "AP")[seed % 2]
    dataset.PatientOrientation, dataset.ImageLaterality = ["L", "F"], "U"
    dataset.ImagerPixelSpacing, dataset.BurnedInAnnotation = [0.15, 0.15], "NO"
    dataset.ImageComments = "SYNTHETIC"
    if stored.ndim == 3:
        dataset.NumberOfFrames = len(stored)
    dataset.Rows, dataset.Columns = stored.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = 8 * stored.dtype.itemsize
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = bits, bits - 1, 0
    dataset.WindowCenter, dataset.WindowWidth = 1 << (bits - 1), round(0.8 * (1 << bits))
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "US"
    dataset.PresentationLUTShape = "IDENTITY"
    return dataset


def write_dx(path: Path, stored: np.ndarray, seed: int, bits: int, kind: str = "raw") -> None:
    """Write a DX file in one of `SYNTAXES`."""
    syntax, encode = SYNTAXES[kind]
    by_dcmtk = kind == "jpeg_lossless"
    dataset = dx(stored, seed, bits, uid.ExplicitVRLittleEndian if by_dcmtk else syntax)
    if encode is None:
        dataset.PixelData = stored.astype(stored.dtype.newbyteorder("<"), copy=False).tobytes()
        dataset.PixelData += b"\0" * (len(dataset.PixelData) % 2)
    else:
        dataset.PixelData = encapsulate([encode(frame) for frame in stored.reshape(-1, *stored.shape[-2:])])
    dataset["PixelData"].VR = "OB" if encode or bits <= 8 else "OW"
    dataset.save_as(path, enforce_file_format=True)
    if by_dcmtk:
        subprocess.run(["dcmcjpeg", "+e1", path, path], check=True)
