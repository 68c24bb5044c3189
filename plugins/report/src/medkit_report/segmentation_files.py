"""segmentation.csv and the masks of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ignite.engine import Engine, Events
from PIL import Image

from medkit import contracts as c
from medkit.handlers import merged
from medkit.masks import decode
from medkit.tables import write_csv
from medkit_report.new_folder import NewFolder
from medkit_report.order import in_input_order, position
from medkit_report.segmentation_rows import SEGMENTATION_COLUMNS, segmentation_row


class SegmentationFiles:
    """Ignite handler that writes one row an input file, in input order, none lost, and the masks.

    ``segmentation.csv`` says of every file what the gate decided, how large the masks are before and after it, and,
    where somebody drew the truth, how well each agrees with it (`medkit.segmentation.image_scores`; ``hd95`` in pixels
    of the frame, blank where one of the two masks is empty). A file that was not assessed or could not be read has a
    reason and no numbers. ``masks/`` has a PNG for every assessed file: the gated mask, 0 and 255, of the frame's size.

    Everything is renamed into place when the run has completed, as by `PredictionFiles`, and under torch.distributed
    the same rules hold.

    Args:
        output_dir: where to write; made if it is missing.
        findings: the names of the classes in the label's order, for the column ``label``.
        masks: write the masks too.

    Raises:
        DataError: samples lack masks, or fewer samples than the data set's arrived.

    Example:
        ```yaml
        - {_target_: medkit.handler, component: segmentation_files, output_dir: "@output_dir", findings: "@findings"}
        ```
    """

    def __init__(self, output_dir: str, findings: Sequence[str] | None = None, *, masks: bool = True) -> None:
        self.output_dir = Path(output_dir)
        self.findings = None if findings is None else list(findings)
        self.masks = masks
        self._folder = NewFolder(self.output_dir / "masks")
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
            row = segmentation_row(sample, self.findings)
            row["synthetic_model"] = int(getattr(engine.state, "synthetic_model", False))
            if self.masks and row["status"] == "ok":
                name = f"{position(len(self._rows)):06d}.png"  # never from the file's name, which may be a patient's
                grey = Image.fromarray(255 * decode(sample[c.GATED_MASK]).astype(np.uint8))
                grey.save(self._folder.beside / name)
                row["mask"] = f"masks/{name}"
            self._rows.append(row)

    def _finish(self, engine: Engine) -> None:
        rows = in_input_order(engine, self._rows)
        self._rows = []
        if rows is None:
            return
        # segmentation.csv says that the masks belong to it: it goes first and comes last.
        (self.output_dir / "segmentation.csv").unlink(missing_ok=True)
        if self.masks:
            self._folder.finish({Path(row["mask"]).name for row in rows if "mask" in row})
        else:
            self._folder.discard()
        write_csv(self.output_dir / "segmentation.csv", SEGMENTATION_COLUMNS, rows)
