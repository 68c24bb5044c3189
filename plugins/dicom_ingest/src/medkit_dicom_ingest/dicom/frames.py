"""What enhanced multi-frame images say frame by frame, as if it stood at the top level (PS3.3 C.7.6.16)."""

from __future__ import annotations

from pydicom import DataElement, Dataset

from medkit_dicom_ingest.dicom.elements import element, items
from medkit_dicom_ingest.failure import ImageError

MACROS = {
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept"),
    "FrameVOILUTSequence": ("VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction"),
    "PixelMeasuresSequence": ("PixelSpacing",),
    "FramePixelDataPropertiesSequence": ("ImagerPixelSpacing",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "FrameAnatomySequence": ("FrameLaterality", "AnatomicRegionSequence"),
}
"""Functional group macro → what is taken from its one item."""
CALLED = {"FrameLaterality": "ImageLaterality"}
"""What bears another name at the top level."""
SHARED, PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"


def of_frame(dataset: Dataset, index: int) -> Dataset:
    """Return what describes frame ``index`` (from 0): ``dataset`` itself where it has no functional groups.

    The frame's own group counts before the shared one, and both before what stands at the top level. A macro counts as
    a whole: a window of the frame is not mixed with a VOI function of the image.
    """
    groups = [*items(dataset, SHARED)[:1], *items(dataset, PER_FRAME)[index : index + 1]]
    if not groups:
        return dataset
    described = dataset[:]  # a copy.copy() would share its elements with the original
    if meta := getattr(dataset, "file_meta", None):
        described.file_meta = meta
    for group in groups:
        for macro, keywords in MACROS.items():
            for item in items(group, macro)[:1]:
                _replace(described, item, keywords)
    return described


def _replace(described: Dataset, item: Dataset, keywords: tuple[str, ...]) -> None:
    if not any(keyword in item for keyword in keywords):
        return
    for keyword in keywords:
        name = CALLED.get(keyword, keyword)
        if name in described:
            del described[name]
        try:
            found = element(item, keyword)
        except ImageError:  # as good as absent; what has to be there is asked for later
            continue
        if found is not None:
            described[name] = DataElement(name, found.VR, found.value, already_converted=True)


def one_for_all(dataset: Dataset) -> bool:
    """Return whether every frame is described alike."""
    return not items(dataset, PER_FRAME)
