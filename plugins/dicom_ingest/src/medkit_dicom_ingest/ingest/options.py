"""What a user chooses for `medkit ingest`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

PLANES = ("axial", "coronal", "sagittal")


@dataclass(frozen=True, slots=True)
class Options:
    """How images are rendered and what the manifest keeps.

    Attributes:
        bits: 8 or 16, of the PNG files.
        longest_side: larger images are reduced so that neither side has more pixels; None keeps them.
        size: (rows, columns) that every image is stretched to; None keeps them.
        voi: which contrast is shown; see `medkit_dicom_ingest.dicom.contrast.Voi.parse`.
        plane: how volumes are cut.
        grey: colour images become luminance.
        uids: the manifest keeps study, series and SOP instance UIDs.
        identifiers: the manifest keeps those and names, ids and dates.
        allow_burned_in: images with likely burnt-in text are not set aside.
    """

    bits: int = 8
    longest_side: int | None = None
    size: tuple[int, int] | None = None
    voi: str = "auto"
    plane: str = "axial"
    grey: bool = False
    uids: bool = False
    identifiers: bool = False
    allow_burned_in: bool = False

    def identity(self) -> dict[str, Any]:
        """Return what must be the same whenever one OUTPUT is written to: all but where images are set aside."""
        return {key: value for key, value in asdict(self).items() if key != "allow_burned_in"}
