"""One sample's rows: findings for predictions.csv, boxes in pixels and millimetres for boxes.csv."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medkit import contracts as c
from medkit.errors import DataError

BOX_COLUMNS = (
    *("file", "finding", "probability", "score", "x_min", "y_min", "x_max", "y_max"),
    *("width_mm", "height_mm", "spacing_tag", "frame_rows", "frame_columns"),
)


def prediction_columns(findings: Sequence[str], labelled: bool) -> list[str]:
    """Return the header of predictions.csv, the version last.

    ``labelled`` adds the patient, and a column of known labels a finding.
    """
    groups = ("probability", "present", "label") if labelled else ("probability", "present")
    about = ["file", "status", "reason", "synthetic", "synthetic_model", *(["patient_id"] if labelled else [])]
    return [*about, *(f"{group}_{name}" for group in groups for name in findings), "format"]


def array(value: Any, dtype: type = np.float64) -> np.ndarray:
    """Return a tensor of any device and precision, an array or a list as a numpy array."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().double().numpy()
    return np.asarray(value, dtype)


def assessed(sample: Mapping[str, Any], findings: Sequence[str]) -> tuple[str, str]:
    """Return status and reason; a prediction that is not a number is an error of its own.

    Raises:
        DataError: an assessed sample has no probabilities, or not one a finding.
    """
    status, reason = str(sample[c.STATUS]), str(sample[c.REASON])
    if status != "ok":
        return status, reason
    if c.PROBABILITIES not in sample:
        raise DataError(f'samples have no "{c.PROBABILITIES}": add the step that makes them, e.g. threshold_search')
    probabilities = array(sample[c.PROBABILITIES])
    if probabilities.shape != (len(findings),):
        raise DataError(f"{len(findings)} findings need as many probabilities, not {probabilities.shape}")
    return ("ok", "") if np.isfinite(probabilities).all() else ("error", "the network's output is not a number")


def prediction_row(sample: Mapping[str, Any], findings: Sequence[str]) -> dict[str, Any]:
    """Return a sample's row of predictions.csv; without an assessment its findings are absent, never 0."""
    status, reason = assessed(sample, findings)
    row: dict[str, Any] = {
        "file": str(sample[c.FILE]),
        "status": status,
        "reason": reason,
        "synthetic": int(sample[c.SYNTHETIC]),
        "format": c.PREDICTIONS_FORMAT,
    }
    if status == "ok":
        row |= {f"probability_{n}": f"{p:.6g}" for n, p in zip(findings, array(sample[c.PROBABILITIES]), strict=True)}
        present = sample.get(c.PRESENT)
        if present is not None:
            row |= {f"present_{n}": int(p) for n, p in zip(findings, array(present), strict=True)}
    label = sample.get(c.LABEL)
    if label is not None:
        row["patient_id"] = str(sample.get(c.PATIENT, ""))
        row |= {f"label_{n}": int(v) for n, v in zip(findings, array(label), strict=True) if not np.isnan(v)}
    return row


def box_rows(sample: Mapping[str, Any], findings: Sequence[str]) -> list[dict[str, Any]]:
    """Return a sample's rows of boxes.csv, in the order in which they were predicted."""
    boxes = array(sample.get(c.PREDICTED_BOXES, np.empty((0, 6)))).reshape(-1, 6)
    probabilities = array(sample[c.PROBABILITIES])
    frame = array(sample[c.FRAME_SIZE])
    spacing, tag = frame_spacing(json.loads(sample[c.SOURCE]), frame)
    rows = []
    for finding, x_min, y_min, x_max, y_max, score in boxes:
        row: dict[str, Any] = {
            "file": str(sample[c.FILE]),
            "finding": findings[int(finding)],
            "probability": f"{probabilities[int(finding)]:.6g}",
            "score": f"{score:.6g}",
            **{k: f"{v:.2f}" for k, v in zip(("x_min", "y_min", "x_max", "y_max"), (x_min, y_min, x_max, y_max))},
            "frame_rows": f"{frame[0]:g}",
            "frame_columns": f"{frame[1]:g}",
        }
        if spacing is not None:
            row["width_mm"] = f"{(x_max - x_min) * spacing[1]:.1f}"
            row["height_mm"] = f"{(y_max - y_min) * spacing[0]:.1f}"
            row["spacing_tag"] = tag
        rows.append(row)
    return rows


def frame_spacing(source: Mapping[str, Any], frame: np.ndarray) -> tuple[np.ndarray | None, str]:
    """Return (row, column) millimetres a pixel of the *frame*, and the tag they come from; None where unknown.

    ``spacing_mm`` is of the file's own pixels: a frame of more pixels over the same image has smaller ones.
    """
    spacing, tag = source.get("spacing_mm"), str(source.get("spacing_tag") or "")
    size = [source.get("rows"), source.get("columns")]
    if not spacing or not tag or None in size or not np.isfinite(frame).all():
        return None, ""
    scaled = np.asarray(spacing, np.float64) * np.asarray(size, np.float64) / frame
    return (scaled, tag) if np.isfinite(scaled).all() and (scaled > 0).all() else (None, "")
