"""From finished runs to one table and one plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medkit.errors import ConfigError
from medkit.files import whole, write_json
from medkit.tables import write_csv
from medkit_comparison.cost import boxes_hit, costs
from medkit_comparison.csv_table import csv_columns, csv_lines
from medkit_comparison.markdown import markdown
from medkit_comparison.metric import metric_named
from medkit_comparison.plot import save_plot
from medkit_comparison.rows import parse_rows
from medkit_comparison.run_folder import read_run
from medkit_comparison.statistics import Statistics, agrees
from medkit_comparison.tested import align


class ComparisonTable:
    """Writer of a comparison of finished runs: scores with intervals, paired differences, boxes hit, time, parameters.

    A row is a technique. Its runs are seeds, which tested the same images, or folds, which tested others. The
    metric is ``auroc``, of the columns ``probability_…``, or ``f1``, of the decisions ``present_…``. It is computed in
    each run and averaged over the row's runs, class by class; the macro score is the mean over the classes that the row
    can measure. A class without positives or, for AUROC, without negatives is blank, named in ``not_measurable`` and in
    no mean; a resample without them does not count for the class. The F1 of a class that is there and never found is 0.
    Labels that are not known are skipped. Only findings that all runs know are compared.

    Intervals (95 %) are percentiles of a nested bootstrap. Patients are drawn anew, the same in all rows
    (`medkit.intervals.Bootstrap`), and so are the seeds of a row of several, so that the noise of training is in the
    interval; that of a single run cannot be. Rows of the same runs that differ in ``predictions`` are given the
    same seeds. A difference is paired: over the images that both rows tested, with the same patients. It is ``helped``
    where its interval lies above 0, ``hurt`` below, else ``no clear difference``. Several comparisons are not corrected
    for.

    The same image is told by the end of its path, and must have the same labels in all runs. Its patient is in
    ``patients``, or else in the column ``patient_id`` of predictions.csv; without either, images are resampled, and the
    table says so.

    Writes into ``output_dir``: ``comparison.md``, ``comparison.csv`` (a line a row), ``comparison.png`` and, last,
    ``comparison.json``: ``title, metric, resamples, seed, against, findings, findings_left_out, patients_known,
    synthetic`` and ``rows``, each with ``name, runs, predictions, images, patients, not_measured, classes`` (in the
    macro mean), ``auroc`` or ``f1``, ``not_measurable, difference`` (null for the row that the others are compared
    with), ``report, agrees, note, boxes`` (true boxes hit at an IoU above 0.3), ``seconds`` of training, ``parameters``
    and ``training_images`` (means over runs, null where a run does not tell).

    Args:
        run_dir: what the patterns are relative to.
        output_dir: where to write; made if it is missing.
        rows: each ``{name, runs, predictions, against, report, note}``. ``runs``: folder or pattern of folders, or a
            list of them. ``predictions``: the file in each that the row rests on, by default
            ``evaluation/predictions.csv``. ``against``: another row than the table's to compare this one with.
            ``report``: what a report found, ``"+"`` (it helped), ``"-"`` (it hurt), ``"0"`` (no difference) or null.
        metric: ``auroc`` or ``f1``.
        against: the row that others are compared with; by default the first.
        partial: leave out what was not run, or not to its end; what would be compared with such has no difference.
        patients: CSV of the test images with the columns ``image`` and ``patient_id`` (or ``group``, or NIH's names).
        resamples: of patients and seeds.
        seed: of the resamples.
        title: of the table and the plot.

    Raises:
        ConfigError: an option is missing, unknown or wrong, or a run's predictions come twice.
        DataError: a folder is no finished run, a file cannot be read, or rows have no finding or test image in common.
        CheckpointError: a model or its card is damaged.

    Example:
        ```yaml
        table:
          _target_: medkit.handler
          component: comparison_table
          run_dir: "@output_dir"
          output_dir: "$@output_dir + '/comparison'"
          rows:
          - {name: baseline, runs: "baseline/seed*"}
          - {name: VGG19, runs: "vgg19/seed*", report: "+", note: "R0, table 2"}
        run: ["$@table.run()"]
        ```
    """

    def __init__(
        self,
        run_dir: str,
        output_dir: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        metric: str = "auroc",
        against: str | None = None,
        partial: bool = False,
        patients: str | None = None,
        resamples: int = 2000,
        seed: int = 0,
        title: str = "",
    ) -> None:
        if resamples < 1:
            raise ConfigError(f"compare: resamples {resamples}: give a number above 0")
        self.run_dir, self.output_dir, self.rows = Path(run_dir), Path(output_dir), list(rows)
        self.metric = metric_named(metric)
        self.against, self.partial, self.patients, self.title = against, partial, patients, title
        self.resamples, self.seed = resamples, seed

    def run(self) -> Path:
        """Write everything and return the path of ``comparison.json``."""
        results = self.results()
        with whole(self.output_dir / "comparison.md") as temporary:
            temporary.write_text(markdown(results), encoding="utf-8")
        write_csv(self.output_dir / "comparison.csv", csv_columns(results), csv_lines(results))
        save_plot(results, self.output_dir / "comparison.png")
        write_json(self.output_dir / "comparison.json", results)
        return self.output_dir / "comparison.json"

    def results(self) -> dict[str, Any]:
        """Return what ``comparison.json`` holds."""
        rows = parse_rows(self.rows, self.run_dir, self.partial, self.against)
        present = [row.name for row in rows]
        against = self.against or present[0]
        column = self.metric.column
        runs = {path: read_run(folder, path, column) for row in rows for folder, path in zip(row.folders, row.tables)}
        images = align(rows, runs, self.patients)
        statistics = Statistics(images, self.metric, self.resamples, self.seed)
        out = []
        for row in rows:
            own, tests = [runs[path] for path in row.tables], images.rows[row.name].tested
            other = row.against or against
            compared = row.name != other and other in present
            difference = statistics.difference(row.name, other) if compared else None
            out.append(
                {
                    "name": row.name,
                    "runs": [str(folder) for folder in row.folders],
                    "predictions": row.predictions,
                    **statistics.scores(row.name),
                    "difference": difference,
                    "report": row.report,
                    "agrees": agrees(row.report, difference["verdict"]) if difference else "",
                    "note": row.note,
                    "boxes": boxes_hit([run.boxes for run in own], [test.tobytes() for test in tests]),
                    **costs(own),
                }
            )
        return {
            "title": self.title,
            "metric": self.metric.name,
            "resamples": self.resamples,
            "seed": self.seed,
            "against": against,
            "findings": images.findings,
            "findings_left_out": images.left_out,
            "patients_known": images.patients is not None,
            "synthetic": any(run.synthetic for run in runs.values()),
            "rows": out,
        }
