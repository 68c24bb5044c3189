"""Phantom volumes as hospitals keep them: NIfTI, MetaImage, and a DICOM MR series, in several orders of voxels."""

from __future__ import annotations

import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from medkit_phantom_mri.files import MARK
from medkit_phantom_mri.head import draw_head
from medkit_phantom_mri.scan import draw_scan, draw_slice
from medkit_phantom_mri.tumour import draw_tumour

SIDE, SLICES, EMPTY = 96, 18, 2
"""Pixels a side, slices, and how many of these at either end hold air."""
SPACING_MM = (2.5, 2.5, 7.0)
ORDERS = ("RAS", "LPS", "PSR", "LAS")
"""Directions of the voxels' axes, as nibabel names them; files take them in turn."""
_VOLUME = 203


def draw_volume(seed: int, number: int, tumour: bool) -> np.ndarray:
    """Return a head (96,96,18) int16, indices to the patient's left, back and head (LPS); arbitrary units."""
    rng = np.random.default_rng([seed, _VOLUME, number])
    head, scan = draw_head(rng), draw_scan(rng, SIDE)
    mass = draw_tumour(rng, rng.uniform(0.1, 0.5)) if tumour else None
    levels = np.linspace(-0.25, 0.9, SLICES - 2 * EMPTY)
    slices = [draw_slice(head, scan, level, mass, rng, SIDE) for level in levels]
    air = [np.abs(rng.normal(0, scan.noise, (SIDE, SIDE))) * scan.gain for _ in range(2 * EMPTY)]
    stack = np.stack([*air[:EMPTY], *slices, *air[EMPTY:]])
    return np.round(stack.transpose(2, 1, 0) * rng.uniform(300, 1800)).astype(np.int16)


def write_volumes(folder: Path, count: int, seed: int) -> None:
    """Write ``count`` patients below ``yes/`` and ``no/`` in turn: NIfTI, MetaImage, DICOM, NIfTI packed with gzip."""
    for number in range(count):
        tumour = number % 2 == 0
        place, kind = folder / ("yes" if tumour else "no"), number // 2 % 4
        voxels, order = draw_volume(seed, number, tumour), ORDERS[number // 2 % len(ORDERS)]
        name = f"SYNTHETIC volume {number + 1:03d}"
        if kind == 1:
            write_metaimage(place / f"{name}.mha", voxels)
        elif kind == 2:
            write_series(place / name, voxels, f"{seed}/{number}")
        else:
            write_nifti(place / f"{name}.nii{'.gz' if kind == 3 else ''}", voxels, order)


def write_nifti(path: Path, voxels: np.ndarray, order: str = "RAS") -> None:
    """Write LPS voxels with their axes turned to ``order``; the header says where they are."""
    turn = ornt_transform(axcodes2ornt("LPS"), axcodes2ornt(order))
    affine = np.diag([-SPACING_MM[0], -SPACING_MM[1], SPACING_MM[2], 1.0])
    image = nib.Nifti1Image(apply_orientation(voxels, turn), affine @ inv_ornt_aff(turn, voxels.shape))
    image.header["descrip"] = MARK.encode()[:79]
    image.header.set_xyzt_units("mm")
    nib.save(image, path)


def write_metaimage(path: Path, voxels: np.ndarray) -> None:
    """Write LPS voxels as MetaImage."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SWIG crashes where its warnings are errors
        import itk

        image = itk.image_from_array(np.ascontiguousarray(voxels.transpose(2, 1, 0)))
        image.SetSpacing(SPACING_MM)
        itk.imwrite(image, str(path))


def write_series(folder: Path, voxels: np.ndarray, key: str) -> None:
    """Write LPS voxels as a DICOM MR series, one file a slice, whose names are not in the order of the slices."""
    folder.mkdir()
    names = np.random.default_rng(0).permutation(voxels.shape[2])
    for index in range(voxels.shape[2]):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = MRImageStorage
        meta.MediaStorageSOPInstanceUID = _uid("image", f"{key}/{index}")
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        out = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
        out.SOPClassUID, out.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
        out.ImageType = ["ORIGINAL", "PRIMARY", "M", "SE"]
        out.StudyDate, out.StudyTime, out.Modality, out.Manufacturer = "20000101", "120000", "MR", "medkit phantom"
        out.StudyDescription, out.SeriesDescription = "SYNTHETIC", "SYNTHETIC brain"
        out.PatientName, out.PatientID, out.PatientBirthDate, out.PatientSex = "SYNTHETIC^PHANTOM", key, "", ""
        out.ImageComments, out.BodyPartExamined, out.PatientPosition = MARK, "HEAD", "HFS"
        out.ScanningSequence, out.SequenceVariant, out.ScanOptions, out.MRAcquisitionType = "SE", "NONE", "", "2D"
        out.RepetitionTime, out.EchoTime, out.EchoTrainLength = 500, 15, 1
        out.StudyInstanceUID, out.SeriesInstanceUID = _uid("study", key), _uid("series", key)
        out.FrameOfReferenceUID, out.PositionReferenceIndicator = _uid("frame", key), ""
        out.StudyID, out.SeriesNumber, out.InstanceNumber = "1", 1, index + 1
        out.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        out.ImagePositionPatient = [-120, -120, round(-60 + index * SPACING_MM[2], 3)]
        out.PixelSpacing, out.SliceThickness = list(SPACING_MM[:2]), SPACING_MM[2]
        out.SamplesPerPixel, out.PhotometricInterpretation = 1, "MONOCHROME2"
        out.Rows, out.Columns = voxels.shape[1], voxels.shape[0]
        out.BitsAllocated, out.BitsStored, out.HighBit, out.PixelRepresentation = 16, 16, 15, 1
        out.PixelData = np.ascontiguousarray(voxels[:, :, index].T).astype("<i2").tobytes()
        out.save_as(folder / f"IM{names[index]:04d}", enforce_file_format=True)


def _uid(*parts: str) -> str:
    return generate_uid(entropy_srcs=["medkit phantom MRI", *parts])
