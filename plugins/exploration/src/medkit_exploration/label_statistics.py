"""The labels of a data set, explored before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medkit.build import labels
from medkit.contracts import SYNTHETIC, Sample
from medkit.errors import DataError
from medkit.intervals import ratio
from medkit.tables import write_csv
from medkit_exploration.counts import co_occurrence, distribution
from medkit_exploration.plots import distribution_figure, heat_map_figure, save_figure

NO_FINDING = "no finding"
_DISTRIBUTION = ("section", "finding", "positive", "negative", "unknown")


class LabelStatistics:
    """Writer of what can be known from labels alone: nothing is read but the list of samples.

    Writes into ``output_dir``:

    - ``co_occurrence.csv`` and ``.png``: P(j|i), the share of the images with finding i (row) that show finding j
      (column) too; an image whose label of j is unknown is left out of that pair. A row has ``given`` (i), ``images``
      (that show i), and for every j ``<j>`` (P(j|i), blank where no image counts), ``both_<j>`` and ``of_<j>``, the
      two counts whose ratio it is. All sections together.
    - ``class_distribution.csv`` and ``.png``: ``section``, ``finding``, and the numbers of images ``positive``,
      ``negative`` and ``unknown``, with "no finding" as the last of each section: every label is 0.

    Args:
        data: the samples of a data set, or section → samples.
        findings: names of the labels, in their order.
        output_dir: where to write; made if it is missing.

    Raises:
        DataError: there are no samples, or they have another number of labels than there are findings.

    Example:
        ```yaml
        statistics:
          _target_: medkit.handler
          component: label_statistics
          data: {training: "@train#dataset#data", validation: "@validate#dataset#data"}
          findings: "@findings"
          output_dir: "$@output_dir + '/exploration'"
        run: ["$@statistics.run()"]
        ```
    """

    def __init__(
        self, data: Sequence[Sample] | Mapping[str, Sequence[Sample]], findings: Sequence[str], output_dir: str
    ) -> None:
        sections = data if isinstance(data, Mapping) else {"all": data}
        self.findings = list(findings)
        self.labels = {section: self._matrix(section, samples) for section, samples in sections.items()}
        self.synthetic = any(sample.get(SYNTHETIC, False) for samples in sections.values() for sample in samples)
        self.output_dir = Path(output_dir)

    def _matrix(self, section: str, samples: Sequence[Sample]) -> np.ndarray:
        if not samples:
            raise DataError(f'label_statistics: section "{section}" has no samples')
        found = {len(sample["label"]) for sample in samples if sample.get("label") is not None}
        if found != {len(self.findings)}:
            sizes = " or ".join(map(str, sorted(found))) or "no"
            raise DataError(
                f'label_statistics: samples of section "{section}" have {sizes} labels, '
                f"{len(self.findings)} findings were named: name each label, in their order"
            )
        return labels(samples)

    def run(self) -> Path:
        """Write everything and return ``output_dir``."""
        both, of = co_occurrence(np.concatenate(list(self.labels.values())))
        share = ratio(both, of)
        groups = ("", "both_", "of_")
        columns = ["given", "images", *(f"{group}{name}" for group in groups for name in self.findings)]
        given = [self._given(i, share, both, of) for i in range(len(both))]
        write_csv(self.output_dir / "co_occurrence.csv", columns, given)
        figure = heat_map_figure(share, np.diag(both), self.findings)
        save_figure(figure, self.output_dir / "co_occurrence.png", self.synthetic)
        counts = {section: distribution(matrix) for section, matrix in self.labels.items()}
        names = [*self.findings, NO_FINDING]
        rows = [
            dict(zip(_DISTRIBUTION, (section, name, *row)))
            for section, table in counts.items()
            for name, row in zip(names, table.tolist())
        ]
        write_csv(self.output_dir / "class_distribution.csv", _DISTRIBUTION, rows)
        figure = distribution_figure(counts, names)
        save_figure(figure, self.output_dir / "class_distribution.png", self.synthetic)
        return self.output_dir

    def _given(self, i: int, share: np.ndarray, both: np.ndarray, of: np.ndarray) -> dict[str, Any]:
        row: dict[str, Any] = {"given": self.findings[i], "images": both[i, i]}
        for j, name in enumerate(self.findings):
            row |= {name: f"{share[i, j]:.6g}" if of[i, j] else "", f"both_{name}": both[i, j], f"of_{name}": of[i, j]}
        return row
