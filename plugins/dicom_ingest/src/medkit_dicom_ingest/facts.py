"""What is known about a file, without anything that identifies a patient."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from pydicom import Dataset

from medkit_dicom_ingest.dicom.elements import code, element, items, numbers
from medkit_dicom_ingest.dicom.header import sop_class
from medkit_dicom_ingest.dicom.rendering import Rendered

UNITS_PER_YEAR = {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}
SPACING_TAGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
LATERALITY_TAGS = ("FrameLaterality", "ImageLaterality", "Laterality")
OLDEST = 90.0
"""Ages above are reported as this: they identify people."""


@dataclass(slots=True)
class Source:
    """Facts about one image file; the defaults mean "not stated".

    Attributes:
        rows, columns: pixels of the original image, the frame that boxes refer to.
        format: ``DICOM``, ``PNG``, ``JPEG``, ``TIFF``, ``BMP``.
        frames: frames or pages; the first is used.
        modality, body_part, laterality: code strings in upper case.
        view_position: ``PA``, ``AP``, ``LATERAL``, …; `view_source` is the tag that says so.
        orientation: PatientOrientation, row\\column.
        plane: ``axial``, ``coronal`` or ``sagittal``: nearest to the image's plane in the patient, by
            ImageOrientationPatient or as a volume was sliced.
        photometric, bits_stored: how the pixels are stored.
        spacing_mm: [between rows, between columns]; `spacing_tag` is the tag that says so.
        aspect: PixelAspectRatio [vertical, horizontal].
        window: what made the contrast.
        patient_age_years: whole years from one year on, at most 90.
        age_band: such as ``0-17`` or ``90+``, where the age itself is not told.
        patient_sex: ``M``, ``F``, ``O`` or empty.
        sop_class: name of the DICOM SOP class.
        colour: the channels really differ.
        burned_in: BurnedInAnnotation, ``YES``, ``NO`` or empty.
        for_processing: detector data that was not made for viewing.
        synthetic: made by a program, by its own mark.
        warnings: what was not usable, and what was done instead.
    """

    rows: int
    columns: int
    format: str
    frames: int = 1
    modality: str = ""
    body_part: str = ""
    view_position: str = ""
    view_source: str = ""
    laterality: str = ""
    orientation: str = ""
    plane: str = ""
    photometric: str = ""
    bits_stored: int = 8
    spacing_mm: list[float] | None = None
    spacing_tag: str = ""
    aspect: list[float] | None = None
    window: str = "full range"
    patient_age_years: float | None = None
    age_band: str = ""
    patient_sex: str = ""
    sop_class: str = ""
    colour: bool = False
    burned_in: str = ""
    for_processing: bool = False
    synthetic: bool = False
    warnings: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as JSON-able values."""
        return asdict(self)


def dicom_facts(rendered: Rendered) -> Source:
    """Return the facts of a rendered frame."""
    dataset = rendered.described
    header, warnings = rendered.header, list(rendered.warnings)
    view, view_source = _view(dataset)
    spacing, spacing_tag = _spacing(dataset, warnings)
    kind = sop_class(dataset)
    for_processing = code(dataset, "PresentationIntentType") == "FOR PROCESSING" or "For Processing" in kind
    if for_processing:
        warnings.append("FOR PROCESSING: detector data that was not made for viewing")
    sex, burned_in = code(dataset, "PatientSex"), code(dataset, "BurnedInAnnotation")
    return Source(
        rows=header.rows,
        columns=header.columns,
        format="DICOM",
        frames=header.frames,
        modality=code(dataset, "Modality"),
        body_part=code(dataset, "BodyPartExamined") or _meaning(dataset, "AnatomicRegionSequence"),
        view_position=view,
        view_source=view_source,
        laterality=next(filter(None, (code(dataset, tag) for tag in LATERALITY_TAGS)), ""),
        orientation=code(dataset, "PatientOrientation"),
        plane=_plane(numbers(dataset, "ImageOrientationPatient")),
        photometric=header.photometric,
        bits_stored=header.stored,
        spacing_mm=spacing,
        spacing_tag=spacing_tag,
        aspect=_positive_pair(numbers(dataset, "PixelAspectRatio")),
        window=rendered.window,
        patient_age_years=_age(dataset, warnings),
        patient_sex=sex if sex in ("M", "F", "O") else "",
        sop_class=kind,
        colour=rendered.colour,
        burned_in=burned_in if burned_in in ("YES", "NO") else "",
        for_processing=for_processing,
        synthetic=code(dataset, "ImageComments").startswith("SYNTHETIC") or code(dataset, "SyntheticData") == "YES",
        warnings=warnings,
    )


def _meaning(dataset: Dataset, keyword: str) -> str:
    return "".join(code(item, "CodeMeaning") for item in items(dataset, keyword)[:1])


def _view(dataset: Dataset) -> tuple[str, str]:
    """Return the view and the tag it comes from; the orientation can only tell that a view is lateral."""
    if stated := code(dataset, "ViewPosition"):
        return stated, "ViewPosition"
    if meaning := re.sub(r"[^A-Z]+", " ", _meaning(dataset, "ViewCodeSequence")).strip():
        for phrase, view in (("ANTERO POSTERIOR", "AP"), ("POSTERO ANTERIOR", "PA")):
            meaning = meaning.replace(phrase, view)
        return meaning, "ViewCodeSequence"
    directions = [direction[:1] for direction in code(dataset, "PatientOrientation").split("\\")]
    if len(directions) == 2 and {*directions} & {*"AP"} and {*directions} & {*"HF"}:
        return "LATERAL", "PatientOrientation"
    return "", ""


def _plane(cosines: list[float]) -> str:
    """Return the plane of a row and a column direction (x, y, z each), ``""`` where they span none."""
    if len(cosines) != 6 or not all(math.isfinite(v) and abs(v) <= 1.01 for v in cosines):
        return ""
    (a, b, c), (d, e, f) = cosines[:3], cosines[3:]
    normal = {"sagittal": abs(b * f - c * e), "coronal": abs(c * d - a * f), "axial": abs(a * e - b * d)}
    nearest = max(normal, key=normal.__getitem__)
    return nearest if normal[nearest] > 0.5 else ""


def _positive_pair(values: list[float]) -> list[float] | None:
    return values if len(values) == 2 and all(math.isfinite(v) and v > 0 for v in values) else None


def _spacing(dataset: Dataset, warnings: list[str]) -> tuple[list[float] | None, str]:
    for tag in SPACING_TAGS:
        values = numbers(dataset, tag)
        if pair := _positive_pair(values):
            return pair, tag
        if values:
            warnings.append(f"{tag} is not two positive numbers: not used")
    return None, ""


def _age(dataset: Dataset, warnings: list[str]) -> float | None:
    """Return PatientAge in years, else the time from birth to the study."""
    stated = code(dataset, "PatientAge")
    if found := re.fullmatch(r"(\d{1,3})\s*([DWMY]?)", stated):
        if not found[2]:
            warnings.append("PatientAge has no unit: taken as years")
        years = float(found[1]) / UNITS_PER_YEAR[found[2] or "Y"]
    else:
        born = _date(dataset, "PatientBirthDate")
        tags = ("StudyDate", "AcquisitionDate", "ContentDate", "SeriesDate")
        taken = next((day for tag in tags if (day := _date(dataset, tag))), None)
        if born is None or taken is None:
            return None
        birthday_passed = (taken.month, taken.day) >= (born.month, born.day)
        years = float(taken.year - born.year - (not birthday_passed))
        years = years if years >= 1 else round((taken - born).days / 365.25, 2)
    if not 0 <= years <= 130:
        warnings.append("the age of the patient is not plausible: not used")
        return None
    return min(float(int(years)), OLDEST) if years >= 1 else round(years, 2)


def _date(dataset: Dataset, keyword: str) -> date | None:
    try:
        found = element(dataset, keyword)
        digits = "" if found is None else re.sub(r"[.\-]", "", str(found.value))
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except Exception:  # a date that cannot be read is no date
        return None
