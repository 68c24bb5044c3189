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
        per_image: score → (N,) float64, the mean over seeds; NaN where the image does not count.
        classes: K names; none, with nothing below, for a segmentation.
        labels: (N,K), 0 or 1; NaN rows where the image was not measured.
        probabilities: (S,N,K), for each of S seeds.
    """

    per_image: dict[str, np.ndarray]
    classes: tuple[str, ...] = ()
    labels: np.ndarray | None = None
    probabilities: np.ndarray | None = None


def number_columns(row: Row, header: Iterable[str]) -> tuple[str, ...]:
    """Return the D columns that are read, of which the file may lack some."""
    if row.kind == "segmentation":
        end = "_gated" if row.column == "gated" else ""
        return ("truth_pixels", f"iou{end}", f"dice{end}", f"hd95{end}")
    classes = [name.removeprefix("probability_") for name in header if name.startswith("probability_")]
    return tuple(f"{group}_{name}" for group in ("label", "probability") for name in classes or ["<class>"])


def measured(row: Row, columns: Sequence[str], numbers: np.ndarray) -> Measured:
    """Return the scores of a row.

    Args:
        row: whose kind and negative class count.
        columns: D names, from `number_columns`.
        numbers: (S,N,D) float64, NaN where a cell is blank or the image's status is not ``ok``.

    Raises:
        ConfigError: ``negative`` is none of the classes.
        DataError: an image has several classes or none.
    """
    return _segmentation(numbers) if row.kind == "segmentation" else _classification(row, columns, numbers)


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


def _classification(row: Row, columns: Sequence[str], numbers: np.ndarray) -> Measured:
    classes = tuple(name.removeprefix("label_") for name in columns if name.startswith("label_"))
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
