"""What boxes drawn on validation images teach: where to cut each finding's maps, and how boxes differ from regions.

A threshold alone cannot be right. A map is blurred by the network's receptive field, so a small finding leaves too
large a region at any threshold above the noise; and the network looks at what tells a finding from others, say the
corner that an effusion fills first, not at all of it. So at every threshold a region is corrected: its centre by the
mean offset of the true boxes that it meets, its size by the regression ``log true = intercept + slope · log region``,
width and height apart, where a slope near 1 trusts the region and one near 0 the finding's typical size. Of all
thresholds, each with its correction, the best is taken.

Findings with few boxes lean on the others: all boxes together count as `PRIOR` boxes of every finding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medkit.metrics import box_iou, matched_iou

FRACTIONS = np.arange(0.05, 0.951, 0.05).round(2)
"""Thresholds that are tried."""
PRIOR = 3.0
"""What the boxes of all findings together weigh for each finding, in boxes."""
SMALLEST = 1e-3
"""Smallest side of a region or box, as a fraction of the input, for its logarithm."""


@dataclass(frozen=True)
class Example:
    """The maps of one finding on one image with drawn boxes.

    Attributes:
        true: (N,4) drawn boxes.
        regions: (F,count,4) boxes of the map's regions at every threshold, NaN where there are fewer.
    """

    true: np.ndarray
    regions: np.ndarray


@dataclass(frozen=True)
class Cut:
    """How a finding's maps become boxes.

    Attributes:
        fraction: threshold of the map scaled to 0…1.
        offset: (2,) of the centre, x and y, as a fraction of the input.
        intercept: (2,) of the size correction, width and height.
        slope: (2,).
    """

    fraction: float
    offset: np.ndarray
    intercept: np.ndarray
    slope: np.ndarray

    def corrected(self, regions: np.ndarray) -> np.ndarray:
        """Return the boxes of regions (…,4), all as fractions of the input."""
        return _corrected(regions, self.offset, self.intercept, self.slope)


def plain(fraction: float) -> Cut:
    """Return the rule that needs no boxes: this threshold, regions as they are."""
    return Cut(fraction, np.zeros(2), np.zeros(2), np.ones(2))


def fit_cuts(examples: Sequence[Sequence[Example]], limit: float) -> list[Cut]:
    """Return the best cut of each of K findings, given its examples; at least one finding needs one.

    Args:
        examples: K lists.
        limit: IoU of a hit; hits plus mean IoU are maximised, since hits alone are coarse where boxes are few.
    """
    pool = [example for of_finding in examples for example in of_finding]
    pooled_pairs = _pairs(pool)
    pooled = _correction([(pooled_pairs, 1.0)])
    everyone = _value(pool, *pooled, limit)
    cuts = []
    for own in examples:
        weight = PRIOR / len(pool)
        correction = _correction([(_pairs(own), 1.0), (pooled_pairs, weight)]) if own else pooled
        value = everyone.mean(axis=0) * PRIOR + (_value(own, *correction, limit).sum(axis=0) if own else 0)
        best = int(np.argmax(value))
        cuts.append(Cut(float(FRACTIONS[best]), *(part[best] for part in correction)))
    return cuts


def overlaps(true: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return the IoU with which each of N true boxes is found by boxes (M,4), of which NaN rows are none."""
    return matched_iou(box_iou(true, boxes[~np.isnan(boxes).any(axis=1)]))


def _centres(boxes: np.ndarray) -> np.ndarray:
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def _sides(boxes: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(boxes[..., 2:] - boxes[..., :2], SMALLEST))


def _corrected(regions: np.ndarray, offset: np.ndarray, intercept: np.ndarray, slope: np.ndarray) -> np.ndarray:
    centre, half = _centres(regions) + offset, np.exp(intercept + slope * _sides(regions)) / 2
    return np.concatenate([centre - half, centre + half], axis=-1).clip(0, 1)


def _pairs(examples: Sequence[Example]) -> tuple[np.ndarray, ...]:
    """Return what regions and the true boxes that they meet teach, P pairs at every threshold.

    That is: offsets of the true centres (F,P,2), log sides of the regions and of the true boxes (F,P,2), and whether
    they meet at all (F,P).
    """
    columns = []
    for example in examples:
        regions = np.nan_to_num(example.regions)
        iou = np.stack([box_iou(boxes, example.true) for boxes in regions])
        true = example.true[iou.argmax(axis=2)]
        columns.append((_centres(true) - _centres(regions), _sides(regions), _sides(true), iou.max(axis=2) > 0))
    return tuple(np.concatenate(column, axis=1) for column in zip(*columns))


def _correction(parts: Sequence[tuple[tuple[np.ndarray, ...], float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return offset, intercept and slope, (F,2) each, by weighted least squares; the slope stays in 0…1."""
    offset, x, y = (np.concatenate([pairs[i] for pairs, _ in parts], axis=1) for i in range(3))
    weight = np.concatenate([pairs[3] * share for pairs, share in parts], axis=1)[..., None]
    total = np.maximum(weight.sum(axis=1), 1e-9)
    mean_offset, mean_x, mean_y = ((weight * v).sum(axis=1) / total for v in (offset, x, y))
    dx, dy = x - mean_x[:, None], y - mean_y[:, None]
    slope = ((weight * dx * dy).sum(axis=1) / ((weight * dx * dx).sum(axis=1) + 1e-6)).clip(0, 1)
    return mean_offset, mean_y - slope * mean_x, slope


def _value(
    examples: Sequence[Example], offset: np.ndarray, intercept: np.ndarray, slope: np.ndarray, limit: float
) -> np.ndarray:
    """Return hit plus IoU of every true box at every threshold, (N,F)."""
    columns = []
    for example in examples:
        boxes = _corrected(example.regions, offset[:, None], intercept[:, None], slope[:, None])
        columns.append(np.stack([overlaps(example.true, at) for at in boxes], axis=1))
    iou = np.concatenate(columns)
    return iou + (iou > limit)
