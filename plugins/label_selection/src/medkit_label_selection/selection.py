"""Which images training sees, by how many findings they show."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Literal

import numpy as np

from medkit import contracts as c
from medkit.errors import ConfigError, DataError

logger = logging.getLogger(__name__)


def label_selection(
    data: Sequence[c.Sample],
    *,
    no_finding: Literal["keep", "drop"] = "keep",
    several: Literal["keep", "drop"] = "keep",
) -> list[c.Sample]:
    """Return the samples that are kept, in order; a label that is unknown (NaN) counts as absent.

    For training images only: validation and test images that are chosen by their labels are other patients than those
    to come, who bring no labels.

    Args:
        data: samples with a ``label`` (K,).
        no_finding: ``drop`` those that show none.
        several: ``drop`` those that show more than one.

    Raises:
        ConfigError: an option is neither of both words.
        DataError: a sample has no label, or nothing is left.
    """
    for option, value in (("no_finding", no_finding), ("several", several)):
        if value not in ("keep", "drop"):
            raise ConfigError(f'label_selection: {option} "{value}": give keep or drop')
    if bare := [sample for sample in data if c.LABEL not in sample]:
        raise DataError(f"{len(bare)} of {len(data)} samples have no label to be chosen by, first {bare[0][c.IMAGE]}")
    shown = [int((np.asarray(sample[c.LABEL]) == 1).sum()) for sample in data]
    fewest, most = int(no_finding == "drop"), 1 if several == "drop" else max(shown, default=0)
    kept = [sample for sample, count in zip(data, shown) if fewest <= count <= most]
    if not kept:
        raise DataError(f"label_selection leaves none of {len(data)} samples: keep no_finding or several")
    logger.info("label_selection: %d of %d samples kept", len(kept), len(data))
    return kept
