"""`medkit compare`: arguments in, text out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

_FILES = ("comparison.png", "comparison.md", "comparison.csv", "comparison.json")


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="[NAME=]RUN...")
@click.option("--metric", default="auroc", show_default=True, help="auroc: of probabilities; f1: of decisions.")
@click.option("--against", metavar="NAME", help="The row that all others are compared with.  [default: the first]")
@click.option("--patients", metavar="FILE", help="CSV with the columns image and patient_id.")
@click.option("--resamples", type=click.IntRange(100), default=2000, show_default=True, help="For the intervals.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the resamples.")
@click.option("-o", "--output", default="comparison", show_default=True, help="The folder that the files go to.")
def compare(runs: tuple[str, ...], output: str, **options: Any) -> None:
    """Compare finished runs in one table and one plot.

    RUN is what medkit run has left, such as runs/chest_gradcam/latest. NAME=RUN names its row; runs of one name (seeds,
    folds) form one row, and a quoted pattern stands for all that it matches: vgg='runs/vgg/seed*'.

    The table is printed, and written with the plot to the folder comparison.
    """
    from medkit_comparison.table import ComparisonTable
    from medkit_comparison.terminal import lines

    written = ComparisonTable(".", output, rows_of(runs), **options).run()
    for line in lines(json.loads(written.read_text(encoding="utf-8")), shutil.get_terminal_size((120, 24)).columns):
        click.echo(line)
    click.echo("")
    for name in _FILES:
        click.echo(str(Path(output) / name))


def rows_of(given: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows that ``[NAME=]RUN`` ask for; one without a name is called by what of its path differs."""
    named = [("", text) if Path(text).exists() else _split(text) for text in given]
    short = _short([Path(run).absolute().parts for _, run in named])
    rows: list[dict[str, Any]] = []
    for (name, run), part in zip(named, short):
        known = next((row for row in rows if name and row["name"] == name), None)
        if known:
            known["runs"].append(run)
        else:
            rows.append({"name": name or part, "runs": [run]})
    return rows


def _split(text: str) -> tuple[str, str]:
    name, found, run = text.partition("=")
    return (name, run) if found else ("", text)


def _short(paths: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the paths without the parts that all begin with, or all end with."""
    start = end = 0
    shortest = min(map(len, paths), default=0)
    while start < shortest - 1 and len({path[start] for path in paths}) == 1:
        start += 1
    while end < shortest - 1 - start and len({path[-1 - end] for path in paths}) == 1:
        end += 1
    return ["/".join(path[start : len(path) - end]) for path in paths]
