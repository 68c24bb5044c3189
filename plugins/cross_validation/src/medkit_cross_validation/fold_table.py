"""From the per-image files of a cross-validation to its table and its plot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from medkit.errors import ConfigError, DataError
from medkit.files import whole, write_json
from medkit.intervals import Bootstrap
from medkit.tables import write_csv
from medkit_cross_validation.groups import Groups
from medkit_cross_validation.markdown import markdown
from medkit_cross_validation.plot import save_plot
from medkit_cross_validation.rows import Row, parse_curve, parse_rows
from medkit_cross_validation.scores import differences, scores
from medkit_cross_validation.tested import Tested, read_tested
from medkit_cross_validation.within_folds import WithinFolds, folds_lacking

_ABOUT = ("name", "kind", "column", "training_images", "images", "patients", "not_measured", "against")
_COLUMNS = (
    *("table", *_ABOUT, "files", "seeds", "score", "value", "low", "high", "n"),
    *("difference", "difference_low", "difference_high", "difference_n", "verdict"),
)


class FoldTable:
    """Writer of a cross-validation's results: every row's scores over all test images, with intervals and differences.

    A row's files are pooled: each image is tested once, by a model that has not seen it. Files whose path names a seed
    (``seed0/…``, ``fold0-seed1.csv``) test each image once a seed; scores are then averaged over seeds, image by image
    (AUROC: over seeds). Images that could not be read, were not assessed or have no truth count in no score;
    ``not_measured`` says how many.

    Intervals are by patient or group of look-alikes (`medkit.intervals.Bootstrap`). A difference is paired: over the
    images that count in both rows, with the same resamples.

    For several findings an image (``multilabel``) each file is one fold: the AUROC of each finding is measured within
    each fold and averaged over folds, patients are drawn anew within each fold, and a finding of which some fold has no
    positives or no negatives is named and left out of the mean over findings.

    Writes into ``output_dir``: ``table.md``, ``results.csv`` (a line a score), ``plot.png``, ``plot.svg`` and, last,
    ``results.json``: ``title``, ``resamples``, ``seed``, ``missing_folds``, ``rows`` and
    ``learning_curve`` (null without). A row has
    ``name``, ``kind``, ``files``, ``seeds``, ``folds``, ``images``, ``patients``, ``not_measured``, ``scores`` (score →
    ``{value, low, high, n}``), for ``multilabel`` ``lacking`` (finding → number of folds that cannot measure it) and,
    where it is compared, ``against`` and ``difference`` (score → the same and
    ``verdict``: ``above 0``, ``below 0`` or ``includes 0``); a point of the curve has ``training_images`` too. Equal
    files make equal bytes.

    Args:
        run_dir: what the patterns are relative to.
        output_dir: where to write; made if it is missing.
        rows: each ``{name, kind, files, column, negative, against}``. ``kind``: ``segmentation`` (files are
            segmentation.csv), ``classification`` (predictions.csv, one class an image) or ``multilabel``
            (predictions.csv, any findings an image). ``files``: glob patterns. ``column``: ``plain``
            (default) or ``gated`` masks. ``negative``: the class that means "nothing there", for ``accuracy_any``.
            ``against``: the row that it is compared with.
        baseline: the row that all others of its kind are compared with, where they name none.
        groups: folds.csv (image, group, fold) that gives an image's group, in place of the column ``patient_id``, which
            predictions.csv lacks, and says which folds there are, so that a missing one is an error.
        resamples: of patients, for the 95 % intervals.
        seed: of the resamples.
        partial: accept that folds of ``groups`` are missing, and say which.
        title: of the table and the plot.
        learning_curve: ``{name, kind, points, column, negative}``, each point ``{images, files}``: the size of the
            training set, or its share (up to 1) of the one that ``groups`` implies, and the files of its models, which
            need not cover all folds.

    Raises:
        ConfigError: an option is missing, unknown or wrong.
        DataError: files are missing or wrong, a fold is missing, or rows that are compared test different images.

    Example:
        ```yaml
        table:
          _target_: medkit.handler
          component: fold_table
          run_dir: "@output_dir"
          output_dir: "$@output_dir + '/table'"
          groups: "$@output_dir + '/folds.csv'"
          rows:
          - {name: bce, kind: segmentation, files: "fold*/bce/segmentation.csv"}
          - {name: bce and gate, kind: segmentation, files: "fold*/bce/segmentation.csv", column: gated, against: bce}
          - {name: classifier, kind: classification, files: "fold*/classifier/predictions.csv", negative: normal}
        run: ["$@table.run()"]
        ```
    """

    def __init__(
        self,
        run_dir: str,
        output_dir: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        baseline: str | None = None,
        groups: str | None = None,
        partial: bool = False,
        resamples: int = 2000,
        seed: int = 0,
        title: str = "",
        learning_curve: Mapping[str, Any] | None = None,
    ) -> None:
        if resamples < 1:
            raise ConfigError(f"fold_table: resamples {resamples}: give a number above 0")
        self.run_dir, self.output_dir, self.groups, self.partial = Path(run_dir), Path(output_dir), groups, partial
        self.rows = parse_rows(rows, baseline)
        self.curve = parse_curve(learning_curve) if learning_curve else None
        self.options = {"title": title, "resamples": resamples, "seed": seed}

    def run(self) -> Path:
        """Write everything and return the path of ``results.json``."""
        groups = Groups(self.groups) if self.groups else None
        tested = {row.name: read_tested(self.run_dir, row, groups) for row in self.rows}
        missing = sorted({fold for row in tested.values() for fold in _missing_folds(row, groups)})
        if not self.partial:
            for row in tested.values():
                _require_all_folds(row, groups)
        results = {
            **self.options,
            "missing_folds": missing,
            "rows": [self._row(row, tested) for row in self.rows],
            "learning_curve": None,
        }
        if self.curve:
            of, points = self.curve
            measured = [
                {
                    "training_images": _training_images(size, groups),
                    **self._row(row, {row.name: read_tested(self.run_dir, row, groups)}),
                }
                for size, row in points.items()
            ]
            results["learning_curve"] = {"name": of.name, "kind": of.kind, "points": measured}
        with whole(self.output_dir / "table.md") as temporary:
            temporary.write_text(markdown(results), encoding="utf-8")
        write_csv(self.output_dir / "results.csv", _COLUMNS, _lines(results))
        save_plot(results, self.output_dir)
        write_json(self.output_dir / "results.json", results)
        return self.output_dir / "results.json"

    def _row(self, row: Row, rows: Mapping[str, Tested]) -> dict[str, Any]:
        tested = rows[row.name]
        resampled = {"resamples": self.options["resamples"], "seed": self.options["seed"]}
        fold = tested.measured.fold
        boot = (
            Bootstrap(tested.patients, **resampled) if fold is None else WithinFolds(tested.patients, fold, **resampled)
        )
        out = {
            "name": row.name,
            "kind": row.kind,
            **({"column": row.column} if row.kind == "segmentation" else {}),
            "files": tested.files,
            "seeds": tested.seeds,
            "folds": tested.folds,
            "images": len(tested.images),
            "patients": boot.patients,
            "not_measured": tested.not_measured,
            "scores": scores(tested.measured, boot),
        }
        if fold is not None:
            out["lacking"] = folds_lacking(tested.measured.classes, tested.measured.labels, fold)
        if row.against is not None:
            out |= {"against": row.against, "difference": differences(tested, rows[row.against], boot)}
        return out


def _training_images(size: float, groups: Groups | None) -> int:
    """Return the images that a model of the learning curve learns from; a share is one of K-2 of K folds."""
    if size > 1:
        return int(size)
    if groups is None:
        raise ConfigError(f"fold_table: the learning curve's images {size} is a share: name the division, groups")
    folds = len(set(groups.fold.values()))
    return round(size * len(groups.fold) * (folds - 2) / folds)


def _missing_folds(tested: Tested, groups: Groups | None) -> list[str]:
    return sorted(set(groups.fold.values()) - set(tested.folds)) if groups else []


def _require_all_folds(tested: Tested, groups: Groups | None) -> None:
    """Raise `DataError` where a row lacks a fold."""
    if groups and (missing := _missing_folds(tested, groups)):
        raise DataError(
            f'row "{tested.name}" lacks fold {", ".join(missing)} of {groups.path}, found {len(tested.files)} files: '
            "run the stages of those folds, name their files, or set partial: true"
        )


def _lines(results: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the lines of results.csv, a score each."""
    curve = results["learning_curve"]
    for table, rows in (("rows", results["rows"]), ("learning_curve", curve["points"] if curve else [])):
        for row in rows:
            about = {"table": table, "files": len(row["files"]), "seeds": len(row["seeds"])}
            about |= {name: row[name] for name in _ABOUT if name in row}
            for name, score in row["scores"].items():
                gain = row.get("difference", {}).get(name, {})
                paired = {f"difference_{key}": gain.get(key) for key in ("low", "high", "n")}
                paired |= {"difference": gain.get("value"), "verdict": gain.get("verdict")}
                yield {**about, "score": name, **score, **paired}
