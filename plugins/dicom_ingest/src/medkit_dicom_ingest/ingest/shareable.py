"""The allow-list: what may be known about an image outside the hospital.

Nothing is removed from a file: what is not named here never leaves it. PS3.15 table E.1-1 lists what identifies; of
that, only sex, an age in bands and a keyed hash of the patient id are kept, as the Retain Patient Characteristics and
the pseudonym of the Basic Profile allow.
"""

from __future__ import annotations

import re
from dataclasses import replace

from medkit_dicom_ingest.facts import Source
from medkit_dicom_ingest.ingest.vocabulary import VIEWS, body_parts, known_words, modalities

BANDS = (0, 18, 30, 40, 50, 60, 70, 80, 90)
"""The first year of each age band."""
DICOM_SOURCES = {
    "sop_class": ("SOPClassUID",),
    "modality": ("Modality",),
    "body_part": ("BodyPartExamined", "AnatomicRegionSequence"),
    "view_position": ("ViewPosition", "ViewCodeSequence"),
    "laterality": ("FrameLaterality", "ImageLaterality", "Laterality"),
    "orientation": ("PatientOrientation",),
    "plane": ("ImageOrientationPatient",),
    "rows": ("Rows",),
    "columns": ("Columns",),
    "frames": ("NumberOfFrames",),
    "photometric": ("PhotometricInterpretation",),
    "bits_stored": ("BitsStored",),
    "spacing_mm": ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"),
    "aspect": ("PixelAspectRatio",),
    "window": ("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
    "burned_in": ("BurnedInAnnotation",),
    "for_processing": ("PresentationIntentType",),
    "synthetic": ("SyntheticData",),
    "patient_sex": ("PatientSex",),
    "patient_age_years": ("PatientAge",),
}
"""Fact → the attributes that it is taken from; a test compares these with PS3.15."""


def age_band(years: float | None) -> str:
    """Return an age as a band: ``0-17``, ``18-29``, ``30-39``, …, ``90+``, ``""`` where it is not known."""
    if years is None:
        return ""
    start = max(first for first in BANDS if first <= max(years, 0))
    later = [other for other in BANDS if other > start]
    return f"{start}-{later[0] - 1}" if later else f"{start}+"


def shareable(source: Source, risk: str = "") -> Source:
    """Return the facts that may be shared: codes of known vocabularies, and the age as a band.

    Args:
        source: the facts.
        risk: why the image may show text; one that may is marked so, for whoever ingests the bitmap.
    """
    return replace(
        source,
        modality=known_words(source.modality, modalities()),
        body_part=known_words(source.body_part, body_parts()),
        view_position=known_words(source.view_position, VIEWS),
        laterality=source.laterality if source.laterality in ("L", "R", "U", "B") else "",
        orientation=source.orientation if re.fullmatch(r"[LRAPHF]{0,3}\\[LRAPHF]{0,3}", source.orientation) else "",
        patient_age_years=None,
        age_band=source.age_band or age_band(source.patient_age_years),
        burned_in="YES" if risk else source.burned_in,
    )
