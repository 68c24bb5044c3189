"""A score with its 95 % interval and its count, and the resampling behind the interval.

Intervals are percentiles of a bootstrap over *patients*: a resample draws as many patients as there are, with
replacement, and takes all images of each (Field, Welsh 2007, J. R. Stat. Soc. B 69:369,
doi:10.1111/j.1467-9868.2007.00593.x). Images of one patient are alike, and intervals over images would be too narrow. A
proportion of exactly 0 or 1 never varies under resampling; its open side is the exact binomial limit over patients
(Clopper, Pearson 1934, doi:10.1093/biomet/26.4.404).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_CHUNK = 2_000_000
"""Elements of one block of resamples × images: keeps blocks in the cache and memory small."""


@dataclass(frozen=True, slots=True)
class Score:
    """One score.

    Attributes:
        value: NaN where it is not measurable.
        low: lower end of the 95 % interval; NaN where there is none, for instance with a single patient.
        high: upper end.
        n: what the score rests on: positives, boxes, images.
        reason: why it is not measurable, else empty.
    """

    value: float
    low: float
    high: float
    n: int
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return ``value, low, high, n`` with null for NaN, and ``reason`` where there is no value."""
        numbers = {key: _number(getattr(self, key)) for key in ("value", "low", "high")}
        return {**numbers, "n": self.n, **({"reason": self.reason} if self.reason else {})}


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


class Bootstrap:
    """Resamples of patients, drawn once and used for every score, so that scores can be compared.

    Args:
        patients: the patient of each of N images; an empty string is a patient of its own.
        resamples: R; 0 gives no intervals.
        seed: of the draws.
    """

    def __init__(self, patients: Sequence[str], resamples: int = 1000, seed: int = 0) -> None:
        names = [str(patient) or f"\0{index}" for index, patient in enumerate(patients)]
        known, self.patient = np.unique(np.array(names, dtype=object), return_inverse=True)
        self.patients = len(known)
        random = np.random.default_rng(seed)
        self.counts = np.ones((resamples + 1, self.patients), np.float32)  # row 0 is the sample itself
        for row in self.counts[1:]:
            row[:] = np.bincount(random.integers(self.patients, size=self.patients), minlength=self.patients)

    def totals(self, per_image: np.ndarray) -> np.ndarray:
        """Return the (R+1,S) sums over every resample of S quantities (N,S) an image."""
        per_patient = np.zeros((self.patients, per_image.shape[1]))
        np.add.at(per_patient, self.patient, per_image)
        return self.counts @ per_patient

    def score(self, values: np.ndarray, n: int, reason: str = "") -> Score:
        """Return the `Score` of R+1 values, the first of which is that of the sample itself."""
        if math.isnan(values[0]):
            return Score(math.nan, math.nan, math.nan, n, reason or "not measurable")
        drawn = values[1:][~np.isnan(values[1:])]
        low, high = np.percentile(drawn, [2.5, 97.5]) if drawn.size and self.patients > 1 else (math.nan, math.nan)
        return Score(float(values[0]), float(low), float(high), n)

    def proportion(self, hits: np.ndarray, trials: np.ndarray, reason: str) -> Score:
        """Return hits per trial, both (N,) an image, with the number of trials."""
        total = self.totals(np.stack([hits, trials], axis=1))
        score = self.score(ratio(*total.T), int(trials.sum()), reason)
        if score.value not in (0.0, 1.0) or math.isnan(score.low):
            return score
        limit = 0.025 ** (1 / len(np.unique(self.patient[trials > 0])))
        low, high = (limit, 1.0) if score.value else (0.0, 1 - limit)
        return Score(score.value, low, high, score.n)

    def ranking(self, labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the (R+1,) AUROC and average precision of one class; NaN where a resample has only one side."""
        known = np.flatnonzero(~np.isnan(labels))
        order = known[np.argsort(-scores[known])]
        ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True)) if order.size else order
        positive = (labels[order] == 1).astype(np.float32)
        areas, precisions = [], []
        block = max(1, _CHUNK // max(1, order.size))
        for start in range(0, len(self.counts), block):
            weights = self.counts[start : start + block][:, self.patient[order]]
            # sums of whole numbers below 2**24 are exact in float32
            everything = np.cumsum(weights, axis=1)[:, ends].astype(np.float64)
            true = np.cumsum(weights * positive, axis=1)[:, ends].astype(np.float64)
            step_true = np.diff(true, axis=1, prepend=0)
            step_false = np.diff(everything, axis=1, prepend=0) - step_true
            sides = step_true.sum(axis=1), step_false.sum(axis=1)
            measurable = sides[0] * sides[1] > 0
            area = ((true - step_true / 2) * step_false).sum(axis=1)
            precision = (step_true * ratio(true, everything, empty=0)).sum(axis=1)
            areas.append(np.where(measurable, ratio(area, sides[0] * sides[1]), np.nan))
            precisions.append(np.where(measurable, ratio(precision, sides[0]), np.nan))
        return np.concatenate(areas), np.concatenate(precisions)


def ratio(top: np.ndarray, bottom: np.ndarray, empty: float = np.nan) -> np.ndarray:
    """Return ``top / bottom``, and ``empty`` where the bottom is not above 0."""
    return np.divide(top, bottom, out=np.full(np.shape(bottom), float(empty)), where=np.asarray(bottom) > 0)


def macro_mean(rows: Sequence[np.ndarray], length: int) -> np.ndarray:
    """Return the mean over classes of (R+1,) rows, leaving out the classes that the sample itself cannot measure."""
    kept = np.array([row for row in rows if not math.isnan(row[0])]).reshape(-1, length)
    return ratio(np.nansum(kept, axis=0), (~np.isnan(kept)).sum(axis=0))
