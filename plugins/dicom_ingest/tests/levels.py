"""How far apart two images are, in 8-bit grey levels."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
from medkit_dicom_ingest.dicom.parse import parse
from medkit_dicom_ingest.dicom.rendering import rendered_frames

FRAMES = 4
"""So many frames of a file are compared."""
DELIBERATE = dict.fromkeys(
    ("invalid window: above all values", "invalid window: below all values"),
    "A window that no possible value falls into makes one flat grey; medkit shows the full range and warns",
)
"""Cases in which medkit does not do what the standard says, and why."""
TOLERATED = {
    r"JPEG (baseline|extended): colour|.*examples_ybr_color\.dcm": (
        1,
        "The reference rounds chroma before it becomes RGB, libjpeg does not",
    ),
    r".*SC_rgb_dcmtk_\+eb\+cy.*|.*SC_rgb_jpeg_lossy_gdcm\.dcm": (2, "As above, at full contrast; dcmtk gives our RGB"),
    r"HTJ2K lossy: .*": (1, "Two HTJ2K decoders, OpenJPH and OpenJPEG, round differently"),
}
"""Where medkit may be so many levels from the reference, and why."""


def shown_by_medkit(data: bytes, dtype: type = np.uint8) -> list[np.ndarray]:
    """Return the first frames as medkit shows them, in colour where there is colour."""
    frames: Iterator = rendered_frames(parse(data), dtype=dtype, in_colour=True)
    return [frame.pixels for frame in islice(frames, FRAMES)]


def apart(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference in any channel; infinite where the sizes differ.

    Grey counts as three equal channels.

    Args:
        found: (H,W) or (H,W,3) levels 0…255.
        expected: the same of the oracle.
    """
    if found.shape[:2] != expected.shape[:2]:
        return np.inf
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    return float(np.abs(np.atleast_3d(found) - np.atleast_3d(expected)).max())
