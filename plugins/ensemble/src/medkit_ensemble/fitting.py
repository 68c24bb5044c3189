"""What validation tables teach an ensemble: weights of its models, thresholds of its findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medkit.errors import ConfigError, DataError
from medkit_ensemble.methods import merged
from medkit_ensemble.models import Models
from medkit_ensemble.tables import some
from medkit_ensemble.thresholds import fit_thresholds
from medkit_ensemble.weights import fit_weights


@dataclass(frozen=True, slots=True)
class Fitted:
    """What was fitted.

    Attributes:
        weights: (M,), of sum 1; None where all count alike.
        thresholds: (K,) of the findings, or None.
        record: this and what it rests on, as JSON.
        notes: lines for whoever merges.
    """

    weights: np.ndarray | None
    thresholds: np.ndarray | None
    record: dict[str, Any]
    notes: Sequence[str]


def fit(models: Models, validation: Models, method: str, multiclass: bool, thresholds: bool) -> Fitted:
    """Return what ``validation`` teaches for merging ``models``.

    Args:
        models: what is to be merged.
        validation: the same models' tables of other images, with labels.
        method: ``fitted`` fits weights.
        multiclass: see `fit_weights`.
        thresholds: fit these, for highest F1.

    Raises:
        ConfigError: there are more tables of one than of the other.
        DataError: findings differ, an image is in both, or no label is known.
    """
    if len(validation.paths) != len(models.paths):
        raise ConfigError(
            f"merge_predictions: {len(models.paths)} files need as many validation_files, in the same order: found "
            f"{len(validation.paths)}"
        )
    if validation.findings != models.findings:
        raise DataError(
            f"{validation.paths[0]} has the findings {validation.findings}, {models.paths[0]} has {models.findings}"
        )
    if shared := models.shared(validation):
        raise DataError(f"{some(shared)}: in files and in validation_files; fit on other images than those you merge")
    labels = validation.labels()
    pairs = zip(models.paths, validation.paths)
    rows: list[dict[str, Any]] = [{"file": str(one), "validation_file": str(other)} for one, other in pairs]
    record: dict[str, Any] = {"method": method, "images": len(labels), "models": rows}
    weights, cuts, notes = None, None, []
    if method == "fitted":
        weights, losses = fit_weights(validation.probabilities(), labels, multiclass)
        for row, weight, loss in zip(rows, weights.tolist(), losses.pop("each_model")):
            row |= {"weight": weight, "log_loss": loss}
        record["log_loss"] = losses
        notes += [f"weight {row['weight']:.3f} of {row['file']}" for row in rows]
        notes += [f"log loss on {len(labels)} validation images {losses['equal_weights']:.4f} → {losses['fitted']:.4f}"]
    if thresholds:
        unseen = 1.0 if method == "rank_mean" else 0.5
        cuts, record["thresholds"] = fit_thresholds(
            merged(validation, method, weights)[0], labels, models.findings, unseen
        )
        always = [name for name, row in record["thresholds"].items() if row["positives"] and not row["negatives"]]
        notes += [f"threshold 0.5 where every validation image has it: {', '.join(always)}"] if always else []
        never = [name for name, row in record["thresholds"].items() if not row["positives"]]
        notes += [f"threshold {unseen:g} where validation has no image: {', '.join(never)}"] if never else []
    return Fitted(weights, cuts, record, notes)
