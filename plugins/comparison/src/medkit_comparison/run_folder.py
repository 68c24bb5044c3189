"""What one finished run has left behind: its predictions of the test images, and what it cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medkit.card import read_card
from medkit.checkpoint import read_checkpoint
from medkit.errors import DataError
from medkit.predictions import LABEL, read_predictions
from medkit.tables import read_rows

PREDICTIONS = "evaluation/predictions.csv"
_STAGES = {"train": "models/model.pt", "fit": "models/operating_points.json", "evaluate": PREDICTIONS}
"""Stage → a file that it makes, in order."""
_TRACES = ("run.json", "receipts", "configs", "models", "evaluation", "history.csv", "metrics.json", "problems.csv")
"""What any run leaves, however early it ended."""
_BUFFERS = ("running_mean", "running_var", "num_batches_tracked", "input_scaling", "average_image")
"""Keys of a state dictionary that end so are statistics of batches, public weights' input or images, not parameters."""


@dataclass(frozen=True, slots=True)
class Run:
    """N test images and K findings.

    Attributes:
        folder: of the run.
        findings: K names.
        files: N paths, as the run saw them.
        patients: N ids, or None where the predictions name no patient.
        labels: (N,K), 1 present, 0 absent, NaN unknown.
        predicted: (N,K) probabilities, or decisions 0 and 1; NaN where the image could not be assessed.
        synthetic: some image was made by a program.
        boxes: ``value, low, high, n`` of the hit rate at an IoU above 0.3, or None without boxes, or where the
            predictions are not those that ``metrics.json`` tells of.
        seconds: of training, or None without a history.
        parameters: of the network, or None without a model.
        training_images: that the model's card names, or None.
    """

    folder: Path
    findings: list[str]
    files: list[str]
    patients: list[str] | None
    labels: np.ndarray
    predicted: np.ndarray
    synthetic: bool
    boxes: dict[str, Any] | None
    seconds: float | None
    parameters: int | None
    training_images: int | None


def read_run(folder: Path, path: Path, column: str) -> Run:
    """Read a run's folder; what it cost is None where the files that tell are missing.

    Args:
        folder: of the run.
        path: its predictions.
        column: ``probability`` or ``present``: the columns to read beside ``label_…``.

    Raises:
        DataError: it is no run, a stage has not run, or a file cannot be read.
        CheckpointError: the model or its card is damaged.
    """
    _require_finished(folder, path)
    table = read_predictions(path)
    known = table.findings(f"{column}_")
    findings = [name for name in table.findings(LABEL) if name in known]
    if not findings:
        raise DataError(f"{path} has no columns label_… and {column}_…: evaluate labelled images with what makes both")
    model = folder / _STAGES["train"]
    card = read_card(model) if model.is_file() else None
    return Run(
        folder,
        findings,
        table.files,
        [row["patient_id"] for row in table.rows] if "patient_id" in table.rows[0] else None,
        table.numbers(LABEL, findings),
        table.numbers(f"{column}_", findings),
        any(row.get("synthetic") == "1" for row in table.rows),
        _boxes(folder / "metrics.json") if path == folder / PREDICTIONS else None,
        _seconds(folder / "history.csv"),
        _parameters(model) if model.is_file() else None,
        card.images if card else None,
    )


def _require_finished(folder: Path, path: Path) -> None:
    if path.is_file():
        return
    if not any((folder / name).exists() for name in _TRACES):
        what = "is no run: it holds none of what medkit run leaves" if folder.is_dir() else "is no folder"
        raise DataError(f"{folder} {what}: name a folder such as runs/BUNDLE/latest")
    if path != folder / PREDICTIONS:
        raise DataError(f"{path} is not there: run the stage that makes it")
    stage, file = next(item for item in _STAGES.items() if not (folder / item[1]).is_file())
    raise DataError(f"{folder} is not finished: stage {stage} has not made {file}: run the bundle to its end")


def _boxes(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        score: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        score = score.get("localization", {}).get("hit_rate_iou_0_3") or {"value": None}
        return None if score["value"] is None else {key: score[key] for key in ("value", "low", "high", "n")}
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise DataError(f"{path} is no metrics.json: {error}: run the stage evaluate again") from error


def _seconds(path: Path) -> float | None:
    if not path.is_file():
        return None
    try:
        return sum(float(row["seconds"]) for row in read_rows(path))
    except (KeyError, ValueError) as error:
        raise DataError(f'{path} has no number in a column "seconds" ({error}): run the stage train again') from error


def _parameters(path: Path) -> int:
    """Return how many numbers the network can learn; buffers are told by their names and types alone."""
    state = read_checkpoint(path, "meta")
    return sum(
        value.numel() for key, value in state.items() if value.is_floating_point() and not key.endswith(_BUFFERS)
    )
