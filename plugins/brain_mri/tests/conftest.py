"""Heads with known answers, written as hospitals keep them."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

SPACING_MM = (2.0, 3.0, 5.0)
"""Towards left, back, head."""
ROW_COLUMN = {"axial": ((1, 0, 0), (0, 1, 0)), "coronal": ((1, 0, 0), (0, 0, -1)), "sagittal": ((0, 1, 0), (0, 0, -1))}


@pytest.fixture
def head() -> np.ndarray:
    """(L,P,S) = (16,20,12) int16: an ellipsoid of 100 in air, with a mark at the left, front and top; no symmetry."""
    x, y, z = np.mgrid[-1:1:16j, -1:1:20j, -1:1:12j]
    voxels = np.where(x**2 + y**2 + z**2 < 0.9, 100, 0).astype(np.int16)
    voxels[10:13, 4:6, 8:10] = 300
    voxels[5, 9, :8] = 200
    return voxels


@pytest.fixture
def write_series():
    """A function that writes LPS voxels as a DICOM MR series, cut across one plane; names are out of order."""

    def write(folder: Path, voxels, plane="axial", patient="P1", key="a", prefix="IM", slope=1.0):
        folder.mkdir(parents=True, exist_ok=True)
        axis = {"sagittal": 0, "coronal": 1, "axial": 2}[plane]
        names = np.random.default_rng(len(key)).permutation(voxels.shape[axis])
        row, column = ROW_COLUMN[plane]
        for index in range(voxels.shape[axis]):
            cut = np.take(voxels, index, axis).T
            first = np.zeros(3)
            first[axis] = index * SPACING_MM[axis]
            if plane != "axial":
                cut, first[2] = cut[::-1], (voxels.shape[2] - 1) * SPACING_MM[2]
            meta = FileMetaDataset()
            meta.MediaStorageSOPClassUID = MRImageStorage
            meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[key, plane, str(index)])
            meta.TransferSyntaxUID = ExplicitVRLittleEndian
            out = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
            out.SOPClassUID, out.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
            out.Modality, out.PatientID, out.PatientName = "MR", patient, "SECRET^NAME"
            out.StudyInstanceUID = generate_uid(entropy_srcs=["study", patient])
            out.SeriesInstanceUID = generate_uid(entropy_srcs=["series", key])
            out.SeriesNumber, out.InstanceNumber = 1, index + 1
            out.ImageOrientationPatient, out.ImagePositionPatient = [*row, *column], first.tolist()
            rows_mm, columns_mm = [SPACING_MM[int(np.flatnonzero(v)[0])] for v in (column, row)]
            out.PixelSpacing, out.SliceThickness = [rows_mm, columns_mm], SPACING_MM[axis]
            out.SamplesPerPixel, out.PhotometricInterpretation = 1, "MONOCHROME2"
            out.Rows, out.Columns = cut.shape
            out.BitsAllocated, out.BitsStored, out.HighBit, out.PixelRepresentation = 16, 16, 15, 1
            out.RescaleSlope, out.RescaleIntercept = slope, 0
            out.PixelData = np.ascontiguousarray(cut).astype("<i2").tobytes()
            out.save_as(folder / f"{prefix}{names[index]:03d}", enforce_file_format=True)

    return write


@pytest.fixture
def write_itk():
    """A function that writes LPS voxels through ITK, with the axes in another order and direction."""

    def write(path: Path, voxels, flips=(1, 1, 1), order=(0, 1, 2)):
        turned = voxels[tuple(slice(None, None, step) for step in flips)].transpose(order)
        direction = np.zeros((3, 3))
        for axis, source in enumerate(order):
            direction[source, axis] = flips[source]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import itk

            image = itk.image_from_array(np.ascontiguousarray(turned.transpose(2, 1, 0)))
            image.SetSpacing([SPACING_MM[source] for source in order])
            image.SetDirection(itk.matrix_from_array(direction))
            itk.imwrite(image, str(path))

    return write
