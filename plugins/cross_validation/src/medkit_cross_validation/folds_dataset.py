"""The data set `folds`: any list of samples as K folds that keep patients together."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medkit.build import labels
from medkit.contracts import IMAGE, PATIENT, Sample
from medkit.errors import DataError
from medkit.folds import Folds, make_folds, read_folds

logger = logging.getLogger(__name__)
NO_FINDING = "no finding"


def folds(
    dataset_dir: str,
    section: str,
    *,
    data: Sequence[Sample],
    fold: int = 0,
    folds: int = 5,
    seed: int = 0,
    file: str = "folds.csv",
    findings: Sequence[str] | None = None,
) -> list[Sample]:
    """Return one section of another data set's samples, by K folds in place of that data set's own sections.

    Fold k is the test set, k+1 the validation set, the rest the training set; the images of a patient are in one fold,
    an image without ``patient_id`` is a patient of its own. Findings are spread evenly by the class of each image: the
    rarest of its findings, "no finding" for an image without (`sklearn.model_selection.StratifiedGroupKFold` takes one
    class an image). A finding of fewer patients than folds is absent from some folds; the log names it.

    The division is written to ``file`` once (image, group, class, fold, split). Later calls read it, whatever their
    seed, so every stage and every fold has the same.

    Args:
        dataset_dir: the folder of ``file``, usually the run's; the images may lie anywhere.
        section: ``training``, ``validation``, ``test`` or ``all``.
        data: all samples of a data set, from its section ``all``; they are returned as they are, in their order.
        fold: k.
        folds: K, at least 3.
        seed: another seed, another division.
        file: relative to ``dataset_dir``; it names an image from the folder that all images share.
        findings: names of the labels, for ``file``.

    Raises:
        ConfigError: an option has no such value.
        DataError: there are no samples, one has another number of labels, an image is there twice, there are fewer
            patients than folds, or ``file`` is for other images, labels, patients or another number of folds.

    Example:
        ```yaml
        all_samples:
          _target_: medkit.dataset
          component: chest_xray
          section: all
          findings: "@findings"
          dataset_dir: "@dataset_dir"
          fallback: phantom
          fallback_options: "@phantom"
          work_dir: "@output_dir"
        train#dataset#data:
          _target_: medkit.dataset
          component: folds
          section: training
          data: "@all_samples"
          fold: "@fold"
          dataset_dir: "@output_dir"
        ```
    """
    if not data:
        raise DataError("folds: data is empty: give all samples of a data set, its section all")
    path = Path(dataset_dir) / file
    names = _names([str(sample[IMAGE]) for sample in data])
    groups = [str(sample.get(PATIENT, "")) or name for sample, name in zip(data, names)]
    divided = _divided(path, names, groups, _classes(data, findings), folds, seed)
    return [data[n] for n in divided.section(section, fold).tolist()]


def _names(paths: Sequence[str]) -> list[str]:
    """Return the paths from the folder that all share, which a copy of the images elsewhere has too."""
    root = os.path.commonpath([os.path.dirname(path) for path in paths])  # noqa: PTH120
    return [Path(path).relative_to(root).as_posix() for path in paths]


def _classes(data: Sequence[Sample], findings: Sequence[str] | None) -> list[str]:
    """Return each image's rarest finding."""
    try:
        shown = labels(data) == 1
    except ValueError as error:
        raise DataError("folds: samples have different numbers of labels: give those of one data set") from error
    names = [f"finding {k}" for k in range(shown.shape[1])] if findings is None else list(findings)
    if len(names) != shown.shape[1]:
        raise DataError(f"folds: {len(names)} findings were named, samples have {shown.shape[1]} labels")
    rarest_first = np.argsort(shown.sum(axis=0), kind="stable")
    return [next((names[k] for k in rarest_first if row[k]), NO_FINDING) for row in shown]


def _divided(path: Path, names: list[str], groups: list[str], classes: list[str], folds: int, seed: int) -> Folds:
    if not path.is_file():
        divided = make_folds(names, groups, classes, folds, seed, sparse="accept")
        patients = Counter(name for name, _ in set(zip(classes, groups)))
        if few := [f"{name} ({count})" for name, count in sorted(patients.items()) if count < folds]:
            logger.warning("%s: some folds lack findings of fewer than %d patients: %s", path, folds, ", ".join(few))
        divided.write(path)
        return divided
    divided = read_folds(path, names, classes, "grouped")
    if divided.count != folds:
        raise DataError(f"{path} holds {divided.count} folds, {folds} were asked for: name another file")
    if divided.groups != groups:
        raise DataError(f"{path} was made for other patients: name another file, or delete it to make it anew")
    return divided
