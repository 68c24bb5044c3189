"""What predicted boxes are worth, beside the control of boxes at random positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medkit import contracts as c
from medkit.errors import DataError
from medkit.intervals import Bootstrap, ratio

RANDOM_DRAWS = 20
"""Random positions that the random-box control averages over, for every predicted box."""


def box_iou(a: Any, b: Any) -> np.ndarray:
    """Return the (N,M) intersection over union of boxes (N,4) and (M,4), half-open floats; 0 for empty boxes."""
    a, b = np.asarray(a, np.float64).reshape(-1, 4), np.asarray(b, np.float64).reshape(-1, 4)
    shared = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    shared = shared.clip(min=0).prod(axis=2)
    area_a, area_b = ((box[:, 2:] - box[:, :2]).clip(min=0).prod(axis=1) for box in (a, b))
    return ratio(shared, area_a[:, None] + area_b - shared, empty=0)


def matched_iou(iou: np.ndarray) -> np.ndarray:
    """Return the IoU with which each of N true boxes is found, 0 where it is not, from an (N,M) IoU matrix.

    Greedy, best pair first: a predicted box finds at most one true box and a true box is found once.
    """
    found, left = np.zeros(len(iou)), iou.copy()
    while left.size and (best := left.max()) > 0:
        true, predicted = np.unravel_index(left.argmax(), left.shape)
        found[true] = best
        left[true], left[:, predicted] = 0, 0
    return found


def localization_scores(
    records: Sequence[Mapping[str, Any]],
    findings: Sequence[str],
    *,
    predicted: str = c.PREDICTED_BOXES,
    iou: float = 0.3,
    also: Sequence[float] = (0.1, 0.5),
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Return all scores of predicted boxes as nested JSON.

    Keys: ``hit_rate_iou_0_3``, the share of *all* true boxes that a predicted box of their class meets at an IoU above
    0.3 (a finding that was not predicted is a miss); ``hit_rate_iou_0_3_random``, the same after moving every predicted
    box to a uniformly random place in its frame, size kept; the hit rates of ``also``; ``mean_iou_of_hits``;
    ``false_boxes_per_image``; ``predicted_boxes_per_image``; and ``per_class``.

    A false box meets no true box of its class at ``iou``. It counts where that can be known: on images where boxes of
    the class were drawn, or whose label says that the class is absent; not where the class is present and nobody drew
    it.

    ``n`` is the number of true boxes, of hits for the mean IoU, and of images for counts an image.

    Args:
        records: samples with ``boxes`` (N,5; None or missing where nobody drew any; NaN rows are padding), the
            predicted boxes (M,6), ``label`` (K,), ``frame_size`` (rows, columns) and ``patient_id``.
        findings: K names, in the order of the class indices.
        predicted: the key of the predicted boxes.
        iou: a hit has a greater IoU than this; it is part of the key.
        also: other such limits.
        resamples: of patients, for the intervals.
        seed: of the resamples and of the random boxes.

    Raises:
        DataError: a class index is not one of the findings, or a frame's size is unknown.
    """
    random = np.random.default_rng(seed)
    limits = np.array([iou, *also])
    cells = (len(records), len(findings))
    drawn, false, overlap = (np.zeros(cells) for _ in range(3))
    hits, random_hits = np.zeros((len(limits), *cells)), np.zeros(cells)
    known = np.zeros(cells, bool)
    boxes_of = [_by_class(record.get(predicted), 6, len(findings)) for record in records]
    for i, record in enumerate(records):
        true_of = _by_class(record.get(c.BOXES), 5, len(findings))
        label = np.asarray(record.get(c.LABEL, np.full(len(findings), np.nan)))
        for k, (true, found) in enumerate(zip(true_of, boxes_of[i])):
            known[i, k] = len(true) > 0 or label[k] == 0
            drawn[i, k] = len(true)
            pairs = box_iou(true, found)
            if known[i, k]:
                false[i, k] = (pairs.max(axis=0, initial=0) <= iou).sum()
            if pairs.size:
                best = matched_iou(pairs)
                hits[:, i, k] = (best > limits[:, None]).sum(axis=1)
                overlap[i, k] = best[best > iou].sum()
                moved = _moved(found, record.get(c.FRAME_SIZE), random)
                random_hits[i, k] = sum((matched_iou(box_iou(true, at)) > iou).sum() for at in moved) / RANDOM_DRAWS
    boot = Bootstrap([str(record.get(c.PATIENT, "")) for record in records], resamples, seed)

    def rates(columns: slice | int) -> dict[str, Any]:
        def summed(cells: np.ndarray) -> np.ndarray:
            return cells[:, columns].reshape(len(records), -1).sum(axis=1)

        trials = summed(drawn)
        keys = [f"hit_rate_iou_{limit:g}".replace(".", "_") for limit in limits]
        counted = [(keys[0], hits[0]), (f"{keys[0]}_random", random_hits), *zip(keys[1:], hits[1:])]
        return {key: boot.proportion(summed(cells), trials, "no true boxes").to_json() for key, cells in counted}

    def mean(top: np.ndarray, bottom: np.ndarray, reason: str) -> dict[str, Any]:
        return boot.score(ratio(*boot.totals(np.stack([top, bottom], axis=1)).T), int(bottom.sum()), reason).to_json()

    everywhere = np.ones(len(records))
    return {
        **rates(slice(None)),
        "mean_iou_of_hits": mean(overlap.sum(axis=1), hits[0].sum(axis=1), "no hits"),
        "false_boxes_per_image": mean(
            false.sum(axis=1), known.max(axis=1).astype(float), "no image with known findings"
        ),
        "predicted_boxes_per_image": mean(
            np.array([sum(map(len, boxes)) for boxes in boxes_of], float), everywhere, "no images"
        ),
        "per_class": {finding: {**rates(k), "n": int(drawn[:, k].sum())} for k, finding in enumerate(findings)},
    }


def _by_class(boxes: Any, width: int, classes: int) -> list[np.ndarray]:
    """Return K arrays (n,4) of box corners, without padding."""
    rows = np.empty((0, width)) if boxes is None else np.asarray(boxes, np.float64).reshape(-1, width)
    rows = rows[~np.isnan(rows[:, :5]).any(axis=1)]
    if (unknown := ~np.isin(rows[:, 0], np.arange(classes))).any():
        raise DataError(
            f"a box has class index {rows[unknown][0, 0]:g}, but there are {classes} findings: 0…{classes - 1}"
        )
    return [rows[rows[:, 0] == k, 1:5] for k in range(classes)]


def _moved(boxes: np.ndarray, frame_size: Any, random: np.random.Generator) -> np.ndarray:
    """Return (draws,M,4): each box at uniformly random places inside its frame."""
    frame = np.full(2, np.nan) if frame_size is None else np.asarray(frame_size, np.float64)
    if np.isnan(frame).any():
        raise DataError("an image with boxes has no frame_size (rows, columns): the random-box control needs it")
    size = boxes[:, 2:] - boxes[:, :2]
    corner = random.random((RANDOM_DRAWS, len(boxes), 2)) * (frame[::-1] - size).clip(min=0)
    return np.concatenate([corner, corner + size], axis=2)
