"""`medkit expand`: arguments in, text out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from medkit import contracts as c
from medkit.build import build
from medkit.errors import ConfigError, DataError, did_you_mean
from medkit.overrides import parse

SECTIONS = ("training", "validation", "test")
_OF_DATASET = "dataset#"


def _names(context: click.Context, option: click.Parameter, text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _size(context: click.Context, option: click.Parameter, text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    columns, by, rows = text.lower().partition("x")
    if by and columns.isdecimal() and rows.isdecimal() and int(columns) and int(rows):
        return int(rows), int(columns)
    raise click.BadParameter(f'"{text}" is not WIDTHxHEIGHT, such as 256x256', context, option)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("dataset_dir")
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--findings", required=True, callback=_names, metavar="A,B,…", help="The classes, comma-separated.")
@click.option("--copies", type=click.IntRange(1), default=10, show_default=True, help="Augmented ones an image.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the augmentation.")
@click.option("--dataset", default="chest_xray", show_default=True, help="The part that reads DATASET_DIR.")
@click.option(
    "--section", type=click.Choice(SECTIONS), default="training", show_default=True, help="Whose images get copies."
)
@click.option("--size", callback=_size, metavar="WxH", help="Bring every image to this size first.")
@click.option("--workers", type=click.IntRange(0), help="Processes beside this one.  [default: one a core]")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[--dataset#KEY VALUE]...")
def expand(dataset_dir: str, output: Path, options: tuple[str, ...], **given: Any) -> None:
    """Write a data set with augmented copies of its training images.

    OUTPUT becomes a folder that the data set chest_xray reads: images/, labels.csv, boxes.csv. The images of the other
    sections are in it too, once and as they are. Run again, it does what a killed run has left.

    --dataset#KEY VALUE gives an option of the data set: --dataset#split_seed 1.
    """
    from medkit_augmentation.expansion import PROBLEMS, OfflineExpansion  # torch: not for --help

    folder = str(Path(dataset_dir).expanduser().resolve())
    reading = {"dataset_dir": folder, "findings": given["findings"], **_options(options)}
    parts = sections(given["dataset"], reading, given["section"])
    expansion = OfflineExpansion(
        data=parts.pop(given["section"]),
        findings=given["findings"],
        output_dir=str(output),
        copies=given["copies"],
        seed=given["seed"],
        size=given["size"],
        section=given["section"],
        others=parts,
        workers=_cores() if given["workers"] is None else given["workers"],
        quiet=given["quiet"],
    )
    count = expansion.run()
    click.echo(f"{count['originals']} originals and {count['copies']} copies in {output}")
    if count["problems"]:
        click.echo(f"{count['problems']} images could not be read: {output / PROBLEMS}")


def _options(words: tuple[str, ...]) -> dict[str, Any]:
    """Return the data set's options among what the command does not know."""
    given = parse(words)
    for key in given:
        if not key.startswith(_OF_DATASET):
            own = [param.name.replace("_", "-") for param in expand.params if isinstance(param, click.Option)]
            raise ConfigError(f'expand has no option "--{key}".{did_you_mean(key, own)} --help lists them.')
    return {key.removeprefix(_OF_DATASET): value for key, value in given.items()}


def sections(dataset: str, reading: dict[str, Any], expanded: str) -> dict[str, list[c.Sample]]:
    """Return the samples of each section that is not empty; data sets refuse to give an empty one.

    Raises:
        DataError: the section that is to be expanded is empty, or an image is in none.
    """
    every = build("dataset", dataset, {**reading, "section": "all"})
    parts: dict[str, list[c.Sample]] = {}
    refused = None
    for section in SECTIONS:
        try:
            parts[section] = build("dataset", dataset, {**reading, "section": section})
        except DataError as error:
            refused = error
            if section == expanded:
                raise
    if refused and sum(map(len, parts.values())) < len(every):
        raise refused
    return {name: samples for name, samples in parts.items() if samples}
