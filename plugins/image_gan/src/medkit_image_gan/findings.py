"""A GAN of one finding: which samples it sees, and what its images are then known to show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medkit import contracts as c
from medkit.errors import ConfigError, DataError, did_you_mean

NO_FINDING = "No Finding"


def only_finding(data: Sequence[c.Sample], findings: Sequence[str], finding: str | None) -> list[c.Sample]:
    """Return the samples that show ``finding``, in order.

    Args:
        data: samples with a ``label`` (K,).
        findings: the K names.
        finding: one of them; ``No Finding``: samples whose label is 0 throughout; None: all samples.

    Raises:
        ConfigError: another name.
        DataError: no sample shows it.
    """
    wanted = np.array(shown(findings, finding), np.float32)
    asked = ~np.isnan(wanted)
    chosen = [s for s in data if not asked.any() or np.array_equal(np.asarray(s[c.LABEL])[asked], wanted[asked])]
    if not chosen:
        raise DataError(f"none of {len(data)} samples shows {finding}: take another finding, or more data")
    return chosen


def shown(findings: Sequence[str], finding: str | None) -> list[float]:
    """Return the label of such images: 1 for ``finding``, NaN where nothing is known; 0 throughout without findings.

    Raises:
        ConfigError: ``finding`` is not one of ``findings``.
    """
    if finding == NO_FINDING:
        return [0.0 for _ in findings]
    if finding is not None and finding not in findings:
        hint = did_you_mean(finding, findings)
        raise ConfigError(f'finding "{finding}" is unknown.{hint} Known: {", ".join(findings)}, {NO_FINDING}.')
    return [1.0 if name == finding else np.nan for name in findings]
