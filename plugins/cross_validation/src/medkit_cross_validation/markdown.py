"""The results as Markdown tables that can be pasted into a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from medkit_cross_validation.scores import TITLES, titles_of


def markdown(results: Mapping[str, Any]) -> str:
    """Return one table a kind and one for the learning curve, with what the numbers are below."""
    parts = [f"### {results['title']}"] if results["title"] else []
    for kind in TITLES:
        rows = [row for row in results["rows"] if row["kind"] == kind]
        if rows:
            parts.append(_table(kind.capitalize(), [(_label(row), row) for row in rows]))
    if curve := results["learning_curve"]:
        head = f"{_escaped(curve['name'])}: training images"
        parts.append(_table(head, [(str(p["training_images"]), p) for p in curve["points"]]))
    resamples = f"{results['resamples']} bootstrap resamples of patients or groups of look-alike images"
    notes = ["Each cell: value [95 % interval], n images.", f"Intervals: percentiles of {resamples}."]
    if results["missing_folds"]:
        notes.append(f"Not all folds: without {', '.join(results['missing_folds'])}.")
    if any("difference" in row for row in results["rows"]):
        notes.append("Δ: paired difference over the images that count in both rows, same resamples.")
    if any(row["kind"] == "multilabel" for row in results["rows"]):
        notes.append("AUROC of each finding: within each fold, mean over folds; n its positives.")
    for row in results["rows"]:
        if lacking := row.get("lacking"):
            folds = len(row["files"]) // len(row["seeds"])
            named = ", ".join(f"{_escaped(name)} ({count} of {folds} folds)" for name, count in lacking.items())
            notes.append(f"{_escaped(row['name'])}: not in the mean, for some folds cannot measure them: {named}.")
    if any(len(row["seeds"]) > 1 for row in results["rows"]):
        notes.append("Rows of several seeds: mean over seeds, image by image.")
    return "\n\n".join([*parts, " ".join(notes)]) + "\n"


def _table(head: str, rows: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Return one table: a line a row; with a score for every finding, a line a score."""
    titles = titles_of([row for _, row in rows])
    lines = [[head, "Images", *map(_escaped, titles.values())]]
    lines += [[label, _images(row), *(_cell(name, row) for name in titles)] for label, row in rows]
    if rows[0][1]["kind"] == "multilabel":
        lines = list(zip(*lines))
    return "\n".join(map(_line, [lines[0], ["---"] * len(lines[0]), *lines[1:]]))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _label(row: Mapping[str, Any]) -> str:
    against = f"<br>Δ against {_escaped(row['against'])}" if "against" in row else ""
    return _escaped(row["name"]) + against


def _images(row: Mapping[str, Any]) -> str:
    seeds = f", {len(row['seeds'])} seeds" if len(row["seeds"]) > 1 else ""
    missed = f", {row['not_measured']} not measured" if row["not_measured"] else ""
    return f"{row['images']} in {len(row['files'])} files{seeds}{missed}"


def _cell(name: str, row: Mapping[str, Any]) -> str:
    digits = 1 if name.startswith("hd95") else 3
    score, gain = row["scores"].get(name), row.get("difference", {}).get(name)
    if score is None or score["value"] is None:
        return "–"
    text = f"{_interval(score, f'.{digits}f')}, {score['n']}"
    if gain is not None and gain["value"] is not None:
        n = f", {gain['n']}" if gain["n"] != score["n"] else ""
        text += f"<br>Δ {_interval(gain, f'+.{digits}f')}{n} {gain['verdict']}".rstrip()
    return text


def _interval(score: Mapping[str, Any], form: str) -> str:
    value = format(score["value"], form)
    return value if score["low"] is None else f"{value} [{score['low']:{form}}, {score['high']:{form}}]"


def _escaped(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())
