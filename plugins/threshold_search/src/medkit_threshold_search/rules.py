"""What the choice of a threshold rule is worth: each fitted on validation predictions, measured on test predictions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from medkit.errors import ConfigError, DataError, did_you_mean
from medkit.files import write_json
from medkit.metrics import classification_scores
from medkit.predictions import LABEL, PRESENT, PROBABILITY, Row, read_predictions
from medkit.tables import write_csv
from medkit_threshold_search.search import FIXED, RULES, operating_point

_COLUMNS = ("rule", "finding", "threshold", "validation_positives", "positives", "tp", "fp", "fn", "tn")


class Predicted(NamedTuple):
    """A predictions.csv of labelled images: its rows, and of the N that were assessed (N,K) numbers.

    Attributes:
        findings: K names.
        rows: all of the file.
        assessed: N numbers of rows.
        probabilities: (N,K).
        labels: (N,K), 1, 0 or NaN.
    """

    findings: list[str]
    rows: Sequence[Row]
    assessed: list[int]
    probabilities: np.ndarray
    labels: np.ndarray


class ThresholdRules:
    """Writer that applies threshold rules to finished predictions and compares their macro F1.

    Each rule's thresholds, one a finding, are those that are best on the validation table. They are applied to the
    test table: ``output_dir/RULE/predictions.csv`` is that table with other ``present_…`` columns. ``rules.json`` holds
    for every rule ``f1`` (``macro`` and ``per_class`` with 95 % intervals and counts of positives), ``thresholds`` and
    ``not_fitted``: the findings of which validation has no positive or no negative, whose threshold stays at 0.5.
    ``not_measurable`` are those without a test positive; they are in no mean. ``rules.csv`` has a line a rule and
    finding with its counts.

    Args:
        validation: predictions.csv of labelled validation images.
        test: predictions.csv of labelled test images.
        output_dir: the folder to write to.
        findings: K names; by default those of the validation table.
        rules: which to compare: ``fixed`` (0.5) and those of `medkit_threshold_search.search.operating_point`.
        sensitivity: for the rule of that name.
        resamples: of patients, for the intervals.
        seed: of the resamples.

    Raises:
        ConfigError: a rule is unknown.
        DataError: a table cannot be read, lacks a finding, has no assessed image, or a wrong probability or label.

    Example:
        ```yaml
        rules:
          _target_: medkit.handler
          component: threshold_rules
          validation: "$@output_dir + '/validation/predictions.csv'"
          test: "$@output_dir + '/evaluation/predictions.csv'"
          output_dir: "$@output_dir + '/rules'"
        run: ["$@rules.run()"]
        ```
    """

    def __init__(
        self,
        validation: str,
        test: str,
        output_dir: str,
        findings: Sequence[str] | None = None,
        *,
        rules: Sequence[str] = (FIXED, "f1", "f1_both", "youden"),
        sensitivity: float = 0.9,
        resamples: int = 1000,
        seed: int = 0,
    ) -> None:
        for rule in rules:
            if rule not in (known := (FIXED, *RULES)):
                raise ConfigError(
                    f'threshold_rules: "{rule}" is no rule.{did_you_mean(str(rule), known)} Rules: {", ".join(known)}.'
                )
        self.validation, self.test, self.output_dir = Path(validation), Path(test), Path(output_dir)
        self.findings, self.rules, self.sensitivity = findings, list(rules), sensitivity
        self.options = {"resamples": resamples, "seed": seed}

    def run(self) -> Path:
        """Write everything and return the path of ``rules.json``."""
        validation = _read(self.validation, self.findings)
        findings = validation.findings
        test = _read(self.test, findings)
        sides = [(labels == 1, labels == 0) for labels in validation.labels.T]
        not_fitted = [name for name, side in zip(findings, sides) if not all(part.any() for part in side)]
        results: dict[str, Any] = {"images": len(test.assessed), "not_fitted": not_fitted, "rules": {}}
        lines: list[dict[str, Any]] = []
        patients = [test.rows[n].get("patient_id") or test.rows[n]["file"] for n in test.assessed]
        for rule in self.rules:
            thresholds = np.array(
                [self._threshold(rule, *columns) for columns in zip(validation.probabilities.T, sides)], np.float64
            )
            present = test.probabilities >= thresholds
            scores = classification_scores(test.labels, test.probabilities, present, findings, patients, **self.options)
            results["rules"][rule] = {"f1": scores["f1"], "thresholds": dict(zip(findings, thresholds.tolist()))}
            results["not_measurable"] = [f for f in findings if not scores["f1"]["per_class"][f]["n"]]
            for name, threshold, (positive, _) in zip(findings, thresholds, sides):
                about = {"rule": rule, "finding": name, "threshold": f"{threshold:.6g}"}
                about |= {
                    "validation_positives": int(positive.sum()),
                    "positives": scores["f1"]["per_class"][name]["n"],
                }
                lines.append(about | scores["counts"]["per_class"][name])
            write_csv(self.output_dir / rule / "predictions.csv", list(test.rows[0]), _decided(test, findings, present))
        write_csv(self.output_dir / "rules.csv", _COLUMNS, lines)
        write_json(self.output_dir / "rules.json", results)
        return self.output_dir / "rules.json"

    def _threshold(self, rule: str, scores: np.ndarray, sides: tuple[np.ndarray, np.ndarray]) -> float:
        positive, negative = (scores[side] for side in sides)
        if rule == FIXED or not positive.size or not negative.size:
            return 0.5
        return operating_point(positive, negative, rule, self.sensitivity)


def _read(path: Path, findings: Sequence[str] | None) -> Predicted:
    table = read_predictions(path)
    findings = table.findings() if findings is None else list(findings)
    probabilities, labels = table.numbers(PROBABILITY, findings, required=True), table.numbers(LABEL, findings)
    assessed = np.flatnonzero(table.assessed)
    if not assessed.size:
        raise DataError(f"{path}: none of its {len(table.rows)} images was assessed: see its reasons")
    return Predicted(findings, table.rows, assessed.tolist(), probabilities[assessed], labels[assessed])


def _decided(test: Predicted, findings: Sequence[str], present: np.ndarray) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of the table with these decisions."""
    decisions = dict(zip(test.assessed, present))
    for n, row in enumerate(test.rows):
        said = {f"{PRESENT}{name}": int(value) for name, value in zip(findings, decisions.get(n, ()))}
        yield {**row, **said}
