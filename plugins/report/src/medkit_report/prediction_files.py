"""predictions.csv, boxes.csv and heat maps of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events

from medkit.files import write_json
from medkit.handlers import merged
from medkit.tables import write_csv
from medkit_report.heatmaps import grey, heatmap_record, shown_maps
from medkit_report.new_folder import NewFolder
from medkit_report.order import in_input_order, position
from medkit_report.rows import BOX_COLUMNS, box_rows, prediction_columns, prediction_row


class PredictionFiles:
    """Ignite handler that writes one row an input file, in input order, none lost.

    ``predictions.csv`` has a row for every file, also for one that was not assessed or could not be read: its
    probabilities are blank and its reason is filled. ``boxes.csv`` has a row for every box, in pixels of the frame that
    it names, and in millimetres where the file says how large a pixel is. ``heatmaps/`` has a grey PNG for every
    present finding (the most probable one where none is), and ``heatmaps.json`` says which and where it lies.

    Everything is renamed into place when the run has completed. A run that fails leaves the folder as it was.
    Attach it after whatever completes the samples, such as the evaluator's own post-processing.

    Under torch.distributed the first process writes the tables, and ``output_dir`` must be a folder that all share; the
    sampler must deal samples out in turn without shuffling, as PyTorch's does with ``shuffle=False``.

    Args:
        output_dir: where to write; made if it is missing.
        findings: the names of the classes, in the network's order.
        heatmaps: write heat maps too, where samples have maps.

    Raises:
        DataError: samples lack probabilities, or fewer samples than the data set's arrived.

    Example:
        ```yaml
        - {_target_: medkit.handler, component: prediction_files, output_dir: "@output_dir", findings: "@findings"}
        ```
    """

    def __init__(self, output_dir: str, findings: Sequence[str], *, heatmaps: bool = True) -> None:
        self.output_dir = Path(output_dir)
        self.findings = list(findings)
        self.heatmaps = heatmaps
        self._folder = NewFolder(self.output_dir / "heatmaps")
        self._rows: list[dict[str, Any]] = []

    def attach(self, engine: Engine) -> None:
        """Register with an evaluator, behind its post-processing."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.COMPLETED, self._finish)

    def _start(self) -> None:
        self._rows = []
        self._folder.start()

    def _collect(self, engine: Engine) -> None:
        for sample in merged(engine):
            row = prediction_row(sample, self.findings)
            row["synthetic_model"] = int(getattr(engine.state, "synthetic_model", False))
            ok = row["status"] == "ok"
            self._rows.append(
                {
                    "prediction": row,
                    "boxes": box_rows(sample, self.findings) if ok else [],
                    "heatmaps": self._draw(sample) if ok and self.heatmaps else [],
                }
            )

    def _draw(self, sample: dict[str, Any]) -> list[dict[str, Any]]:
        row = position(len(self._rows))
        records = []
        for rank, (finding, heatmap) in enumerate(shown_maps(sample, self.findings)):
            name = f"{row:06d}_{rank:02d}.png"  # never from the file's name, which may be a patient's
            grey(heatmap).save(self._folder.beside / name)
            records.append({"row": row, "png": f"heatmaps/{name}", **heatmap_record(sample, finding, heatmap)})
        return records

    def _finish(self, engine: Engine) -> None:
        rows = in_input_order(engine, self._rows)
        self._rows = []
        if rows is None:
            return
        predictions = [row["prediction"] for row in rows]
        labelled = any(f"label_{name}" in row for row in predictions for name in self.findings)
        # predictions.csv says that the rest belongs together: it goes first and comes last.
        (self.output_dir / "predictions.csv").unlink(missing_ok=True)
        if self.heatmaps:
            records = [record for row in rows for record in row["heatmaps"]]
            self._folder.finish({Path(record["png"]).name for record in records})
            write_json(self.output_dir / "heatmaps.json", records)
        else:
            (self.output_dir / "heatmaps.json").unlink(missing_ok=True)
            self._folder.discard()
        write_csv(self.output_dir / "boxes.csv", BOX_COLUMNS, [box for row in rows for box in row["boxes"]])
        write_csv(self.output_dir / "predictions.csv", prediction_columns(self.findings, labelled), predictions)
