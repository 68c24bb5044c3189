"""A data set that knows some of its findings only, for models of one finding each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medkit import contracts as c
from medkit.errors import ConfigError, did_you_mean


def selected_findings(
    dataset_dir: str, section: str, *, data: Sequence[c.Sample], findings: Sequence[str], selected: Sequence[str]
) -> list[c.Sample]:
    """Return the samples with the labels and boxes of ``selected`` alone, in that order.

    Args:
        dataset_dir: not used; `medkit.dataset` wants a folder, such as ``@bundle_root``.
        section: not used: ``data`` is of one already.
        data: samples, by reference.
        findings: what their labels stand for.
        selected: which of these to keep.

    Raises:
        ConfigError: one of ``selected`` is not in ``findings``, or comes twice.

    Example:
        ```yaml
        data: {_target_: medkit.dataset, component: selected_findings, section: training, dataset_dir: "@bundle_root",
               data: "@samples", findings: "@findings", selected: [Hernia]}
        ```
    """
    for name in selected:
        if name not in findings:
            raise ConfigError(
                f'selected_findings: "{name}" is no finding.{did_you_mean(name, findings)} Known: {", ".join(findings)}'
            )
    if not selected or len(set(selected)) < len(selected):
        raise ConfigError(f"selected_findings: selected {list(selected)}: give at least one, each once")
    columns = [list(findings).index(name) for name in selected]
    return [_selected(sample, columns) for sample in data]


def _selected(sample: c.Sample, columns: list[int]) -> c.Sample:
    kept = dict(sample)
    if c.LABEL in sample:
        kept[c.LABEL] = np.asarray(sample[c.LABEL], np.float32)[columns]
    if c.BOXES in sample:
        rows = [(columns.index(int(k)), *edges) for k, *edges in sample[c.BOXES] if int(k) in columns]
        kept[c.BOXES] = np.array(rows, np.float32).reshape(-1, 5)
    return kept
