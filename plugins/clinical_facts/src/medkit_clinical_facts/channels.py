"""Facts of a patient as constant channels behind those of the image."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

import torch
from monai.data import MetaTensor
from monai.transforms import Transform

from medkit import contracts as c
from medkit.errors import ConfigError, DataError
from medkit_clinical_facts.facts import NIH, facts_of


class FactChannels(Transform):
    """Dictionary transform: ``image`` (C,H,W) → (C+F,H,W), each of the last F channels filled with one fact's number.

    So every fact takes the image's way through data loading, localizers and files. It stands behind what reads and
    resizes; what changes brightness goes before it. A fact that nobody states is 0.

    Args:
        facts: name → ``column``, and ``value`` or ``centre`` and ``scale``; see `medkit_clinical_facts.facts.Fact`. By
            default the age, the sex and whether the view is AP, by NIH's columns.
        table: CSV file (``.csv`` or ``.csv.gz``) with a row an image. None: what the image file itself states,
            as DICOM files do. Where there is a table, an image or a cell that it lacks is looked up in the file.
        image_column: of the table: file names, with or without folders.

    Raises:
        ConfigError: wrong facts; while running: the table is not there or lacks a column.
        DataError: while running: a cell is no number, or a file name stands in two rows.

    Example:
        ```yaml
        - {_target_: medkit.transform, component: fact_channels, table: NIH/Data_Entry_2017_v2020.csv}
        ```
    """

    def __init__(
        self,
        facts: Mapping[str, Mapping[str, Any]] = NIH,
        table: str | None = None,
        image_column: str = "Image Index",
    ) -> None:
        self.facts = facts_of(facts)
        self.table = table
        self.image_column = image_column

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the sample with the channels."""
        image = data[c.IMAGE]
        if not isinstance(image, torch.Tensor):
            raise ConfigError("fact_channels stands in front of what reads the image: put it behind")
        known = isinstance(image, MetaTensor)
        stated = image.meta.get(c.SOURCE, {}) if known else {}
        row = self.rows.get(PurePath(str(data.get(c.FILE, ""))).name, {})
        numbers = [fact.number(row.get(fact.column) or stated.get(fact.name)) for fact in self.facts]
        plain = image.as_tensor() if known else image
        maps = torch.tensor(numbers, dtype=plain.dtype)[:, None, None].expand(-1, *plain.shape[1:])
        joined = torch.cat([plain, maps])
        if known:
            joined = MetaTensor(joined, meta=image.meta, applied_operations=image.applied_operations)
        return {**data, c.IMAGE: joined}

    @cached_property
    def rows(self) -> dict[str, dict[str, str]]:
        """The table's row of each file name."""
        if self.table is None:
            return {}
        path = Path(self.table).expanduser()
        if not path.is_file():
            raise ConfigError(f"fact_channels: there is no table {path}: give its path, or null")
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", newline="", encoding="utf-8-sig") as stream:
            lines = csv.DictReader(stream)
            wanted = [self.image_column, *(fact.column for fact in self.facts)]
            if missing := [name for name in wanted if name not in (lines.fieldnames or ())]:
                found = ", ".join(lines.fieldnames or ())
                raise ConfigError(f"fact_channels: {path.name} has no column {missing[0]}. It has: {found}.")
            rows: dict[str, dict[str, str]] = {}
            for line in lines:
                name = PurePath(line[self.image_column]).name
                if name in rows:
                    raise DataError(f"fact_channels: {name} stands in two rows of {path.name}: keep one")
                rows[name] = line
        return rows
