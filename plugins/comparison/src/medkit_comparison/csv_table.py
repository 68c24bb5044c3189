"""The results as CSV, a line a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from medkit_comparison.cells import Results
from medkit_comparison.metric import METRICS

_ENDS = {"": "value", "_low": "low", "_high": "high"}
"""What comes behind a column's name → what a score calls it."""
_AS_THEY_ARE = (
    *("name", "images", "patients", "not_measured", "classes", "report", "agrees"),
    *("seconds", "parameters", "training_images", "note"),
)


def csv_columns(results: Results) -> list[str]:
    """Return the names of the columns, in order."""
    metric = METRICS[results["metric"]]
    columns = [
        *("name", "runs", "images", "patients", "not_measured", "classes"),
        *(f"{metric.name}{end}" for end in _ENDS),
        *([] if metric.chance is None else [f"{metric.name}_includes_chance"]),
        *("against", *(f"difference{end}" for end in _ENDS), "difference_images", "verdict"),
        *("report", "agrees", *(f"boxes_hit{end}" for end in _ENDS), "boxes"),
        *("seconds", "parameters", "training_images", "note"),
    ]
    for name in results["findings"]:
        columns += [f"{metric.name}_{name}{end}" for end in (*_ENDS, "_positives")]
        columns += [f"difference_{name}{end}" for end in _ENDS]
    return columns


def csv_lines(results: Results) -> Iterator[dict[str, Any]]:
    """Yield a line a row; what is not known is blank."""
    metric = results["metric"]
    for row in results["rows"]:
        macro, gain, boxes = row[metric]["macro"], row["difference"] or {}, row["boxes"] or {}
        line = {key: row[key] for key in _AS_THEY_ARE if row[key] is not None}
        line |= {"runs": len(row["runs"]), **_ends(metric, macro)}
        if "includes_chance" in macro:
            line[f"{metric}_includes_chance"] = macro["includes_chance"]
        if gain:
            line |= {"against": gain["against"], "verdict": gain["verdict"], **_ends("difference", gain["macro"])}
            line["difference_images"] = gain["macro"]["n"]
        line |= _ends("boxes_hit", boxes) | ({"boxes": boxes["n"]} if boxes else {})
        for finding, score in row[metric]["per_class"].items():
            line |= _ends(f"{metric}_{finding}", score) | {f"{metric}_{finding}_positives": score["n"]}
            line |= _ends(f"difference_{finding}", gain["per_class"][finding] if gain else {})
        yield line


def _ends(name: str, score: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{name}{end}": score[key] for end, key in _ENDS.items() if score.get(key) is not None}
