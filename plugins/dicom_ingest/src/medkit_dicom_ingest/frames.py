"""What enhanced multi-frame images say frame by frame, as if it stood at the top level (PS3.3 C.7.6.16)."""

from __future__ import annotations

import copy

from pydicom import Dataset

from medkit_dicom_ingest.elements import items

MACROS = {
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept"),
    "FrameVOILUTSequence": ("WindowCenter", "WindowWidth", "VOILUTFunction"),
    "PixelMeasuresSequence": ("PixelSpacing",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "FrameAnatomySequence": ("FrameLaterality", "AnatomicRegionSequence"),
}
"""Functional group macro → what is taken from its one item."""
SHARED, PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"


def of_frame(dataset: Dataset, index: int) -> Dataset:
    """Return what describes frame ``index`` (from 0): ``dataset`` itself where it has no functional groups.

    The frame's own group counts before the shared one, and both before what stands at the top level.
    """
    groups = [*items(dataset, SHARED)[:1], *items(dataset, PER_FRAME)[index : index + 1]]
    if not groups:
        return dataset
    described = copy.copy(dataset)
    for group in groups:
        for macro, keywords in MACROS.items():
            for item in items(group, macro)[:1]:
                for keyword in keywords:
                    if keyword in item:
                        described[keyword] = item[keyword]
    return described


def one_for_all(dataset: Dataset) -> bool:
    """Return whether every frame is described alike."""
    return not items(dataset, PER_FRAME)
