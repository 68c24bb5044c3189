"""A teacher's most confident predictions, as labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medkit import contracts as c
from medkit.errors import ConfigError, DataError
from medkit.files import write_json
from medkit.tables import write_csv
from medkit_self_training.apart import require_apart
from medkit_self_training.predictions import Predictions, read_predictions
from medkit_self_training.selection import most_confident, precision
from medkit_self_training.teacher import require_calibrated, teacher_sha256


class PseudoLabels:
    """Writer of pseudo_labels.csv: for each finding the most confident predictions of a teacher on unlabelled images.

    The ``fraction`` of the images with the highest probability become 1, as many with the lowest 0, all others stay
    unknown. Columns: ``file``, the findings (1, 0, blank), ``teacher_sha256``, ``round`` and ``probability_…`` of each
    label that was kept. An image without a label has no row.

    First the same rule is applied to the teacher's predictions on held-out labelled images. A JSON file beside the
    table holds, for each finding and each end, how many labels were kept, the probability of the least confident of
    them, and under ``held_out`` the share of right ones, with Wilson's interval and counts.

    With ``calibrated``, probabilities must come through a calibration that was fitted for the teacher, and a label is
    kept only where its own probability (that of absence is one minus the finding's) is at least ``confidence``. As
    calibration keeps the order within a finding, it can only take labels away.

    Args:
        predictions: the teacher's predictions.csv over unlabelled images.
        teacher: its checkpoint, with a card.
        findings: K names, in the order of the teacher's outputs.
        output: the table to write; the JSON file has the same name, ending in ``.json``.
        held_out: the teacher's predictions.csv over labelled images that it has not learnt from.
        trained_on: the labelled samples that the teacher has learnt from, so that they can be refused elsewhere.
        never: samples that must not be learnt from, such as test images; refused among the unlabelled ones.
        fraction: share of the images at each end, above 0 and at most 0.5.
        calibrated: see above.
        confidence: with ``calibrated``: the least probability of a label, from 0.5 to 1.
        operating_points: with ``calibrated``: of `medkit.Fit`; default: operating_points.json beside the teacher.
        round: which round of self-training this is, from 1 on.

    Raises:
        ConfigError: an option has an impossible value; ``calibrated`` without a calibration.
        CheckpointError: the teacher is missing or was trained for other findings.
        DataError: a table is wrong or empty; an unlabelled image is labelled, or was trained on; a held-out one was
            trained on, or has no label.

    Example:
        ```yaml
        pseudo_labels:
          _target_: medkit.handler
          component: pseudo_labels
          predictions: "$@output_dir + '/round1/unlabelled/predictions.csv'"
          held_out: "$@output_dir + '/round1/held_out/predictions.csv'"
          teacher: "$@output_dir + '/round1/model.pt'"
          trained_on: "@labelled"
          findings: "@findings"
          output: "$@output_dir + '/round1/pseudo_labels.csv'"
        run: ["$@pseudo_labels.run()"]
        ```
    """

    def __init__(
        self,
        predictions: str,
        teacher: str,
        findings: Sequence[str],
        output: str,
        *,
        held_out: str,
        trained_on: Sequence[c.Sample] | None = None,
        never: Sequence[c.Sample] | None = None,
        fraction: float = 0.05,
        calibrated: bool = False,
        confidence: float = 0.9,
        operating_points: str | None = None,
        round: int = 1,
    ) -> None:
        if not 0 < fraction <= 0.5:
            raise ConfigError(f"pseudo_labels: fraction {fraction}: give a share at each end above 0, at most 0.5")
        if not 0.5 <= confidence <= 1:
            raise ConfigError(f"pseudo_labels: confidence {confidence}: give a probability from 0.5 to 1")
        if round < 1:
            raise ConfigError(f"pseudo_labels: round {round}: rounds count from 1")
        self.predictions, self.held_out = predictions, held_out
        self.teacher = Path(teacher)
        self.findings = list(findings)
        self.output = Path(output)
        self.trained_on = [str(sample[c.IMAGE]) for sample in trained_on or []]
        self.never = [str(sample[c.IMAGE]) for sample in never or []]
        self.fraction = fraction
        self.confidence = confidence if calibrated else None
        self.operating_points = operating_points or self.teacher.with_name("operating_points.json")
        self.round = round

    def run(self) -> Path:
        """Write both files and return the table's path."""
        sha256 = teacher_sha256(self.teacher, self.findings)
        unlabelled = read_predictions(self.predictions, self.findings)
        held_out = read_predictions(self.held_out, self.findings)
        self._check(unlabelled, held_out)
        labels = np.stack([self._chosen(p) for p in unlabelled.probabilities.T], axis=1)
        facts = {
            **{"round": self.round, "teacher_sha256": sha256, "fraction": self.fraction},
            **{"calibrated": self.confidence is not None, "confidence": self.confidence},
            **{"unlabelled_images": len(unlabelled.files), "held_out_images": len(held_out.files)},
            "pseudo_labelled_images": int((~np.isnan(labels)).any(axis=1).sum()),
            "per_finding": {
                name: self._measured(labels[:, k], unlabelled.probabilities[:, k], held_out, k)
                for k, name in enumerate(self.findings)
            },
        }
        rows = []
        for file, given, probabilities in zip(unlabelled.files, labels, unlabelled.probabilities):
            kept = [(name, int(g), p) for name, g, p in zip(self.findings, given, probabilities) if not np.isnan(g)]
            if kept:
                row: dict[str, Any] = {"file": file, "teacher_sha256": sha256, "round": self.round}
                row |= {name: label for name, label, _ in kept}
                rows.append(row | {f"probability_{name}": f"{p:.6g}" for name, _, p in kept})
        columns = ["file", *self.findings, "teacher_sha256", "round"]
        write_json(self.output.with_suffix(".json"), facts)
        write_csv(self.output, columns + [f"probability_{name}" for name in self.findings], rows)
        return self.output

    def _chosen(self, probabilities: np.ndarray) -> np.ndarray:
        return most_confident(probabilities, self.fraction, self.confidence)

    def _measured(self, labels: np.ndarray, probabilities: np.ndarray, held_out: Predictions, k: int) -> dict[str, Any]:
        known = ~np.isnan(held_out.labels[:, k])
        given, truth = self._chosen(held_out.probabilities[known, k]), held_out.labels[known, k]
        ends = {}
        for end, value, least in (("present", 1, np.min), ("absent", 0, np.max)):
            kept = probabilities[labels == value]
            cut = float(least(kept)) if kept.size else None
            ends[end] = {"labels": kept.size, "probability": cut, "held_out": precision(given, truth, value)}
        return ends

    def _check(self, unlabelled: Predictions, held_out: Predictions) -> None:
        if (labelled := np.flatnonzero(~np.isnan(unlabelled.labels).all(axis=1))).size:
            file = unlabelled.files[labelled[0]]
            raise DataError(f"{unlabelled.path} has labels, of {file} for instance: give images without labels")
        if np.isnan(held_out.labels).all():
            raise DataError(f"{held_out.path} has no labels: give predictions of labelled images")
        take_out = "take labelled images out of the unlabelled ones"
        for labelled_files in (self.trained_on, held_out.files):
            require_apart(unlabelled.files, labelled_files, "unlabelled images are labelled ones", take_out)
        require_apart(unlabelled.files, self.never, "unlabelled images must not be learnt from", "take them out")
        learnt = "held-out images are among those that the teacher has learnt from"
        require_apart(held_out.files, self.trained_on, learnt, "hold out others")
        if self.confidence is not None:
            require_calibrated(self.operating_points, self.teacher, (unlabelled, held_out), self.findings)
