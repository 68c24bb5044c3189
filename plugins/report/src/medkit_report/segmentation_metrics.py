"""segmentation/metrics.json of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events

from medkit.files import write_json
from medkit.handlers import merged
from medkit.segmentation import segmentation_scores
from medkit_report.counted import counted, with_counts
from medkit_report.order import in_input_order
from medkit_report.segmentation_rows import segmentation_row


class SegmentationMetrics:
    """Ignite handler that writes how well masks agree with the truth, before and after the gate.

    The file holds what `medkit.segmentation.segmentation_scores` gives, from the rows that ``segmentation.csv`` has,
    and ``images``, ``patients``, ``synthetic`` (some image was made by a program) and ``not_read``: the files that
    count in no score, with their status and reason.

    Args:
        path: the JSON file.
        resamples: of patients, for the 95 % intervals.
        seed: of the resamples.

    Raises:
        DataError: no image could be assessed, samples lack masks, or samples are missing.

    Example:
        ```yaml
        - {_target_: medkit.handler, component: segmentation_metrics, path: "$@output_dir + '/metrics.json'"}
        ```
    """

    def __init__(self, path: str, *, resamples: int = 1000, seed: int = 0) -> None:
        self.path = Path(path)
        self.resamples = resamples
        self.seed = seed
        self._rows: list[dict[str, Any]] = []

    def attach(self, engine: Engine) -> None:
        """Register with an evaluator, behind its post-processing."""
        engine.add_event_handler(Events.STARTED, self._rows.clear)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.COMPLETED, self._finish)

    def _collect(self, engine: Engine) -> None:
        self._rows += [segmentation_row(sample, None) for sample in merged(engine)]

    def _finish(self, engine: Engine) -> None:
        rows = in_input_order(engine, self._rows)
        if rows is not None:
            scores = segmentation_scores(counted(rows), resamples=self.resamples, seed=self.seed)
            write_json(self.path, with_counts(rows, scores))
