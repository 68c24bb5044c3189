"""`medkit merge`: arguments in, text out."""

from __future__ import annotations

from typing import Any

import click

from medkit_ensemble.options import LABEL_MODES, METHODS, THRESHOLDS


def _names(context: click.Context, option: click.Parameter, text: str | None) -> list[str] | None:
    return text if text is None else [name.strip() for name in text.split(",")]


@click.command()
@click.argument("tables", nargs=-1, required=True, metavar="TABLE TABLE...")
@click.option("-o", "--output", required=True, metavar="FILE", help="The table to write.")
@click.option(
    "--method", type=click.Choice(METHODS), default=METHODS[0], show_default=True, help="How to merge, see above."
)
@click.option(
    "--validation",
    "validation_files",
    multiple=True,
    metavar="TABLE",
    help="The same model's table of labelled images; once for every TABLE, in the same order.",
)
@click.option("--thresholds", type=click.Choice(THRESHOLDS), help="Fit them on --validation.  [default: 0.5]")
@click.option(
    "--label-mode",
    type=click.Choice(LABEL_MODES),
    default=LABEL_MODES[0],
    show_default=True,
    help="multiclass: the most probable class alone is present.",
)
@click.option("--kaggle", is_flag=True, help="Write Kaggle's format: Id,Predicted.")
@click.option("--classes", callback=_names, metavar="A,B,...", help="What the numbers in Kaggle's format stand for.")
def merge(tables: tuple[str, ...], output: str, **options: Any) -> None:
    """Merge several models' tables of predictions into one.

    TABLE is a predictions.csv, or Kaggle's Id,Predicted with space-separated class numbers, which union and vote can
    merge. Rows are joined by image, whatever their order.

    \b
    mean       the mean of the probabilities
    union      present is what any model says
    vote       present is what more than half of the models say
    rank_mean  the mean rank among the images; needs --thresholds
    fitted     a mean weighted for the lowest log loss on --validation
    """
    from medkit_ensemble.merge import MergePredictions

    merger = MergePredictions(tables, output, **options)
    written = merger.run()
    for line in (*merger.notes, written):
        click.echo(str(line))
