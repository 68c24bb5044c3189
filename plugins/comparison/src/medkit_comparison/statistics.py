"""Scores of rows and paired differences between them, over resamples of patients and of seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from medkit.errors import DataError
from medkit.intervals import Bootstrap, Score, macro_mean, ratio
from medkit_comparison.metric import Metric
from medkit_comparison.tested import Images, Tested

HELPED, HURT, UNCLEAR = "helped", "hurt", "no clear difference"
FEW = 5
"""Positives, or negatives where they count, below which resamples say little of a class."""
_ROUNDING = 1e-12
"""What a difference may be off from 0 by rounding alone."""
_MEANT = {"+": HELPED, "-": HURT, "0": UNCLEAR}


class Statistics:
    """All rows' scores under the same resamples, computed once for each set of images.

    Args:
        images: of all rows.
        metric: that the rows are compared by.
        resamples: R.
        seed: of the resamples.
    """

    def __init__(self, images: Images, metric: Metric, resamples: int, seed: int) -> None:
        self.images, self.metric, self.resamples, self.seed = images, metric, resamples, seed
        self._bootstraps: dict[bytes, Bootstrap] = {}
        self._values: dict[tuple[str, bytes], np.ndarray] = {}

    def scores(self, name: str) -> dict[str, Any]:
        """Return ``images, patients, not_measured, not_measurable``, ``classes`` in the mean, and the metric's scores.

        They are under its name: ``macro`` and ``per_class``.
        """
        row, sides = self.images.rows[name], self.metric.sides
        truth, known = _truth(row), row.known
        if not known.any():
            raise DataError(f'row "{name}": none of its {row.tested.any(axis=0).sum()} images could be measured')
        macro, per_class = self._scored(self._drawn(name, known), known, truth)
        missing = {}
        for k, finding in enumerate(self.images.findings):
            if lacks := _lacks(truth[:, k], sides):
                missing[finding] = lacks
            elif few := sum(bool(_lacks(labels[:, k], sides)) for labels in row.labels):
                have = f"{'not both' if len(sides) > 1 else 'no'} {' and '.join(sides)}"
                missing[finding] = f"{few} of {len(row.labels)} runs have {have}"
        boot = self._bootstrap(known)
        return {
            "images": macro["n"],
            "patients": boot.patients,
            "not_measured": int((row.tested.any(axis=0) & ~known.any(axis=1)).sum()),
            "classes": sum(score["value"] is not None for score in per_class.values()),
            self.metric.name: {
                "macro": macro | self._chance(macro),
                "per_class": {
                    finding: score | self._chance(score) | {"few": _few(truth[:, k], sides)}
                    for k, (finding, score) in enumerate(per_class.items())
                },
            },
            "not_measurable": missing,
        }

    def difference(self, name: str, against: str) -> dict[str, Any]:
        """Return ``against, macro, per_class, verdict`` of the row − the other, over what was tested in both.

        Raises:
            DataError: they have no test image in common.
        """
        both = self.images.rows[name].known & self.images.rows[against].known
        if not both.any():
            raise DataError(
                f'rows "{name}" and "{against}" have no test image in common: compare runs that tested the same images'
            )
        gain = self._drawn(name, both) - self._drawn(against, both)
        macro, per_class = self._scored(gain, both, _truth(self.images.rows[name]))
        return {"against": against, "macro": macro, "per_class": per_class, "verdict": verdict(macro)}

    def _bootstrap(self, known: np.ndarray) -> Bootstrap:
        """Return the resamples over the images of which any label is known."""
        used = np.flatnonzero(known.any(axis=1))
        if (key := used.tobytes()) not in self._bootstraps:
            patients = self.images.patients
            self._bootstraps[key] = Bootstrap(
                [patients[n] if patients else "" for n in used], self.resamples, self.seed
            )
        return self._bootstraps[key]

    def _chance(self, score: Mapping[str, Any]) -> dict[str, bool]:
        """Return ``includes_chance``; nothing where there is no chance to speak of."""
        chance = self.metric.chance
        if chance is None:
            return {}
        return {"includes_chance": score["low"] is not None and score["low"] <= chance <= score["high"]}

    def _drawn(self, name: str, known: np.ndarray) -> np.ndarray:
        """Return the (K,R+1) scores of a row over the (N,K) known cells; NaN for a class that lacks a side."""
        if (key := (name, known.tobytes())) in self._values:
            return self._values[key]
        row, boot, used = self.images.rows[name], self._bootstrap(known), known.any(axis=1)
        weights = _weights(row, self.resamples, [self.seed, row.draw])
        labels = np.where(known, row.labels, np.nan)[:, used]
        runs = np.array([self.metric.values(boot, *run) for run in zip(labels, row.predicted[:, used])])
        counted = weights[:, None] * ~np.isnan(runs) * ~np.isnan(runs[..., :1])
        self._values[key] = ratio((counted * np.nan_to_num(runs)).sum(axis=0), counted.sum(axis=0))
        return self._values[key]

    def _scored(self, drawn: np.ndarray, known: np.ndarray, truth: np.ndarray) -> tuple[dict, dict[str, dict]]:
        """Return the macro score of (K,R+1) values, n images, and the scores of the classes, n positives."""
        boot = self._bootstrap(known)
        macro = boot.score(macro_mean(list(drawn), self.resamples + 1), int(known.any(axis=1).sum()))
        per_class: dict[str, Score] = {}
        for k, finding in enumerate(self.images.findings):
            labels = truth[known[:, k], k]
            per_class[finding] = boot.score(drawn[k], int((labels == 1).sum()), _lacks(labels, self.metric.sides))
        return macro.to_json(), {finding: score.to_json() for finding, score in per_class.items()}


def verdict(gain: Mapping[str, Any]) -> str:
    """Return `HELPED`, `HURT` or `UNCLEAR` by where the interval lies; empty without one."""
    if gain["low"] is None:
        return ""
    return HELPED if gain["low"] > _ROUNDING else HURT if gain["high"] < -_ROUNDING else UNCLEAR


def agrees(report: str | None, found: str) -> str:
    """Return ``yes``, ``no``, or ``undecided`` where a report saw a difference and these runs cannot tell."""
    if report is None or not found:
        return ""
    if _MEANT[report] == found:
        return "yes"
    return "undecided" if found == UNCLEAR else "no"


def _weights(row: Tested, resamples: int, seed: list[int]) -> np.ndarray:
    """Return (S,R+1): how much each run counts in each resample; column 0 is the sample itself.

    Runs that were shown the same images are seeds: of S seeds S−1 are drawn, with replacement, so that the variance of
    their mean is that of S seeds (Rao, Wu 1988, doi:10.1080/01621459.1988.10478591). Those shown others are folds, and
    each fold stays.
    """
    random = np.random.default_rng(seed)
    weights = np.ones((len(row.tested), resamples + 1))
    _, fold = np.unique(row.tested, axis=0, return_inverse=True)
    for group in range(fold.max() + 1):
        seeds = np.flatnonzero(fold.ravel() == group)
        if (count := len(seeds)) > 1:
            drawn = random.multinomial(count - 1, np.full(count, 1 / count), size=resamples)
            weights[seeds, 1:] = drawn.T * count / (count - 1)
    return weights


def _truth(row: Tested) -> np.ndarray:
    """Return (N,K) labels; NaN where no run knows one."""
    return np.where((row.labels == 1).any(axis=0), 1.0, np.where((row.labels == 0).any(axis=0), 0.0, np.nan))


def _lacks(labels: np.ndarray, sides: Mapping[str, int]) -> str:
    lacking = [name for name, value in sides.items() if not (labels == value).any()]
    return f"no {' and '.join(lacking)}" if lacking else ""


def _few(labels: np.ndarray, sides: Mapping[str, int]) -> bool:
    return any((labels == value).sum() < FEW for value in sides.values())
