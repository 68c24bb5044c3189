"""PALETTE COLOR: stored values to RGB through three tables (PS3.3 C.7.6.3.1.5, C.7.9)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pydicom import Dataset
from pydicom.pixels import apply_color_lut

from medkit_dicom_ingest.dicom.elements import name
from medkit_dicom_ingest.dicom.header import Header
from medkit_dicom_ingest.dicom.lut import read_table
from medkit_dicom_ingest.failure import ImageError

CHANNELS = ("Red", "Green", "Blue")


def read_palette(dataset: Dataset, header: Header) -> Callable[[np.ndarray], tuple[np.ndarray, float]]:
    """Return what makes RGB (H,W,3) and its full scale from stored values.

    Raises:
        ImageError: a table is missing, short or wrong.
    """
    if any(f"Segmented{channel}PaletteColorLookupTableData" in dataset for channel in CHANNELS):
        return _segmented(dataset)
    tables = [
        read_table(
            dataset,
            header.signed,
            header.little_endian,
            f"{channel}PaletteColorLookupTableDescriptor",
            f"{channel}PaletteColorLookupTableData",
        )
        for channel in CHANNELS
    ]
    white = float(max(table.white for table in tables))
    return lambda stored: (np.stack([table(stored) for table in tables], axis=-1), white)


def _segmented(dataset: Dataset) -> Callable[[np.ndarray], tuple[np.ndarray, float]]:
    """Return the same for run-length coded tables, which pydicom expands."""
    first = np.zeros((1, 1), np.uint16)
    try:
        full_scale = float(np.iinfo(apply_color_lut(first, dataset).dtype).max)
    except Exception as error:  # pydicom: AttributeError, ValueError, struct.error, … by what is wrong
        raise _not_expanded() from error

    def to_rgb(stored: np.ndarray) -> tuple[np.ndarray, float]:
        try:
            return apply_color_lut(stored.astype(np.uint16), dataset), full_scale
        except IndexError:  # the expanded table is shorter than its descriptor says
            raise _not_expanded() from None

    return to_rgb


def _not_expanded() -> ImageError:
    return ImageError("bad_header", f"{name('SegmentedRedPaletteColorLookupTableData')} cannot be expanded")
