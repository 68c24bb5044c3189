"""Which images are likely to show text: a name in the pixels is not removed by any table of tags."""

from __future__ import annotations

from pydicom import Dataset

from medkit_dicom_ingest.dicom.elements import code
from medkit_dicom_ingest.dicom.header import sop_class
from medkit_dicom_ingest.facts import Source
from medkit_dicom_ingest.ingest.identity import text

OVERLAY_ROWS = [(group, 0x0010) for group in range(0x6000, 0x6020, 2)]


def burned_in_risk(dataset: Dataset) -> str:
    """Return why the image may show text, ``""`` where nothing hints at it.

    Secondary captures and ultrasound images usually do; overlays may hold it; and BurnedInAnnotation says so unless it
    is NO.
    """
    reasons = []
    kind = sop_class(dataset)
    if "Secondary Capture" in kind:
        reasons.append("secondary capture")
    if code(dataset, "Modality") in ("US", "IVUS") or "Ultrasound" in kind:
        reasons.append("ultrasound")
    if any(tag in dataset for tag in OVERLAY_ROWS):
        reasons.append("overlay")
    stated = text(dataset, "BurnedInAnnotation").upper()
    if stated != "NO":
        reasons.append("BurnedInAnnotation " + ("YES" if stated == "YES" else "absent" if not stated else "unclear"))
    return ", ".join(reasons)


def carried_risk(source: Source) -> str:
    """Return why a bitmap that was ingested before may show text: it carries what was found then."""
    return "set aside before" if source.burned_in == "YES" else ""
