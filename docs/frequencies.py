"""Turns a run's metrics.json into sentences about 1,000 images, in Markdown.

`python docs/frequencies.py runs/chest_gradcam/latest/metrics.json` prints them for your own run.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Counts:
    """What a model does with `of` images, `present` of which show a finding; whole numbers that add up."""

    of: int
    present: int
    hits: int
    false_alarms: int

    @property
    def named(self) -> int:
        """How many images the model names."""
        return self.hits + self.false_alarms


def counts(metrics: dict[str, Any], finding: str, of: int = 1000, present: int | None = None) -> Counts:
    """Return what sensitivity and specificity mean for `of` images; by default as many show it as in the test."""
    sensitivity, specificity = (metrics[name]["per_class"][finding] for name in ("sensitivity", "specificity"))
    if present is None:
        present = round(of * sensitivity["n"] / (sensitivity["n"] + specificity["n"]))
    hits, right = round(present * sensitivity["value"]), round((of - present) * specificity["value"])
    return Counts(of, present, hits, of - present - right)


def sentences(metrics: dict[str, Any], finding: str, present: int | None = None) -> str:
    """Return one finding in plain words."""
    c = counts(metrics, finding, present=present)
    kind = "such SYNTHETIC images" if metrics["synthetic"] else "such images"
    said = (
        f"Of {c.of:,} {kind}, **{c.present}** show {finding}. The model names it in **{c.hits}** of them and misses "
        f"**{c.present - c.hits}**. Of the {c.of - c.present} that do not show it, it names it in **{c.false_alarms}** "
        f"all the same. So of the {c.named} images that it names, **{c.hits}** show {finding}"
    )
    return said + (f": {round(100 * c.hits / c.named)} in 100." if c.named else ".")


def table(metrics: dict[str, Any]) -> str:
    """Return every finding as a row, with how many images of the test showed it."""
    heads = ["Finding", "Show it", "Named", "Missed", "Named wrongly", "Of those named, right", "Share named rests on"]
    rows = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for finding, sensitivity in metrics["sensitivity"]["per_class"].items():
        if sensitivity["value"] is None:
            rows.append(f"| {finding} | – | – | – | – | – | 0 images |")
            continue
        c = counts(metrics, finding)
        cells = [finding, c.present, c.hits, c.present - c.hits, c.false_alarms, f"{c.hits} of {c.named}"]
        cells.append(f"{sensitivity['n']} images; it may lie anywhere from {_range(sensitivity)} %")
        rows.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(rows)


def page(metrics: dict[str, Any], made: str, findings: tuple[str, str] = ("Mass", "Effusion"), rare: int = 10) -> str:
    """Return the page with two findings in words, one of them again where it is rare, and all in a table."""
    first, second = findings
    images = f"{metrics['images']} images of {metrics['patients']} patients"
    if metrics["synthetic"]:
        images = f"{images} who are SYNTHETIC: it says that the program works, and nothing about people"
    return f"""# A worked example

{made}
One run of `medkit run bundles/chest_gradcam` ([the options](reading.md)), measured on
{images}.
[How to read such numbers](numbers.md).

## Two findings in words

{sentences(metrics, first)}

{sentences(metrics, second)}

## The same model where {first} is rare

In the test {counts(metrics, first).present} of 1,000 images show {first}. Say that {rare} did, and that the model were
as sensitive and as specific as here:

{sentences(metrics, first, present=rare)}

The model is the same. What an alarm means is not.

## All findings, of 1,000 images

{table(metrics)}
"""


def _range(score: dict[str, float]) -> str:
    return f"{round(100 * score['low'])} to {round(100 * score['high'])}"


if __name__ == "__main__":
    print(table(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
