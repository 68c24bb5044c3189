"""What a run left behind, read back for the report."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medkit.errors import DataError
from medkit.files import sha256
from medkit.tables import read_csv


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The files of a run; what is optional and missing is empty.

    Attributes:
        predictions: rows of predictions.csv.
        boxes: file → rows of boxes.csv.
        heatmaps: row of predictions.csv → records of heatmaps.json.
        segmentation: file → row of segmentation.csv.
        problems: rows of problems.csv.
        run: run.json.
        evaluation: rows of evaluation/predictions.csv of the run that made the model.
        metrics: its metrics.json.
        segmentation_metrics: its segmentation/metrics.json.
        history: its history.csv.
        card: the card beside the model's weights, with their ``sha256``.
        thresholds: finding → operating point.
        most_probable: there are no thresholds: one class is present, the most probable.
        gate_threshold: below it the gate is closed; None where nobody said.
        elsewhere: the model was made by another run than this one.
    """

    predictions: list[dict[str, str]]
    boxes: dict[str, list[dict[str, str]]]
    heatmaps: dict[int, list[dict[str, Any]]]
    segmentation: dict[str, dict[str, str]]
    problems: list[dict[str, str]]
    run: dict[str, Any]
    evaluation: list[dict[str, str]]
    metrics: dict[str, Any]
    segmentation_metrics: dict[str, Any]
    history: list[dict[str, str]]
    card: dict[str, Any]
    thresholds: dict[str, float]
    most_probable: bool
    gate_threshold: float | None
    elsewhere: bool

    @classmethod
    def read(cls, run_dir: Path, model_dir: Path, findings: Sequence[str], gate: Path | None = None) -> RunFolder:
        """Read both folders, and the gate's threshold where `medkit.Fit` stored it.

        Raises:
            DataError: there is no predictions.csv, it lacks a column, or a JSON file is not one.
        """
        if not (run_dir / "predictions.csv").is_file():
            raise DataError(f"{run_dir} has no predictions.csv: run the inference stage first")
        predictions = read_csv(run_dir / "predictions.csv")
        for name in ("file", "status", "reason", "synthetic", *(f"probability_{finding}" for finding in findings)):
            if predictions and name not in predictions[0]:
                raise DataError(f'{run_dir / "predictions.csv"} has no column "{name}": are these its findings?')
        boxes: dict[str, list[dict[str, str]]] = defaultdict(list)
        for box in read_csv(run_dir / "boxes.csv"):
            if box not in boxes[box["file"]]:  # a file that was given twice has its boxes twice
                boxes[box["file"]].append(box)
        heatmaps: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for record in _json(run_dir / "heatmaps.json", []):
            heatmaps[record["row"]].append(record)
        weights = model_dir / "models" / "model.pt"
        card = _json(weights.with_suffix(".json"), {})
        if weights.is_file():
            card["sha256"] = sha256(weights)
        fitted = _json(model_dir / "models" / "operating_points.json", {})
        part = fitted.get("parts", {}).get("operating_points", {})
        points = part.get("per_finding", {})
        gates = _json(gate, {}).get("parts", {}) if gate else {}
        return cls(
            predictions,
            dict(boxes),
            dict(heatmaps),
            {row["file"]: row for row in read_csv(run_dir / "segmentation.csv")},
            read_csv(run_dir / "problems.csv"),
            _json(run_dir / "run.json", {}),
            read_csv(model_dir / "evaluation" / "predictions.csv"),
            _json(model_dir / "metrics.json", {}),
            _json(model_dir / "segmentation" / "metrics.json", {}),
            read_csv(model_dir / "history.csv"),
            card,
            {finding: float(point["threshold"]) for finding, point in points.items() if "threshold" in point},
            part.get("rule") == "most_probable",
            next((float(part["threshold"]) for part in gates.values() if part.get("threshold") is not None), None),
            model_dir.resolve() != run_dir.resolve(),
        )

    @property
    def synthetic_model(self) -> bool:
        """The model learnt from synthetic images, as far as its card or run says."""
        return bool(self.card.get("synthetic") or self.run.get("synthetic_model"))


def _json(path: Path, default: Any) -> Any:
    if not path.is_file():
        return default
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is not JSON ({error}): remove it or run its stage again") from error
