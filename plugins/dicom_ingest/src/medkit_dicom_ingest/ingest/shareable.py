"""The allow-list: what may be known about an image outside the hospital.

Nothing is removed from a file: what is not named here never leaves it. PS3.15 table E.1-1 lists what identifies; of
that, only sex, an age in bands and a keyed hash of the patient id are kept, as the Retain Patient Characteristics and
the pseudonym of the Basic Profile allow.
"""

from __future__ import annotations

import re
from dataclasses import replace

from medkit_dicom_ingest.facts import Source
from medkit_dicom_ingest.ingest.vocabulary import VIEWS, body_parts, known_words

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


def band_start(years: float) -> int:
    """Return the first year of the age band."""
    return max(start for start in BANDS if start <= max(years, 0))


def age_band(years: float | None) -> str:
    """Return an age as a band: ``0-17``, ``18-29``, ``30-39``, …, ``90+``, ``""`` where it is not known."""
    if years is None:
        return ""
    start = band_start(years)
    later = [other for other in BANDS if other > start]
    return f"{start}-{later[0] - 1}" if later else f"{start}+"


def shareable(source: Source) -> Source:
    """Return the facts that may be shared: codes of known vocabularies, and the age as the first year of its band."""
    age = source.patient_age_years
    return replace(
        source,
        modality=source.modality if re.fullmatch(r"[A-Z][A-Z0-9]{1,5}", source.modality) else "",
        body_part=known_words(source.body_part, body_parts()),
        view_position=known_words(source.view_position, VIEWS),
        laterality=source.laterality if source.laterality in ("L", "R", "U", "B") else "",
        orientation=source.orientation if re.fullmatch(r"[LRAPHF]{0,3}\\[LRAPHF]{0,3}", source.orientation) else "",
        patient_age_years=None if age is None else float(band_start(age)),
    )
