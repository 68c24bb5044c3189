"""One self-contained page of a run."""

from __future__ import annotations

import base64
import datetime
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from tqdm import tqdm

from medkit.errors import ConfigError, did_you_mean, root_cause
from medkit.files import whole
from medkit_report.cards import Card, cards_of, illustrate, printable
from medkit_report.charts import learning_curves
from medkit_report.look_alikes import look_alikes
from medkit_report.performance import class_rows, headlines, segmentation_rows
from medkit_report.pictures import photograph
from medkit_report.run_folder import RunFolder


class HtmlReport:
    """Writer of ``report.html``: a run's findings, boxes, heat maps, outlines and scores in one file alone.

    It reads ``predictions.csv`` in ``run_dir`` and, where they exist, ``boxes.csv``, ``heatmaps.json``,
    ``segmentation.csv`` with its masks, ``problems.csv`` and ``run.json``; from ``model_dir`` the model's
    ``metrics.json``, ``segmentation/metrics.json``, ``evaluation/predictions.csv`` (ROC curves), ``history.csv``
    (training curves), ``look_alikes/`` (`medkit.lookalikes`), ``models/model.pt`` with its card, and, as `medkit.Fit`
    writes it, ``models/operating_points.json`` with a part ``operating_points``.

    It is the only thing that reopens image files, and it shows one that cannot be reopened as such. The page loads
    nothing from anywhere: images are embedded, and its content security policy forbids any other script than its own.

    Args:
        run_dir: the run that is reported; the page goes here.
        findings: the names of the classes, in the network's order.
        reader: a MONAI image reader that gives (1,H,W) in 0…1, and facts about the file under ``source``.
        title: of the page.
        bundle_name: shown in the header; by default what ``run.json`` says.
        model_dir: the run that made the model; by default ``run_dir``.
        output: the page's file name.
        max_images: images that are embedded, in input order; the others are in the table only.
        max_side: of an embedded image, in pixels.
        max_megabytes: stop embedding when the images need this much.
        negative: the class that means that nothing was found: it is no finding.
        gate: the JSON file in which `medkit.Fit` stored the gate, for its threshold.
        data_dir: the folder that paths in ``look_alikes/`` are relative to; with it, some pairs are shown,
            unless another run made the model.
        quiet: no progress bar.

    Raises:
        ConfigError: ``negative`` is no finding.
        DataError: there is no predictions.csv, or it is about other findings.

    Example:
        ```yaml
        report:
          _target_: medkit.handler
          component: html_report
          run_dir: "@output_dir"
          findings: "@findings"
          reader: {_target_: medkit.transform, component: dicom_bitmap_reader}
        run: ["$@report.run()"]
        ```
    """

    def __init__(
        self,
        run_dir: str,
        findings: Sequence[str],
        reader: Any,
        *,
        title: str = "Findings",
        bundle_name: str | None = None,
        model_dir: str | None = None,
        output: str = "report.html",
        max_images: int = 200,
        max_side: int = 768,
        max_megabytes: float = 36,
        negative: str | None = None,
        gate: str | None = None,
        data_dir: str | None = None,
        quiet: bool = False,
    ) -> None:
        if negative is not None and negative not in findings:
            hint = did_you_mean(negative, findings)
            raise ConfigError(f'negative "{negative}" is none of the findings {", ".join(findings)}.{hint}')
        self.run_dir = Path(run_dir)
        self.model_dir = Path(model_dir) if model_dir else self.run_dir
        self.findings = list(findings)
        self.reader = reader
        self.title = title
        self.bundle_name = bundle_name
        self.output = output
        self.max_images = max_images
        self.max_side = max_side
        self.max_bytes = max_megabytes * 1e6
        self.negative = negative
        self.gate = Path(gate) if gate else None
        self.data_dir = Path(data_dir) if data_dir else None
        self.quiet = quiet

    def run(self) -> Path:
        """Write the page and return its path."""
        folder = RunFolder.read(self.run_dir, self.model_dir, self.findings, self.gate)
        cards = cards_of(folder, self.findings, self.negative)
        self._embed(cards, folder)
        page = self.run_dir / self.output
        with whole(page) as temporary:
            temporary.write_text(self._render(folder, cards), encoding="utf-8", errors="replace")
        return page

    def _embed(self, cards: Sequence[Card], folder: RunFolder) -> None:
        """Give the first cards their pictures, until there are enough of them or they need too much room."""
        room = self.max_bytes
        files = [row["file"] for row in folder.predictions]
        for card, file in tqdm(
            zip(cards[: self.max_images], files), "report", min(len(cards), self.max_images), disable=self.quiet
        ):
            if room <= 0:
                break
            card.embedded = True
            try:
                picture = photograph(self.reader, file, self.max_side)
            except Exception as error:  # a reader may raise anything, and one file must not cost the page
                reason = " ".join(str(root_cause(error)).split()) or type(error).__name__
                card.trouble = printable(reason.replace(file, card.name))[:300]
                continue
            index = card.number - 1
            boxes, segmented = folder.boxes.get(file, []), folder.segmentation.get(file)
            illustrate(card, picture, boxes, folder.heatmaps.get(index, []), segmented, self.run_dir)
            room -= len(card.picture) + sum(len(drawn.uri) for drawn in card.maps)
            room -= len(card.outline.path) if card.outline else 0

    def _render(self, folder: RunFolder, cards: Sequence[Card]) -> str:
        environment = Environment(
            loader=PackageLoader("medkit_report", "page"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        source = environment.loader
        assert source is not None
        script = source.get_source(environment, "report.js")[0]
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
        states = {state: [card for card in cards if card.status == state] for state in ("ok", "not_assessed", "error")}
        synthetic_images = sum(card.synthetic for card in cards)
        return environment.get_template("report.html.j2").render(
            title=self.title,
            bundle=self.bundle_name or folder.run.get("title") or folder.run.get("bundle") or "",
            created=folder.run.get("created") or datetime.datetime.now().astimezone().isoformat(timespec="minutes"),
            findings=self.findings,
            negative=self.negative,
            folder=folder,
            cards=cards,
            embedded=[card for card in cards if card.embedded],
            states=states,
            with_findings=[card for card in cards if card.present],
            synthetic_images=synthetic_images,
            synthetic=synthetic_images > 0 or folder.synthetic_model,
            headlines=headlines(folder.metrics),
            segmentation=segmentation_rows(folder.segmentation_metrics),
            alike=look_alikes(self.model_dir / "look_alikes", None if folder.elsewhere else self.data_dir, self.reader),
            classes=class_rows(folder.metrics, folder.evaluation, self.findings),
            curves=learning_curves(folder.history),
            printable=printable,
            style=source.get_source(environment, "report.css")[0],
            script=script,
            script_digest=digest,
        )
