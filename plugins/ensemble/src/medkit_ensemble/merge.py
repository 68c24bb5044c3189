"""Several models' tables of predictions to one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from medkit.errors import ConfigError
from medkit.files import write_json
from medkit_ensemble.fitting import Fitted, fit
from medkit_ensemble.kaggle import write_kaggle
from medkit_ensemble.methods import merged
from medkit_ensemble.models import Models, read_models
from medkit_ensemble.options import DECIDED, require_options
from medkit_ensemble.predictions import write_predictions
from medkit_ensemble.tables import find_tables


class MergePredictions:
    """Writer of one table of predictions from those of several models.

    Images are joined by the ends of ``file`` that tell all of every table apart, most often the names, since every run
    may have its own copy of the data; or by their id where a table is in Kaggle's format or is to be (see
    `medkit_ensemble.kaggle.image_id`). Rows and columns are as in the first predictions.csv. A row that is not ``ok``
    in one of the tables has no probabilities, and the status and reason that it has in the first such table.
    ``synthetic`` and ``synthetic_model`` are 1 where they are in any.

    What is fitted goes to a JSON file beside the output, ``predictions.fitted.json``.

    Args:
        files: paths or glob patterns of the tables, at least two in all; predictions.csv, or, for ``union`` and
            ``vote``, Kaggle's ``Id,Predicted``.
        output: the table to write.
        method: ``mean``, ``union``, ``vote``, ``rank_mean`` (see `medkit_ensemble.methods.merged`) or ``fitted``, a
            mean with the weights that `medkit_ensemble.weights.fit_weights` finds on validation images.
        label_mode: ``multiclass``: ``present`` is the most probable finding; ``multilabel``: each at or above its
            threshold, 0.5 unless fitted. ``union`` and ``vote`` decide by what the tables say is present.
        validation_files: the same models' tables of labelled images, in the order of ``files``.
        thresholds: ``f1``: fit each finding's on these images, merged the same way. One that none or all of them
            have keeps 0.5; with ``rank_mean`` one that none has is never present.
        kaggle: write Kaggle's format.
        classes: what the numbers in Kaggle's format stand for, 0 first; by default the findings of a predictions.csv
            among ``files``, or the numbers.

    Raises:
        ConfigError: an option is wrong, or fewer than two tables were found.
        DataError: tables cannot be read; differ in their images, findings or labels; or hold something that is no
            probability.

    Example:
        ```yaml
        merge:
          _target_: medkit.handler
          component: merge_predictions
          files: ["$@output_dir + '/model*/predictions.csv'"]
          output: "$@output_dir + '/merged/predictions.csv'"
        run: ["$@merge.run()"]
        ```
    """

    def __init__(
        self,
        files: Sequence[str],
        output: str,
        *,
        method: Literal["mean", "union", "vote", "rank_mean", "fitted"] = "mean",
        label_mode: Literal["multilabel", "multiclass"] = "multilabel",
        validation_files: Sequence[str] | None = None,
        thresholds: Literal["f1"] | None = None,
        kaggle: bool = False,
        classes: Sequence[str] | None = None,
    ) -> None:
        require_options(method, label_mode, thresholds, validation_files)
        if classes is not None and len(set(classes)) < max(len(classes), 1):
            raise ConfigError(f"merge_predictions: classes {list(classes)}: give at least one, each once")
        self.files = files
        self.output = Path(output)
        self.method = method
        self.multiclass = label_mode == "multiclass"
        self.validation_files = validation_files
        self.thresholds = thresholds
        self.kaggle = kaggle
        self.classes = classes
        self.notes: list[str] = []

    def run(self) -> Path:
        """Write the table and return its path."""
        paths = find_tables("merge_predictions", self.files)
        if len(paths) < 2:
            raise ConfigError(f"merge_predictions: two tables or more were asked for, found {paths[0]}")
        known = find_tables("merge_predictions", self.validation_files) if self.validation_files else []
        if self.output.resolve() in {path.resolve() for path in (*paths, *known)}:
            raise ConfigError(f"merge_predictions: the output {self.output} is one of the tables: name another file")
        if self.output.is_dir():
            raise ConfigError(f"merge_predictions: the output {self.output} is a folder: name a file")
        models = self._read(paths)
        fitted = fit(models, self._read(known), self.method, self.multiclass, bool(self.thresholds)) if known else None
        probabilities, present = merged(models, self.method, fitted.weights if fitted else None)
        if self.multiclass:
            present = np.arange(len(models.findings)) == probabilities.argmax(axis=1, keepdims=True)
        elif present is None:
            present = probabilities >= (fitted.thresholds if fitted and self.thresholds else 0.5)
        self._write(models, probabilities, present, fitted)
        return self.output

    def _read(self, paths: Sequence[Path]) -> Models:
        models = read_models(paths, self.classes, self.kaggle)
        if models.labels_alone and self.method not in DECIDED:
            raise ConfigError(
                f"merge_predictions: {models.labels_alone[0]} is in Kaggle's format, which has no probabilities: "
                f"{self.method} needs them, {' and '.join(DECIDED)} do not"
            )
        return models

    def _write(self, models: Models, probabilities: np.ndarray, present: np.ndarray, fitted: Fitted | None) -> None:
        """Write what was merged, with what was fitted beside it."""
        missing = len(models.images) - len(models.assessed)
        self.notes = [f"images without a class, since not every model assessed them: {missing}"] if missing else []
        beside = self.output.with_suffix(".fitted.json")
        if fitted:
            self.notes += fitted.notes
            write_json(beside, fitted.record)
        if self.kaggle:
            given = {key: np.flatnonzero(row) for key, row in zip(models.assessed, present)}
            write_kaggle(self.output, ((key, given.get(key, ())) for key in models.images))
        else:
            write_predictions(self.output, models.columns, models.rows(probabilities, present))
        if not fitted:
            beside.unlink(missing_ok=True)  # of an earlier merge
