"""Volumes (NIfTI, Analyze, MetaImage, NRRD) as the slices that a radiologist looks at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from medkit.errors import ConfigError, did_you_mean
from medkit_dicom_ingest.colour import displayed, quantised
from medkit_dicom_ingest.dicom.contrast import Voi
from medkit_dicom_ingest.facts import Source
from medkit_dicom_ingest.failure import ImageError
from medkit_dicom_ingest.volumes.companion import companion
from medkit_dicom_ingest.volumes.contrast import volume_contrast
from medkit_dicom_ingest.volumes.grid import PLANES, Stack, Volume, stack
from medkit_dicom_ingest.volumes.itk_volume import read_with_itk
from medkit_dicom_ingest.volumes.nifti import header_class, read_nifti, voxel_file
from medkit_dicom_ingest.volumes.text_header import is_text_header, read_text_header

AUTO = Voi()


@dataclass(slots=True)
class Slice:
    """One slice of a volume.

    Attributes:
        pixels: (H,W), or (H,W,3) where colour was asked for and is there: float32 from 0 black to 1 white, or unsigned
            integers from 0 to the highest that they hold.
        index: from 0: axial from feet to head, coronal from front to back, sagittal from right to left; where there are
            several time points, it counts on.
        source: the facts; ``frames`` is the number of slices.
    """

    pixels: np.ndarray
    index: int
    source: Source


def looks_like_volume(data: bytes) -> bool:
    """Return whether the content starts as NIfTI (packed with gzip too), Analyze, MetaImage or NRRD."""
    return is_text_header(data) or header_class(data) is not None


def parts(path: Path, data: bytes) -> list[Path]:
    """Return the files beside ``path`` that belong to it and are no images of their own: the voxels of a .mhd.

    Args:
        path: of the header.
        data: its content; ``[]`` for what is no volume, holds its voxels itself, or names a file that is not opened.
    """
    try:
        name = read_text_header(data).voxel_file if is_text_header(data) else voxel_file(path, data)
        return [] if name is None else [companion(path, name)]
    except ImageError:
        return []


def slices(
    path: Path,
    data: bytes,
    plane: str = "axial",
    choice: Voi = AUTO,
    dtype: DTypeLike = np.float32,
    in_colour: bool = False,
) -> Iterator[Slice]:
    """Yield the slices of a volume in one plane of the patient, reoriented by its header and never resampled.

    Right is at the left of axial and coronal slices, front at the left of sagittal ones; front is at the top of axial
    slices, head at the top of the others. Contrast is one for the whole volume: see
    `medkit_dicom_ingest.volumes.contrast.volume_contrast`. What is not finite is black.

    Args:
        path: the file, which ITK opens again and beside which voxels may stand in a file of their own.
        data: its content, as `looks_like_volume` recognised it.
        plane: ``axial``, ``coronal`` or ``sagittal``.
        choice: which values are shown; a window counts in the volume's units.
        dtype: float32 (0…1), uint8 or uint16 (0 to their highest).
        in_colour: give coloured slices as RGB instead of their luminance.

    Raises:
        ConfigError: there is no such plane.
        ImageError: truncated, corrupt, too large, of unsupported voxels, or with voxels where they are not read.
    """
    if plane not in PLANES:
        raise ConfigError(f'plane "{plane}" is unknown.{did_you_mean(plane, PLANES)} One of: {", ".join(PLANES)}')
    volume = read_with_itk(path, data) if is_text_header(data) else read_nifti(path, data)
    turned = stack(volume, plane)
    count, times = turned.slices.shape[0], turned.slices.shape[3]
    if times > 1:
        volume.warnings.append(f"{times} time points of {count} slices, one after the other")
    if volume.voxels.ndim == 5:
        function, window = None, "full range"
    else:
        function, window = volume_contrast(volume, choice)
    for index in range(count * times):
        source = _facts(volume, turned, window)
        stored = turned.slices[index % count, :, :, index // count]
        if function is None:
            pixels, source.colour = displayed(stored, 255.0, dtype, in_colour)
        else:
            values = stored.astype(np.float64) * volume.slope + volume.intercept
            finite = np.isfinite(values)
            if lost := int(finite.size - np.count_nonzero(finite)):
                source.warnings.append(f"{lost} pixels are not finite: black")
                values[~finite] = 0
            pixels = quantised(np.where(finite, function(values), 0.0), dtype)
        yield Slice(np.ascontiguousarray(pixels), index, source)


def _facts(volume: Volume, turned: Stack, window: str) -> Source:
    count, rows, columns, times = turned.slices.shape[:4]
    return Source(
        rows=rows,
        columns=columns,
        format=volume.format,
        frames=count * times,
        plane=turned.plane,
        photometric="RGB" if volume.voxels.ndim == 5 else "MONOCHROME2",
        bits_stored=8 * volume.voxels.dtype.itemsize,
        spacing_mm=turned.spacing_mm if volume.spacing_tag else None,
        spacing_tag=volume.spacing_tag,
        window=window,
        warnings=list(volume.warnings),
    )
