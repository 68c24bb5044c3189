"""The results as tables of text and the notes below them, for the terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from medkit_comparison.metric import METRICS, Metric
from medkit_comparison.statistics import FEW

CHANCE = "†"
"""Marks an interval that includes what guessing gives."""
SPARSE = "‡"
"""Marks an interval that rests on very few positives, or negatives where they count."""
BLANK = "–"
Results = Mapping[str, Any]
Table = list[list[str]]
"""Lines of equally many cells, the header first."""


def overview(results: Results) -> Table:
    """Return a line a row: macro score, difference, verdict, boxes hit, cost; without columns that nothing fills."""
    metric, difference = METRICS[results["metric"]], f"Δ to {results['against']}"
    lines = []
    for row in results["rows"]:
        gain = row["difference"]
        lines.append(
            {
                "": row["name"],
                "Runs": str(len(row["runs"])),
                f"Macro {metric.title}": interval(row[metric.name]["macro"]),
                difference: _gain(gain, row["images"], results["against"]) if gain else "",
                "Verdict": gain["verdict"] if gain else "",
                "Report": row["report"] or "",
                "Agrees": row["agrees"],
                "Boxes hit": _boxes(row["boxes"]),
                "Training": duration(row["seconds"]),
                "Parameters": "" if row["parameters"] is None else f"{row['parameters']:,}",
                "Trained on": "" if row["training_images"] is None else f"{row['training_images']:,}",
                "Note": row["note"],
            }
        )
    used = [name for name in lines[0] if not name or any(line[name] for line in lines)]
    return [used, *([line[name] or BLANK for name in used] for line in lines)]


def per_class(results: Results) -> Table:
    """Return a line a row with the score of every finding; the header counts the positives."""
    metric, findings, rows, positives = METRICS[results["metric"]], results["findings"], results["rows"], []
    for finding in findings:
        counts = sorted({row[metric.name]["per_class"][finding]["n"] for row in rows})
        positives.append(str(counts[0]) if len(counts) == 1 else f"{counts[0]}–{counts[-1]}")
    lines = [[row["name"], *(interval(row[metric.name]["per_class"][f]) for f in findings)] for row in rows]
    return [[f"{metric.title} (positives)", *(f"{name} ({count})" for name, count in zip(findings, positives))], *lines]


def notes(results: Results) -> Iterator[str]:
    """Yield what must be known to read the numbers."""
    metric, what = METRICS[results["metric"]], "patients" if results["patients_known"] else "images"
    scores = [score for row in results["rows"] for score in _scores(row, metric)]
    yield f"[…]: 95 % intervals, {results['resamples']} resamples of {what}, the same in all rows; Δ is paired."
    if results["against"] not in [row["name"] for row in results["rows"]]:
        yield f"There is no row {results['against']}, so nothing is compared with it."
    if not results["patients_known"]:
        yield "No table names the patients: intervals are too narrow where a patient has several images."
    if any(len(row["runs"]) > 1 for row in results["rows"]):
        yield "Rows of several runs: means over runs; seeds are resampled too."
    if any(len(row["runs"]) == 1 for row in results["rows"]):
        yield "The interval of a single run does not hold the noise of training it again."
    yield f"{_counted(results, metric)}."
    if any(score.get("includes_chance") for score in scores):
        yield f"{CHANCE} the interval includes {metric.chance}, what guessing gives."
    if any(score.get("few") and score["low"] is not None for score in scores):
        yield f"{SPARSE} fewer than {FEW} {' or '.join(metric.sides)}: the interval says little."
    if any(row["seconds"] is not None for row in results["rows"]):
        yield "Training: wall time of a run's own history, without what it started from."
    if any(row["boxes"] for row in results["rows"]):
        yield "Boxes hit: true boxes met at an IoU above 0.3."
    if results["findings_left_out"]:
        yield f"Not known to all runs and left out: {', '.join(results['findings_left_out'])}."
    reasons = {(f, why): None for row in results["rows"] for f, why in row["not_measurable"].items()}
    if reasons:
        told = ", ".join(f"{finding} ({why})" for finding, why in reasons)
        yield f"Not measurable in every run, and in no mean where blank: {told}."
    if results["synthetic"]:
        yield "Test images are SYNTHETIC, all or some."


def interval(score: Mapping[str, Any], form: str = ".3f") -> str:
    """Return ``0.612 [0.512, 0.701]``, with marks for what `notes` explains; a dash for nothing."""
    if score["value"] is None:
        return BLANK
    value = format(score["value"], form)
    if score["low"] is None:
        return value
    marks = (CHANCE if score.get("includes_chance") else "") + (SPARSE if score.get("few") else "")
    return f"{value} [{score['low']:{form}}, {score['high']:{form}}]{marks}"


def duration(seconds: float | None) -> str:
    """Return ``45 s``, ``12 min 3 s`` or ``2 h 5 min``; nothing for None."""
    if seconds is None:
        return ""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.3g} s" if seconds < 10 else f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def _gain(gain: Mapping[str, Any], images: int, against: str) -> str:
    other = "" if gain["against"] == against else f" to {gain['against']}"
    macro = gain["macro"]
    return interval(macro, "+.3f") + other + (f", {macro['n']} images" if macro["n"] != images else "")


def _boxes(boxes: Mapping[str, Any] | None) -> str:
    return "" if boxes is None else f"{interval(boxes)}, {boxes['hits']:g} of {boxes['n']}"


def _counted(results: Results, metric: Metric) -> str:
    """Return how many images and patients the rows rest on, and for F1 how many classes."""
    what = [f"{row['images']} images" + _of(row, results["patients_known"]) for row in results["rows"]]
    if metric.name == "f1":
        of = len(results["findings"])
        what = [f"{said}, {row['classes']} of {of} classes in the mean" for said, row in zip(what, results["rows"])]
    if len(set(what)) == 1:
        return f"Tested on {what[0]}"
    return "Tested on: " + "; ".join(f"{row['name']} {said}" for row, said in zip(results["rows"], what))


def _of(row: Mapping[str, Any], patients: bool) -> str:
    missed = f", {row['not_measured']} more not measured" if row["not_measured"] else ""
    return (f" of {row['patients']} patients" if patients else "") + missed


def _scores(row: Mapping[str, Any], metric: Metric) -> Sequence[Mapping[str, Any]]:
    return [row[metric.name]["macro"], *row[metric.name]["per_class"].values()]
