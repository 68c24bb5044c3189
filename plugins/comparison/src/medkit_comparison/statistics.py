"""AUROC of rows and paired differences between them, over resamples of patients and of seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from medkit.errors import DataError
from medkit.intervals import Bootstrap, Score, macro_mean, ratio
from medkit_comparison.area import areas
from medkit_comparison.tested import Images, Tested

HELPED, HURT, UNCLEAR = "helped", "hurt", "no clear difference"
CHANCE = 0.5
"""The AUROC of guessing."""
FEW = 5
"""Positives or negatives below which resamples say little of a class."""
_ROUNDING = 1e-12
"""What a difference may be off from 0 by rounding alone."""
_MEANT = {"+": HELPED, "-": HURT, "0": UNCLEAR}


class Statistics:
    """All rows' AUROC under the same resamples, computed once for each set of images.

    Args:
        images: of all rows.
        resamples: R.
        seed: of the resamples.
    """

    def __init__(self, images: Images, resamples: int, seed: int) -> None:
        self.images, self.resamples, self.seed = images, resamples, seed
        self._bootstraps: dict[bytes, Bootstrap] = {}
        self._areas: dict[tuple[str, bytes], np.ndarray] = {}

    def scores(self, name: str) -> dict[str, Any]:
        """Return ``images, patients, not_measured, auroc`` (``macro`` and ``per_class``) and ``not_measurable``."""
        row = self.images.rows[name]
        truth, known = _truth(row), row.known
        if not known.any():
            raise DataError(f'row "{name}": none of its {row.tested.any(axis=0).sum()} images could be measured')
        macro, per_class = self._scored(self._area(name, known), known, truth)
        missing = {}
        for k, finding in enumerate(self.images.findings):
            if lacks := _lacks(truth[:, k]):
                missing[finding] = lacks
            elif few := sum(bool(_lacks(labels[:, k])) for labels in row.labels):
                missing[finding] = f"{few} of {len(row.labels)} runs have not both positives and negatives"
        boot = self._bootstrap(known)
        return {
            "images": macro["n"],
            "patients": boot.patients,
            "not_measured": int((row.tested.any(axis=0) & ~known.any(axis=1)).sum()),
            "auroc": {
                "macro": macro | {"includes_chance": _includes(macro, CHANCE)},
                "per_class": {
                    finding: score | {"includes_chance": _includes(score, CHANCE), "few": _few(truth[:, k])}
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
        gain = self._area(name, both) - self._area(against, both)
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

    def _area(self, name: str, known: np.ndarray) -> np.ndarray:
        """Return the (K,R+1) AUROC of a row over the (N,K) known cells; NaN for a class without both sides."""
        if (key := (name, known.tobytes())) in self._areas:
            return self._areas[key]
        row, boot, used = self.images.rows[name], self._bootstrap(known), known.any(axis=1)
        weights = _weights(row, self.resamples, [self.seed, list(self.images.rows).index(name)])
        labels = np.where(known, row.labels, np.nan)[:, used]
        out = []
        for k in range(known.shape[1]):
            drawn = np.array([areas(boot, *run) for run in zip(labels[..., k], row.probabilities[:, used, k])])
            counted = weights * ~np.isnan(drawn) * ~np.isnan(drawn[:, :1])
            out.append(ratio((counted * np.nan_to_num(drawn)).sum(axis=0), counted.sum(axis=0)))
        self._areas[key] = np.array(out)
        return self._areas[key]

    def _scored(self, drawn: np.ndarray, known: np.ndarray, truth: np.ndarray) -> tuple[dict, dict[str, dict]]:
        """Return the macro score of (K,R+1) values, n images, and the scores of the classes, n positives."""
        boot = self._bootstrap(known)
        macro = boot.score(macro_mean(list(drawn), self.resamples + 1), int(known.any(axis=1).sum()))
        per_class: Mapping[str, Score] = {
            finding: boot.score(drawn[k], int((truth[:, k][known[:, k]] == 1).sum()), _lacks(truth[known[:, k], k]))
            for k, finding in enumerate(self.images.findings)
        }
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


def _lacks(labels: np.ndarray) -> str:
    sides = [name for name, value in (("positives", 1), ("negatives", 0)) if not (labels == value).any()]
    return f"no {' and '.join(sides)}" if sides else ""


def _few(labels: np.ndarray) -> bool:
    return bool(min((labels == 1).sum(), (labels == 0).sum()) < FEW)


def _includes(score: Mapping[str, Any], value: float) -> bool:
    return score["low"] is not None and score["low"] <= value <= score["high"]
