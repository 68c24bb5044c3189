"""Set aside the images that a model is not for."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from monai.config import KeysCollection
from monai.transforms import MapTransform

from medkit import contracts as c
from medkit.errors import NotAssessed

UNSTATED = {"", "UNKNOWN", "UNK", "NONE", "NA", "OTHER", "UNDEFINED", "UNSPECIFIED"}
LATERAL = re.compile(r"(L|R)?LAT(ERAL)?|LL|RL|ML|LM")
OBLIQUE = re.compile(r"OBL(IQUE)?|LL?O|RL?O|[LR][AP]O|MLO|LMO")
MORE_THAN_CHEST = re.compile(r"ABD\w*|PELV\w*|\w*SPINE|ENTIRE|WHOLE|BODY|CHESTABD\w*")


class IntendedUsed(MapTransform):
    """Dictionary transform that passes an image on, or raises `NotAssessed` with the reason in plain words.

    Works on the facts that `load_image` and `dicom_bitmap_reader` put in the metadata. What a file does not state is
    not held against it: bitmaps carry no tags, and many DICOM files lack the view. Words are compared whole, in any
    case: ``chest`` fits ``PORT CHEST`` and ``Chest PA``, but not ``CHEST_TO_ABDOMEN``.

    Args:
        keys: which hold the image.
        modalities: DICOM modalities that the model reads.
        body_parts: words of BodyPartExamined that it reads.
        views: words of the view that it reads; other views, lateral and oblique ones above all, are set aside.
        min_age_years: younger patients are set aside; 0 admits all.
        allow_colour: admit colour images.
        allow_multiframe: admit files with several frames, of which the first is read.
        allow_for_processing: admit detector data that was not made for viewing.
        allow_missing_keys: skip a key that a sample lacks.

    Example:
        ```yaml
        - {_target_: medkit.transform, component: intended_use, views: [PA, AP], min_age_years: 18}
        ```
    """

    def __init__(
        self,
        keys: KeysCollection = c.IMAGE,
        modalities: Sequence[str] = ("CR", "DX"),
        body_parts: Sequence[str] = ("CHEST", "THORAX", "LUNG", "LUNGS", "CXR"),
        views: Sequence[str] = ("PA", "AP", "FRONTAL"),
        min_age_years: float = 18,
        allow_colour: bool = False,
        allow_multiframe: bool = False,
        allow_for_processing: bool = False,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.modalities = [modality.upper() for modality in modalities]
        self.body_parts = [part.upper() for part in body_parts]
        self.views = [view.upper() for view in views]
        self.min_age_years = min_age_years
        self.allow_colour = allow_colour
        self.allow_multiframe = allow_multiframe
        self.allow_for_processing = allow_for_processing

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the sample unchanged.

        Raises:
            NotAssessed: the model is not for this image.
        """
        for key in self.key_iterator(dict(data)):
            reason = self.reason(getattr(data[key], "meta", {}).get(c.SOURCE, {}))
            if reason:
                raise NotAssessed(reason)
        return dict(data)

    def reason(self, source: Mapping[str, Any]) -> str:
        """Return why the model is not for an image with these facts, or an empty string."""
        modality = source.get("modality", "")
        if modality not in ("", *self.modalities):
            return f"modality {modality}, this model reads {', '.join(self.modalities)}"
        part = _words(source.get("body_part", ""))
        fits = any(word in self.body_parts for word in part) and not any(map(MORE_THAN_CHEST.fullmatch, part))
        if not _unstated(part) and not fits:
            return f"not a {self.body_parts[0].lower()} by BodyPartExamined: {source['body_part']}"
        if view := self._view_reason(source):
            return view
        age = source.get("patient_age_years")
        band = source.get("age_band", "")
        if age is None and (found := re.fullmatch(r"\d{1,2}-(\d{1,2})", band)):
            age = float(found[1])
        if age is not None and age < self.min_age_years:
            return f"child: {band or f'{age:g}'} years, this model is for {self.min_age_years:g} and older"
        if source.get("colour") and not self.allow_colour:
            return "colour photograph"
        if source.get("frames", 1) > 1 and not self.allow_multiframe:
            return f"{source['frames']} frames, this model reads single images"
        if source.get("for_processing") and not self.allow_for_processing:
            return "detector data that was not made for viewing (FOR PROCESSING)"
        return ""

    def _view_reason(self, source: Mapping[str, Any]) -> str:
        stated = source.get("view_position", "")
        view, tag = _words(stated), source.get("view_source") or "ViewPosition"
        if _unstated(view) or stated.upper() in self.views:
            return ""
        if any(map(LATERAL.fullmatch, view)) and not {"DECUBITUS", "DECUB"} & {*view}:
            return f"lateral view ({tag} {stated})"
        if any(map(OBLIQUE.fullmatch, view)):
            return f"oblique view ({tag} {stated})"
        return "" if {*view} & {*self.views} else f"view {stated} ({tag}), this model reads {', '.join(self.views)}"


def _words(text: str) -> list[str]:
    return re.findall(r"[A-Z0-9]+", text.upper())


def _unstated(words: list[str]) -> bool:
    return " ".join(words) in UNSTATED
