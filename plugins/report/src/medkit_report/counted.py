"""Which files of a run count in its scores, and which do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medkit import contracts as c
from medkit.errors import DataError

Record = Mapping[str, Any]


def counted(records: Sequence[Record]) -> list[Record]:
    """Return the records of the files that were assessed.

    Raises:
        DataError: none was.
    """
    read = [record for record in records if record["status"] == "ok"]
    if not read:
        raise DataError(f"none of {len(records)} images could be assessed, so nothing can be measured")
    return read


def with_counts(records: Sequence[Record], scores: Mapping[str, Any]) -> dict[str, Any]:
    """Return the scores behind how many images and patients they rest on, and which files they leave out."""
    read = counted(records)
    missed = [{key: r[key] for key in ("file", "status", "reason")} for r in records if r["status"] != "ok"]
    return {
        "images": len(read),
        "patients": scores["counts"]["patients"],
        "synthetic": any(bool(record[c.SYNTHETIC]) for record in read),
        "not_read": missed,
        **scores,
    }
