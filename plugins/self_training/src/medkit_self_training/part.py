"""A data set with labels for some of its patients only."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

import numpy as np

from medkit import contracts as c
from medkit.errors import ConfigError, DataError, did_you_mean

PARTS = ("labelled", "unlabelled", "all")


def labelled_part(
    dataset_dir: str,
    section: str,
    *,
    data: Sequence[c.Sample],
    labelled: float,
    part: Literal["labelled", "unlabelled", "all"] = "all",
    seed: int = 0,
) -> list[c.Sample]:
    """Return one part of the samples, in their order.

    The patients are put in an order that follows from ``seed`` and their ids alone; the first ``labelled`` of them,
    rounded, keep their labels. The others' labels become NaN, and boxes and masks go. A sample without a patient is a
    patient of its own.

    Args:
        dataset_dir: not used; `medkit.dataset` wants a folder, such as ``@bundle_root``.
        section: not used: ``data`` is of one already.
        data: the samples of a section, by reference.
        labelled: share of the patients, above 0 and below 1; at least one patient is on either side.
        part: the labelled part, the unlabelled one, or both.
        seed: another seed, another division.

    Raises:
        ConfigError: an option has no such value.
        DataError: there are fewer than two patients.

    Example:
        ```yaml
        data: {_target_: medkit.dataset, component: labelled_part, section: training, dataset_dir: "@bundle_root",
               data: "@samples", labelled: 0.3, part: labelled}
        ```
    """
    if part not in PARTS:
        raise ConfigError(
            f'labelled_part: part "{part}" is unknown.{did_you_mean(part, PARTS)} Choices: {", ".join(PARTS)}.'
        )
    if not 0 < labelled < 1:
        raise ConfigError(f"labelled_part: labelled {labelled}: give a share of the patients above 0 and below 1")
    patients = [str(sample.get(c.PATIENT) or f"\0{sample[c.IMAGE]}") for sample in data]
    order = sorted(set(patients), key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
    if len(order) < 2:
        raise DataError(f"labelled_part: {len(data)} images of {len(order)} patients cannot be divided: add patients")
    known = set(order[: min(max(round(labelled * len(order)), 1), len(order) - 1)])
    divided = [dict(sample) if patient in known else _without_labels(sample) for sample, patient in zip(data, patients)]
    wanted = {"labelled": (True,), "unlabelled": (False,), "all": (True, False)}[part]
    return [sample for sample, patient in zip(divided, patients) if (patient in known) in wanted]


def _without_labels(sample: c.Sample) -> c.Sample:
    kept = {key: value for key, value in sample.items() if key not in (c.BOXES, c.MASK)}
    if c.LABEL in kept:
        kept[c.LABEL] = np.full(np.shape(kept[c.LABEL]), np.nan, np.float32)
    return kept
