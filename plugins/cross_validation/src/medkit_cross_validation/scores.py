"""The scores of a row and its paired differences from another, with 95 % intervals by patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medkit.errors import DataError
from medkit.intervals import Bootstrap, Score, macro_mean, ratio
from medkit_cross_validation.measured import Measured
from medkit_cross_validation.tested import Tested, require_same
from medkit_cross_validation.within_folds import WITHIN_FOLDS, auroc_within_folds

TITLES = {
    "segmentation": {
        "iou_all": "Mean IoU",
        "iou_lesion": "Mean IoU, lesion images",
        "iou_normal": "Mean IoU, normal images",
        "dice_all": "Dice",
        "hd95_lesion": "HD95 of lesions found (px)",
    },
    "classification": {
        "accuracy": "Accuracy",
        "accuracy_any": "Accuracy, anything or nothing",
        "auroc_macro": "AUROC, mean over classes",
    },
    "multilabel": {WITHIN_FOLDS: "AUROC within folds, mean over findings"},
}
"""The scores of a kind, in the order in which they are shown; ``multilabel`` has ``auroc_…`` of each finding too."""
_ROUNDING = 1e-12
"""What a sum of differences may be off from 0 by rounding alone."""


def titles_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return score → title of what rows of one kind have, in the order in which they are shown."""
    known, there = TITLES[rows[0]["kind"]], dict.fromkeys(name for row in rows for name in row["scores"])
    shown = [*(name for name in known if name in there), *(name for name in there if name not in known)]
    return {name: known.get(name, name.removeprefix("auroc_")) for name in shown}


def scores(tested: Measured, boot: Bootstrap) -> dict[str, dict[str, Any]]:
    """Return score → ``{value, low, high, n}``.

    Means over images; one of exactly 0 or 1 has the open end of `Bootstrap.proportion`. ``hd95_lesion`` rests on the
    lesions of which anything was found. ``auroc_macro`` is the mean over classes, each against the rest, and seeds.
    ``auroc_<finding>`` and ``auroc_within_folds``: see `auroc_within_folds`; ``n`` of a finding is its positives.
    """
    if tested.fold is not None:
        return {name: score.to_json() for name, score in _fold_scores(boot, tested, tested.labels).items()}
    out = {}
    for name, values in tested.per_image.items():
        if name == "hd95_lesion":  # pixels, no proportion
            out[name] = _mean(boot, values).to_json()
        else:
            out[name] = boot.proportion(np.nan_to_num(values), ~np.isnan(values), "no such image").to_json()
    if tested.classes:
        out["auroc_macro"] = _scored(boot, _auroc(boot, tested, tested.labels), tested.labels[:, 0]).to_json()
    return out


def differences(tested: Tested, other: Tested, boot: Bootstrap) -> dict[str, dict[str, Any]]:
    """Return score → ``{value, low, high, n, verdict}`` of ``tested`` − ``other`` over the images that count in both.

    ``verdict`` says where the interval lies: ``above 0``, ``below 0`` or ``includes 0``; it is empty without one.

    Raises:
        DataError: they are about different images or classes, or, for ``multilabel``, have other folds.
    """
    require_same(f'row "{tested.name}"', tested.images, f'row "{other.name}"', other.images)
    a, b = tested.measured, other.measured
    if a.classes != b.classes:
        raise DataError(f'rows "{tested.name}" and "{other.name}" are about different classes: compare like with like')
    gains = {name: _mean(boot, a.per_image[name] - b.per_image[name]) for name in a.per_image if name in b.per_image}
    if a.fold is not None:
        if (a.fold != b.fold).any():
            raise DataError(f'rows "{tested.name}" and "{other.name}" have other folds: compare models of one division')
        gains = _fold_scores(boot, a, a.labels + 0 * b.labels, b)
    elif a.classes:
        both = a.labels + 0 * b.labels  # NaN where either is
        gains["auroc_macro"] = _scored(boot, _auroc(boot, a, both) - _auroc(boot, b, both), both[:, 0])
    return {name: {**gain.to_json(), "verdict": _verdict(gain)} for name, gain in gains.items()}


def _mean(boot: Bootstrap, values: np.ndarray) -> Score:
    """Return the mean of the (N,) values that are not NaN."""
    means = ratio(*boot.totals(np.stack([np.nan_to_num(values), ~np.isnan(values)], axis=1)).T)
    return _scored(boot, means, values)


def _scored(boot: Bootstrap, drawn: np.ndarray, per_image: np.ndarray) -> Score:
    """Return the score of (R+1,) values that rest on the images whose (N,) ``per_image`` is not NaN."""
    return boot.score(drawn, int((~np.isnan(per_image)).sum()), "no such image")


def _auroc(boot: Bootstrap, tested: Measured, labels: np.ndarray) -> np.ndarray:
    """Return the (R+1,) macro AUROC: over the classes that the sample can measure, over seeds."""
    per_class = [
        np.mean([boot.ranking(label, seed[:, k])[0] for seed in tested.probabilities], axis=0)
        for k, label in enumerate(labels.T)
    ]
    return macro_mean(per_class, len(boot.counts))


def _fold_scores(
    boot: Bootstrap, tested: Measured, labels: np.ndarray, other: Measured | None = None
) -> dict[str, Score]:
    """Return the scores of a model for several findings an image, or their differences from ``other``'s."""
    drawn = auroc_within_folds(boot, tested, labels)
    if other is not None:
        theirs = auroc_within_folds(boot, other, labels)
        drawn = {name: values - theirs[name] for name, values in drawn.items()}
    macro = boot.score(
        drawn.pop(WITHIN_FOLDS), int((~np.isnan(labels).all(axis=1)).sum()), "no finding is in every fold"
    )
    positives = (labels == 1).sum(axis=0).tolist()
    each = {
        name: boot.score(values, n, "no fold has positives and negatives")
        for (name, values), n in zip(drawn.items(), positives)
    }
    return {WITHIN_FOLDS: macro, **each}


def _verdict(gain: Score) -> str:
    if np.isnan(gain.low):
        return ""
    return "above 0" if gain.low > _ROUNDING else "below 0" if gain.high < -_ROUNDING else "includes 0"
