"""What predicted masks are worth, before and after a gate that closes images with nothing to segment.

An empty mask where nothing is to be found is right, and scores 1; where exactly one of two masks is empty, overlap is 0
and there is no distance. So images without a lesion count, and a mean over all images rewards a model that leaves them
empty; the means over images with and without a lesion stand beside it (Maier-Hein et al. 2024, Nat. Methods 21:195,
doi:10.1038/s41592-023-02151-z).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

from medkit import contracts as c
from medkit.errors import DataError
from medkit.intervals import Bootstrap, ratio


def image_scores(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Return ``iou``, ``dice`` and ``hd95`` of one image.

    ``hd95`` is the larger of the two 95th percentiles of the distances, in pixels, from one mask's edge pixels to the
    nearest of the other's (Huttenlocher et al. 1993, doi:10.1109/34.232073); 0 where both are empty, NaN where one is.
    Overlaps equal MONAI's with ``ignore_empty=False``, distances its ``HausdorffDistanceMetric(percentile=95)``.

    Args:
        truth: (H,W) bool.
        predicted: (H,W) bool.

    Raises:
        DataError: the shapes differ.
    """
    truth, predicted = np.asarray(truth, bool), np.asarray(predicted, bool)
    if truth.shape != predicted.shape:
        raise DataError(f"masks of one shape were asked for, {truth.shape} and {predicted.shape} were found")
    either = truth | predicted
    if not either.any():
        return {"iou": 1.0, "dice": 1.0, "hd95": 0.0}
    shared, union = int((truth & predicted).sum()), int(either.sum())
    box = ndimage.find_objects(either.astype(np.uint8))[0]
    return {
        "iou": shared / union,
        "dice": 2 * shared / (shared + union),
        "hd95": _edge_distance(truth[box], predicted[box]) if truth.any() and predicted.any() else math.nan,
    }


def _edge_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return the 95th percentile Hausdorff distance of two masks (h,w), neither of which is empty."""
    edge_a, edge_b = (np.argwhere(mask & ~ndimage.binary_erosion(mask)) for mask in (a, b))
    there, back = (KDTree(to).query(start)[0] for start, to in ((edge_a, edge_b), (edge_b, edge_a)))
    return float(max(np.percentile(there, 95), np.percentile(back, 95)))


def segmentation_scores(rows: Sequence[Mapping[str, Any]], resamples: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Return all segmentation scores as nested JSON.

    Keys: ``plain`` (before the gate) and ``gated``, each with ``iou`` and ``dice`` (``all`` images; ``lesion``, whose
    true mask is not empty; ``normal``, whose is) and ``hd95`` (``lesion``: ``n`` of them have a predicted mask too);
    ``gain``, the same images' ``iou`` and ``dice`` after the gate less before; and ``counts``: ``images`` that have a
    true mask, their ``patients``, ``lesion``, ``normal``, ``gated`` (the gate was closed) and ``lesions_gated_away``
    (closed on a lesion). Each score is a mean over images as `medkit.intervals.Score` JSON.

    Args:
        rows: one an image, with ``patient_id``, ``truth_pixels``, ``open`` (0: the gate was closed), ``iou``, ``dice``,
            ``hd95`` and the three with ``_gated``: numbers or their text, blank where unknown. Rows whose ``iou`` is
            blank have no true mask and are left out.
        resamples: of patients, for the intervals.
        seed: of the resamples.
    """
    rows = [row for row in rows if not math.isnan(_number(row.get("iou")))]

    def column(name: str) -> np.ndarray:
        return np.array([_number(row.get(name)) for row in rows])

    boot = Bootstrap([str(row.get(c.PATIENT, "")) for row in rows], resamples, seed)
    lesion, closed = column("truth_pixels") > 0, column("open") == 0
    groups = {
        "all": (np.ones(len(rows), bool), "no image has a true mask"),
        "lesion": (lesion, "no image has a lesion"),
        "normal": (~lesion, "every image has a lesion"),
    }

    def overlap(name: str) -> dict[str, Any]:
        values = column(name)
        return {
            group: boot.proportion(np.where(which, values, 0), which, reason).to_json()
            for group, (which, reason) in groups.items()
        }

    def mean(values: np.ndarray, which: np.ndarray, reason: str) -> dict[str, Any]:
        totals = boot.totals(np.stack([np.where(which, values, 0), which], axis=1))
        return boot.score(ratio(*totals.T), int(which.sum()), reason).to_json()

    def scores(suffix: str) -> dict[str, Any]:
        distance = column(f"hd95{suffix}")
        measured = lesion & ~np.isnan(distance)
        return {
            **{name: overlap(f"{name}{suffix}") for name in ("iou", "dice")},
            "hd95": {"lesion": mean(distance, measured, "no lesion has a predicted mask")},
        }

    def gain(name: str) -> dict[str, Any]:
        difference = column(f"{name}_gated") - column(name)
        return {group: mean(difference, *of) for group, of in groups.items()}

    return {
        "plain": scores(""),
        "gated": scores("_gated"),
        "gain": {name: gain(name) for name in ("iou", "dice")},
        "counts": {
            "images": len(rows),
            "patients": boot.patients,
            "lesion": int(lesion.sum()),
            "normal": int((~lesion).sum()),
            "gated": int(closed.sum()),
            "lesions_gated_away": int((lesion & closed).sum()),
        },
    }


def _number(value: Any) -> float:
    return math.nan if value is None or value == "" else float(value)
