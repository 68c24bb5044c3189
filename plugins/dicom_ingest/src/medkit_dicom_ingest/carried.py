"""Facts that travel inside a PNG, so that an ingested bitmap is still known by view, age and original size."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from typing import Any

from pydicom._uid_dict import UID_dictionary

from medkit_dicom_ingest.facts import Source

KEYWORD = "medkit"
LONGEST = 16384
FACTS = [fact.name for fact in fields(Source)]
_DEFAULTS = {**{name: getattr(Source(1, 1, ""), name) for name in FACTS}, "format": ""}
_CODES = r"[A-Z0-9 ]{0,64}"
WORDS = {
    "format": "DICOM|PNG|JPEG|TIFF|BMP|NIfTI|MetaImage|NRRD",
    "modality": r"[A-Z0-9]{0,16}",
    "body_part": _CODES,
    "view_position": _CODES,
    "view_source": "|ViewPosition|ViewCodeSequence|PatientOrientation",
    "laterality": "[LRUB]?",
    "orientation": r"|[LRAPHF]{0,3}\\[LRAPHF]{0,3}",
    "plane": "|axial|coronal|sagittal",
    "photometric": r"MONOCHROME[12]|PALETTE COLOR|RGBA?|YBR_\w{3,8}|XYB|[1LPIF]|LA|La|RGBX|CMYK|YCbCr|LAB|HSV|I;16\w?|",
    "spacing_tag": "|".join(["", "PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "pixdim",
                             "ElementSpacing", "ElementSize", "space directions", "spacings"]),
    "window": r"full range|VOI LUT( \d+)?|(window|minmax|mask|volume range|cal_min)( to| cal_max|[-+\d.e/ ])*"
    r"(LINEAR|LINEAR_EXACT|SIGMOID)?",
    "patient_sex": "[MFO]?",
    "age_band": r"|\d{1,2}-\d{1,2}|90\+",
    "sop_class": "|".join(["", *sorted(re.escape(entry[0]) for entry in UID_dictionary.values())]),
    "burned_in": "|YES|NO",
}  # fmt: skip
"""Fact → what a text of it may be."""


def carried(source: Source) -> str:
    """Return what a PNG of one image carries; the caller has removed what must not be shared."""
    return json.dumps({**{name: getattr(source, name) for name in FACTS}, "frames": 1}, sort_keys=True)


def restored(text: object) -> Source | None:
    """Return the facts that `carried` wrote, or None: anyone can write anything into a PNG."""
    if not isinstance(text, str) or len(text) > LONGEST:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not {"rows", "columns", "format"} <= found.keys() <= set(FACTS):
        return None
    if not all(_fits(name, value) for name, value in found.items()):
        return None
    return Source(**{**found, "warnings": []})


def _fits(name: str, value: Any) -> bool:
    default = _DEFAULTS[name]
    if name in ("rows", "columns", "frames", "bits_stored"):
        return type(value) is int and 0 < value < 2**31
    if name == "warnings":
        return isinstance(value, list)
    if isinstance(default, bool):
        return type(value) is bool
    if isinstance(default, str):
        return isinstance(value, str) and re.fullmatch(WORDS[name], value) is not None
    numbers = value if isinstance(value, list) and len(value) == 2 else [value]
    return value is None or all(type(number) in (int, float) and 0 <= number < 1e6 for number in numbers)
