"""metrics.json and the evaluation's predictions as the page shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medkit_report.charts import Roc, number, roc

Score = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One line of the per-class table; a score that is missing is None."""

    name: str
    scores: dict[str, Score | None]
    counts: Mapping[str, int]
    roc: Roc | None


HEADLINES = (
    ("Accuracy, all classes", ("accuracy",)),
    ("Accuracy, anything or nothing", ("accuracy_any",)),
    ("AUROC, mean over findings", ("auroc", "macro")),
    ("F1 at the operating points, mean", ("f1", "macro")),
    ("True boxes hit, IoU > 0.3", ("localization", "hit_rate_iou_0_3")),
    ("The same with random boxes", ("localization", "hit_rate_iou_0_3_random")),
    ("True boxes hit, rule without fitted maps", ("localization", "by_rule", "hit_rate_iou_0_3")),
    ("False boxes an image", ("localization", "false_boxes_per_image")),
)
_SEGMENTATION = (
    ("Mean IoU, all images", "iou", "all"),
    ("Mean IoU, images with a lesion", "iou", "lesion"),
    ("Mean IoU, normal images", "iou", "normal"),
    ("Mean Dice, all images", "dice", "all"),
    ("Mean Dice, images with a lesion", "dice", "lesion"),
    ("HD95 in pixels, lesions found", "hd95", "lesion"),
)
_COLUMNS = {
    "auroc": ("auroc", "per_class"),
    "sensitivity": ("sensitivity", "per_class"),
    "specificity": ("specificity", "per_class"),
    "f1": ("f1", "per_class"),
}


def found(tree: Any, path: Sequence[str]) -> Any:
    """Return what is at a path of keys, or None."""
    for key in path:
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    return tree


def headlines(metrics: Mapping[str, Any]) -> list[tuple[str, Score]]:
    """Return (title, score) of what sums the model up, as far as it was measured."""
    return [(title, score) for title, path in HEADLINES if (score := found(metrics, path)) is not None]


def class_rows(
    metrics: Mapping[str, Any], evaluation: Sequence[Mapping[str, str]], findings: Sequence[str]
) -> list[ClassRow]:
    """Return one row a finding; none without metrics and evaluation."""
    if not metrics and not evaluation:
        return []
    rows = []
    for name in findings:
        scores = {key: found(metrics, (*path, name)) for key, path in _COLUMNS.items()}
        for key in ("hit_rate_iou_0_3", "hit_rate_iou_0_3_random"):
            scores[key] = found(metrics, ("localization", "per_class", name, key))
        columns = (
            np.array([number(row.get(f"{kind}_{name}", "")) for row in evaluation], np.float64)
            for kind in ("label", "probability", "present")
        )
        rows.append(ClassRow(name, scores, found(metrics, ("counts", "per_class", name)) or {}, roc(*columns)))
    return rows


@dataclass(frozen=True, slots=True)
class SegmentationRow:
    """One line of the table before and after the gate; a score that is missing is None."""

    name: str
    plain: Score | None
    gated: Score | None
    gain: Score | None


def segmentation_rows(metrics: Mapping[str, Any]) -> list[SegmentationRow]:
    """Return one row a score of segmentation/metrics.json; none where there is no such file."""
    if not metrics:
        return []
    columns = ("plain", "gated", "gain")
    return [
        SegmentationRow(name, *(found(metrics, (column, score, images)) for column in columns))
        for name, score, images in _SEGMENTATION
    ]
