"""The checkpoint that made the predictions, and what its probabilities are worth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medkit.card import read_card
from medkit.errors import CheckpointError, ConfigError, DataError
from medkit.files import sha256
from medkit_self_training.predictions import Predictions

_ROUNDING = 1e-5
"""Probabilities in a table have six digits."""


def teacher_sha256(teacher: str | Path, findings: Sequence[str]) -> str:
    """Return the hash of a checkpoint that knows ``findings``.

    Raises:
        CheckpointError: it is missing, has no card with labels, or was trained for other findings.
    """
    path = Path(teacher)
    if not path.is_file():
        raise CheckpointError(f"teacher {path} is not there: run the stage that trains it")
    card = read_card(path)
    if card is None or card.labels is None:
        raise CheckpointError(f"teacher {path} has no card that names its findings: write one with write_card")
    if card.labels != list(findings):
        asked = ", ".join(findings)
        raise CheckpointError(f"teacher {path} knows {', '.join(card.labels)}; {asked} were asked for: use its own")
    return card.sha256


def require_calibrated(
    operating_points: str | Path, teacher: str | Path, tables: Sequence[Predictions], findings: Sequence[str]
) -> None:
    """Refuse predictions that did not come through a calibration that was fitted for the teacher.

    Where the operating points hold thresholds, ``present`` of each table must be what they make of its probabilities.

    Args:
        operating_points: of `medkit.Fit`, with the part ``threshold_search``.
        teacher: the checkpoint.
        tables: its predictions.
        findings: K names.

    Raises:
        CheckpointError: the file is missing or was fitted for another checkpoint.
        ConfigError: it holds no calibration.
        DataError: a table was made without it.
    """
    try:
        stored = json.loads(Path(operating_points).read_text(encoding="utf-8"))
        fitted_for, parts = stored["checkpoint_sha256"], stored["parts"]
        state = next((part for part in parts.values() if "calibration" in part), {"calibration": "none"})
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{operating_points} cannot be read ({error}): run the fit stage") from error
    if fitted_for != sha256(teacher):
        raise CheckpointError(f"{operating_points} was fitted for another checkpoint than {teacher}: run the fit stage")
    if state["calibration"] == "none":
        raise ConfigError(f"calibrated was asked for, {operating_points} holds no calibration: fit one, or turn it off")
    cuts = np.array([state["per_finding"].get(name, {}).get("threshold", np.nan) for name in findings])
    for table in tables:
        said = (table.probabilities >= cuts) == (table.present == 1)
        unsure = np.isnan(cuts) | np.isnan(table.present) | (np.abs(table.probabilities - cuts) < _ROUNDING)
        wrong = np.flatnonzero(~(said | unsure).all(axis=1))
        if wrong.size:
            raise DataError(
                f"{table.path} was not made with {operating_points}: {table.files[wrong[0]]} lies on another side of a "
                "threshold: predict with medkit.LoadFit"
            )
