"""One sample's row of segmentation.csv: two masks, before and after the gate, held against the truth."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medkit import contracts as c
from medkit.errors import DataError
from medkit.masks import decode
from medkit.segmentation import image_scores
from medkit_report.rows import array

SEGMENTATION_COLUMNS = (
    *("file", "patient_id", "label", "status", "reason", "synthetic", "synthetic_model"),
    *("gate", "open"),
    *("truth_pixels", "predicted_pixels", "gated_pixels"),
    *("iou", "dice", "hd95", "iou_gated", "dice_gated", "hd95_gated"),
    *("frame_rows", "frame_columns", "mask"),
)


def segmentation_row(sample: Mapping[str, Any], findings: Sequence[str] | None) -> dict[str, Any]:
    """Return a sample's row without ``mask``; what is not known is absent, never 0.

    Args:
        sample: one decollated sample with ``predicted_mask`` and ``gated_mask``.
        findings: names of the classes of a one-hot label.

    Raises:
        DataError: an assessed sample has no masks.
    """
    status, reason = str(sample[c.STATUS]), str(sample[c.REASON])
    if status == "ok":
        if c.PREDICTED_MASK not in sample or c.GATED_MASK not in sample:
            raise DataError(f'samples have no "{c.PREDICTED_MASK}" and "{c.GATED_MASK}": add classifier_gate')
        if not sample[c.PREDICTED_MASK]:
            status, reason = "error", "the network gave no mask"
    row = {
        "file": str(sample[c.FILE]),
        "patient_id": str(sample[c.PATIENT]),
        "label": _class_name(sample.get(c.LABEL), findings),
        "status": status,
        "reason": reason,
        "synthetic": int(sample[c.SYNTHETIC]),
    }
    return row | _measured(sample) if status == "ok" else row


def _class_name(label: Any, findings: Sequence[str] | None) -> str:
    present = [] if label is None or findings is None else np.flatnonzero(array(label) == 1)
    return findings[present[0]] if findings and len(present) == 1 else ""


def _measured(sample: Mapping[str, Any]) -> dict[str, Any]:
    gate = {"gate": float(sample.get(c.GATE, np.nan)), "open": int(sample.get("gate_open", True))}
    row = gate | _compared(sample.get(c.FRAME_MASK, ""), sample[c.PREDICTED_MASK], sample[c.GATED_MASK])
    return {name: round(value, 6) for name, value in row.items() if not np.isnan(value)}


@functools.lru_cache(maxsize=256)  # two handlers ask in one iteration
def _compared(truth: str, predicted: str, gated: str) -> dict[str, Any]:
    masks = {"predicted": decode(predicted)}
    masks["gated"] = masks["predicted"] if gated == predicted else decode(gated)
    row: dict[str, Any] = {f"{name}_pixels": int(mask.sum()) for name, mask in masks.items()}
    row |= dict(zip(("frame_rows", "frame_columns"), masks["predicted"].shape))
    if not truth:
        return row
    true = decode(truth)
    scores = image_scores(true, masks["predicted"])
    after = scores if gated == predicted else image_scores(true, masks["gated"])
    return row | {"truth_pixels": int(true.sum())} | scores | {f"{name}_gated": value for name, value in after.items()}
