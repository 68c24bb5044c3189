"""MetaImage and NRRD through ITK."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from medkit_dicom_ingest.dicom.elements import quiet
from medkit_dicom_ingest.failure import ImageError
from medkit_dicom_ingest.volumes.companion import companion
from medkit_dicom_ingest.volumes.grid import Volume, check_size, flat, usable
from medkit_dicom_ingest.volumes.nifti import DEFLATE_RATIO
from medkit_dicom_ingest.volumes.text_header import TextHeader, check_deflated, check_numbers, read_text_header

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])
AS_READ = {"char": "SS", "long_long": "D", "unsigned_long_long": "D", "long": "D", "unsigned_long": "D"}
"""Component types that ITK's Python lacks or names by platform → a wider one that it has."""
SPACING_FIELDS = {"elementspacing": "ElementSpacing", "elementsize": "ElementSize",
                  "spacedirections": "space directions", "spacings": "spacings"}  # fmt: skip


def read_with_itk(path: Path, data: bytes) -> Volume:
    """Return the volume; MetaImage and an NRRD without a space are taken as LPS, as ITK does.

    Raises:
        ImageError: truncated, corrupt, too large, or voxels that are neither real numbers nor RGB.
    """
    header = read_text_header(data)
    check_numbers(header)
    name = header.voxel_file
    held = len(data) - header.length if name is None else companion(path, name).stat().st_size
    if header.packed and header.format == "MetaImage":
        held = _packed_size(header, held)
    with quiet(), _silenced():
        image_io, sizes, item_bytes = _described(path, header)
        colour = _is_colour(image_io, header)
        needed = check_size(sizes, item_bytes, "DimSize" if header.format == "MetaImage" else "sizes")
        affine = _placed(image_io)
        _check_length(path, data, header, held, needed)
        image, voxels = _read(path, image_io, colour)
    axes = voxels.ndim - colour
    voxels = voxels.transpose(*range(axes - 1, -1, -1), *range(axes, voxels.ndim))[..., : 3 if colour else None]
    missing = 4 - axes
    voxels = voxels[(slice(None),) * axes + (None,) * missing]
    warnings: list[str] = []
    tag = next((shown for field, shown in SPACING_FIELDS.items() if field in header.fields), "")
    if not header.fields.keys() & {"transformmatrix", "rotation", "orientation", "spacedirections"}:
        warnings.append("no orientation in the header: taken as LPS, towards the patient's left, back and head")
    return Volume(voxels, affine, header.format, tag, warnings=warnings, owner=image)


def _packed_size(header: TextHeader, held: int) -> int:
    """Return CompressedDataSize: where it is absent or short, ITK gives what memory held, and raises nothing."""
    claimed = header.numbers("compresseddatasize")
    if not claimed or not claimed[0] >= 1:
        raise ImageError("bad_header", "CompressedData without a CompressedDataSize: ITK does not read it")
    if claimed[0] > held:
        raise ImageError("truncated", f"CompressedDataSize is {claimed[0]:.0f}, the file holds {held} bytes: truncated")
    return int(claimed[0])


def _described(path: Path, header: TextHeader) -> tuple[Any, list[int], int]:
    """Return ITK's reader, the sizes and the bytes of a voxel; nothing is read but the header."""
    import itk  # here, for it takes seconds; under `quiet`, for SWIG crashes where its warnings are errors

    try:
        image_io = (itk.MetaImageIO if header.format == "MetaImage" else itk.NrrdImageIO).New()
        image_io.SetFileName(str(path))
        image_io.ReadImageInformation()
        sizes = [int(image_io.GetDimensions(axis)) for axis in range(image_io.GetNumberOfDimensions())]
        return image_io, sizes, int(image_io.GetComponentSize()) * int(image_io.GetNumberOfComponents())
    except Exception as error:  # RuntimeError with ITK's own text, which holds the path
        raise _unreadable(header.format, error) from error


def _is_colour(image_io: Any, header: TextHeader) -> bool:
    components = int(image_io.GetNumberOfComponents())
    kind = image_io.GetPixelTypeAsString(image_io.GetPixelType())
    component = image_io.GetComponentTypeAsString(image_io.GetComponentType())
    if components == 1 and kind == "scalar":
        return False
    rgb = kind in ("rgb", "rgba") or (header.format == "MetaImage" and components in (3, 4))  # MetaImage has no word
    if rgb and component == "unsigned_char":
        return True
    raise ImageError("unsupported", f"{components} {component} numbers a voxel ({kind}): neither one nor 8-bit RGB")


def _check_length(path: Path, data: bytes, header: TextHeader, held: int, needed: int) -> None:
    encoding = header.fields.get("encoding", "raw").lower()
    if encoding in ("bzip2", "bz2"):
        raise ImageError("unsupported", "NRRD with bzip2: ITK does not read it, save it with gzip or raw")
    least = -(-needed // DEFLATE_RATIO) if header.packed else needed
    if encoding in ("ascii", "text", "txt"):
        least = 1
    if held < least:
        raise ImageError("truncated", f"the voxels have {held} bytes, the header needs {needed}: truncated")
    if header.packed and header.format == "MetaImage":
        name = header.voxel_file
        body = memoryview(data)[header.length :] if name is None else memoryview(companion(path, name).read_bytes())
        check_deflated(body[:held], needed)


def _read(path: Path, image_io: Any, colour: bool) -> tuple[Any, np.ndarray]:
    """Return ITK's image and its voxels (T,K,J,I) or fewer axes, channels last, which live as long as the image."""
    import itk

    component = image_io.GetComponentTypeAsString(image_io.GetComponentType())
    components = int(image_io.GetNumberOfComponents())
    pixel = itk.UC if colour else getattr(itk, AS_READ[component]) if component in AS_READ else None
    if colour:
        pixel = (itk.RGBPixel if components == 3 else itk.RGBAPixel)[itk.UC]
    try:
        image = itk.imread(str(path), pixel_type=pixel, imageio=image_io)
        return image, itk.array_view_from_image(image).view(np.ndarray)
    except Exception as error:
        raise _unreadable("the file", error) from error


def _placed(image_io: Any) -> np.ndarray:
    """Return the matrix (RAS+) of ITK's directions and spacings (LPS+)."""
    affine, count = np.eye(4), min(int(image_io.GetNumberOfDimensions()), 3)
    affine[2, 2] = float(count > 2)
    for axis in range(count):
        direction = np.zeros(3)
        direction[:count] = np.array(image_io.GetDirection(axis))[:count]
        affine[:3, axis] = LPS_TO_RAS @ direction * float(image_io.GetSpacing(axis))
    affine = flat(affine)
    if not usable(affine):
        raise ImageError("bad_header", "the directions of the axes do not span a volume")
    return affine


def _unreadable(what: str, error: Exception) -> ImageError:
    text = str(error)
    if isinstance(error, MemoryError) or "bad_alloc" in text or "allocate memory" in text:
        raise MemoryError from error
    return ImageError("corrupt", f"{what} cannot be read by ITK ({type(error).__name__}): truncated or corrupt")


@contextmanager
def _silenced() -> Iterator[None]:
    """Send what C++ writes to the error stream nowhere: MetaIO prints there, with the path, and then raises as well."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
