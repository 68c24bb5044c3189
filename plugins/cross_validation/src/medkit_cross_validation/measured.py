"""What each image scored: from the numbers of segmentation.csv or predictions.csv, averaged over seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from medkit.errors import ConfigError, DataError, did_you_mean
from medkit.intervals import ratio
from medkit_cross_validation.rows import Row


@dataclass(frozen=True, slots=True)
class Measured:
    """Scores of N images.

    Attributes:
        per_image: score → (N,) float64, the mean over seeds; NaN where the image does not count. None for several
            findings an image.
        classes: K names; none, with nothing below, for a segmentation.
        labels: (N,K), 0 or 1; NaN rows where the image was not measured, NaN where a finding is unknown.
        probabilities: (S,N,K), for each of S seeds.
        fold: (N,) int64, which images one model tested; for several findings an image only.
    """

    per_image: dict[str, np.ndarray]
    classes: tuple[str, ...] = ()
    labels: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    fold: np.ndarray | None = None

    @property
    def missing(self) -> np.ndarray:
        """(N,) bool: the images that count in no score."""
        if self.labels is not None:
            return np.isnan(self.labels).all(axis=1)
        return np.isnan(next(iter(self.per_image.values())))


def number_columns(row: Row, header: Iterable[str]) -> tuple[str, ...]:
    """Return the D columns that are read, of which the file may lack some."""
    if row.kind == "segmentation":
        end = "_gated" if row.column == "gated" else ""
        return ("truth_pixels", f"iou{end}", f"dice{end}", f"hd95{end}")
    classes = [name.removeprefix("probability_") for name in header if name.startswith("probability_")]
    return tuple(f"{group}_{name}" for group in ("label", "probability") for name in classes or ["<class>"])


def measured(row: Row, columns: Sequence[str], numbers: np.ndarray, fold: np.ndarray) -> Measured:
    """Return the scores of a row.

    Args:
        row: whose kind and negative class count.
        columns: D names, from `number_columns`.
        numbers: (S,N,D) float64, NaN where a cell is blank or the image's status is not ``ok``.
        fold: (S,N) int64: images of one number were tested by one model.

    Raises:
        ConfigError: ``negative`` is none of the classes.
        DataError: an image has several classes or none, a label is neither 0 nor 1, or seeds have other folds.
    """
    if row.kind == "segmentation":
        return _segmentation(numbers)
    return (
        _multilabel(row, columns, numbers, fold) if row.kind == "multilabel" else _classification(row, columns, numbers)
    )


def _segmentation(numbers: np.ndarray) -> Measured:
    truth, ious, dices, distances = np.moveaxis(numbers, -1, 0)
    lesion = (truth > 0).any(axis=0)
    iou = ious.mean(axis=0)
    distance = ratio(np.nansum(distances, axis=0), (~np.isnan(distances)).sum(axis=0))
    return Measured(
        {
            "iou_all": iou,
            "iou_lesion": np.where(lesion, iou, np.nan),
            "iou_normal": np.where(lesion, np.nan, iou),
            "dice_all": dices.mean(axis=0),
            "hd95_lesion": np.where(lesion & ~np.isnan(iou), distance, np.nan),
        }
    )


def _classes(columns: Sequence[str]) -> tuple[str, ...]:
    return tuple(name.removeprefix("label_") for name in columns if name.startswith("label_"))


def _multilabel(row: Row, columns: Sequence[str], numbers: np.ndarray, fold: np.ndarray) -> Measured:
    classes = _classes(columns)
    labels, probabilities = numbers[..., : len(classes)].mean(axis=0), numbers[..., len(classes) :]
    if not (np.isnan(labels) | (labels == 0) | (labels == 1)).all():
        raise DataError(f'row "{row.name}": a label is neither 0, 1 nor blank, or differs between seeds')
    if (fold != fold[0]).any():
        raise DataError(f'row "{row.name}": the seeds divide the images into other folds: give each a row of its own')
    return Measured({}, classes, labels + 0 * probabilities.sum(axis=0), probabilities, fold[0])


def _classification(row: Row, columns: Sequence[str], numbers: np.ndarray) -> Measured:
    classes = _classes(columns)
    if row.negative is not None and row.negative not in classes:
        hint = did_you_mean(row.negative, classes)
        raise ConfigError(f'row "{row.name}": negative "{row.negative}" is not one of {", ".join(classes)}.{hint}')
    labels, probabilities = numbers[..., : len(classes)].mean(axis=0), numbers[..., len(classes) :]
    known = ~(np.isnan(labels).any(axis=1) | np.isnan(probabilities).any(axis=(0, 2)))
    if (np.sort(labels[known]) != np.eye(len(classes))[-1]).any():
        raise DataError(f'row "{row.name}": an image has several classes or none: accuracy needs one an image')
    labels[~known] = np.nan
    truth, said = labels.argmax(axis=1), probabilities.argmax(axis=2)
    hits = {"accuracy": said == truth}
    if row.negative is not None:
        nothing = classes.index(row.negative)
        hits["accuracy_any"] = (said == nothing) == (truth == nothing)
    per_image = {name: np.where(known, hit.mean(axis=0), np.nan) for name, hit in hits.items()}
    return Measured(per_image, classes, labels, probabilities)
