"""metrics.json of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ignite.engine import Engine, Events

from medkit import contracts as c
from medkit.errors import DataError
from medkit.files import write_json
from medkit.handlers import merged
from medkit.metrics import classification_scores, localization_scores
from medkit_report.counted import counted, with_counts
from medkit_report.order import in_input_order
from medkit_report.rows import array, assessed

_KEPT = (c.LABEL, c.PROBABILITIES, c.PRESENT, c.BOXES, c.PREDICTED_BOXES, c.PREDICTED_BOXES_BY_RULE, c.FRAME_SIZE)


class MetricsFile:
    """Ignite handler that writes all scores of a labelled run, each ``{value, low, high, n}``.

    The file holds what `medkit.metrics.classification_scores` gives (``auroc.macro``, ``auroc.per_class.<finding>``,
    …), under ``localization`` what `medkit.metrics.localization_scores` gives, with ``by_rule`` for the boxes that
    needed no boxes for fitting, and ``images``, ``patients``, ``synthetic`` (some image was made by a program) and
    ``not_read``: the files that count in no score, with their status and reason.

    An image on which nobody drew boxes and one that has none look alike here; its label tells them apart, finding by
    finding (see `localization_scores`).

    Args:
        path: the JSON file.
        findings: the names of the classes, in the network's order.
        multiclass: the classes exclude each other: ``accuracy`` and ``confusion`` are measured too.
        negative: with ``multiclass``, the class that means that nothing was found: ``accuracy_any`` too.
        resamples: of patients, for the 95 % intervals.
        seed: of the resamples and of the random-box control.

    Raises:
        DataError: no image could be assessed, samples lack probabilities or operating points, or samples are missing.

    Example:
        ```yaml
        - _target_: medkit.handler
          component: metrics_file
          path: "$@output_dir + '/metrics.json'"
          findings: "@findings"
        ```
    """

    def __init__(
        self,
        path: str,
        findings: Sequence[str],
        *,
        multiclass: bool = False,
        negative: str | None = None,
        resamples: int = 1000,
        seed: int = 0,
    ) -> None:
        self.path = Path(path)
        self.findings = list(findings)
        self.multiclass = multiclass
        self.negative = negative
        self.resamples = resamples
        self.seed = seed
        self._records: list[dict[str, Any]] = []

    def attach(self, engine: Engine) -> None:
        """Register with an evaluator, behind its post-processing."""
        engine.add_event_handler(Events.STARTED, self._records.clear)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.COMPLETED, self._finish)

    def _collect(self, engine: Engine) -> None:
        for sample in merged(engine):
            status, reason = assessed(sample, self.findings)
            if status == "ok" and c.PRESENT not in sample:
                raise DataError(f'samples have no "{c.PRESENT}": add threshold_search, or another step that decides')
            record = {"status": status, "reason": reason, c.FILE: str(sample[c.FILE])}
            record |= {c.PATIENT: str(sample[c.PATIENT]), c.SYNTHETIC: bool(sample[c.SYNTHETIC])}
            self._records.append(record | {key: array(sample[key]) for key in _KEPT if key in sample})

    def _finish(self, engine: Engine) -> None:
        records = in_input_order(engine, self._records)
        if records is not None:
            write_json(self.path, self._scores(records))

    def _scores(self, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        read = counted(records)
        labels, probabilities, present = (np.stack([r[k] for r in read]) for k in (c.LABEL, c.PROBABILITIES, c.PRESENT))
        patients = [record[c.PATIENT] for record in read]
        options: dict[str, Any] = {"resamples": self.resamples, "seed": self.seed}
        kind: dict[str, Any] = {"multiclass": self.multiclass, "negative": self.negative}
        scores = classification_scores(labels, probabilities, present > 0, self.findings, patients, **kind, **options)
        if c.PREDICTED_BOXES in read[0]:
            scores["localization"] = localization_scores(read, self.findings, **options)
        if c.PREDICTED_BOXES_BY_RULE in read[0]:
            by_rule = localization_scores(read, self.findings, predicted=c.PREDICTED_BOXES_BY_RULE, **options)
            scores.setdefault("localization", {})["by_rule"] = by_rule
        return with_counts(records, scores)
