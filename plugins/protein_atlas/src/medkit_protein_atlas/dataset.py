"""The data set `protein_atlas`: one file a colour, several classes an image, every class in proportion."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from medkit.contracts import IMAGE, LABEL, PATIENT, SYNTHETIC, Sample
from medkit.errors import ConfigError, DataError, did_you_mean
from medkit.folds import SECTIONS
from medkit_protein_atlas.classes import CLASSES, columns
from medkit_protein_atlas.layout import ANCHOR, COLOURS, SUFFIXES, Parts, file_name, find_images, find_table
from medkit_protein_atlas.split import Split, divide
from medkit_protein_atlas.table import read_table

logger = logging.getLogger(__name__)


def protein_atlas(
    dataset_dir: str,
    section: str,
    *,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
    split_seed: int = 0,
    classes: Sequence[str] | None = None,
    table_classes: Sequence[str] = CLASSES,
    missing: Literal["auto", "error", "skip"] = "auto",
    limit: int | None = None,
) -> list[Sample]:
    """Return one section of the Human Protein Atlas in Kaggle's layout, in the order of the table.

    The folder holds ``train.csv`` (``Id,Target``; a target is the numbers of the classes, in any order, with spaces
    between them; a column ``synthetic`` with 1 where a program made the image is optional) and ``train/`` with
    ``<id>_red.png``, ``<id>_green.png``, ``<id>_blue.png`` and ``<id>_yellow.png``, or .tif, .tiff, .jpg, .jpeg. It may
    be ``train/`` itself, with the table in it or above it.

    Each sample has ``image`` (absolute path of the green file; the transform `load_channels` finds the others beside
    it), ``label`` ((K,) float32 of 0 and 1), ``patient_id`` (the id: nothing is known of patients) and ``synthetic``.

    **Sections.** Every class is in every section in proportion, see `medkit_protein_atlas.split.divide`; whatever files
    are there and whatever ``classes`` are asked for.

    Args:
        dataset_dir: the folder.
        section: ``training``, ``validation``, ``test`` or ``all``.
        validation_fraction: share of the images.
        test_fraction: share of the images.
        split_seed: another seed, another division.
        classes: the K classes, in the order of the label; default all. An image that shows only others has a label of
            zeros.
        table_classes: names of the numbers 0, 1, … in the table, for another set in the same layout.
        missing: what becomes of images without files. ``auto`` leaves out those with no file at all, for a part of the
            set is usual; one that lacks a colour stays, and becomes an error record when it is read. ``skip`` leaves
            out both, ``error`` raises for both.
        limit: at most this many samples, spread evenly over the section.

    Raises:
        ConfigError: an option has no such value.
        DataError: the table or images are missing or wrong, or nothing is left.

    Reference:
        Ouyang, Winsnes, Hjelmare et al. 2019, Nature Methods 16:1254, doi:10.1038/s41592-019-0658-6.
    """
    _one_of("section", section, (*SECTIONS, "all"))
    _one_of("missing", missing, ("auto", "error", "skip"))
    if limit is not None and limit < 1:
        raise ConfigError(f"limit must be at least 1, found {limit}")
    wanted = columns(classes, table_classes)
    folder = Path(dataset_dir).expanduser().resolve()
    table = read_table(find_table(folder), len(table_classes))
    split = divide(table.ids, table.labels, validation_fraction, test_fraction, split_seed)
    chosen = [n for n, (_, place) in enumerate(split.rows) if section in (place, "all")]
    if not chosen:
        raise DataError(f'section "{section}" of {table.path} is empty ({len(table.ids)} images): change the fractions')
    place, there = find_images(folder)
    chosen = _present([(n, table.ids[n]) for n in chosen], there, f'section "{section}" of {table.path.name}', missing)
    if limit is not None and limit < len(chosen):
        chosen = [chosen[i * len(chosen) // limit] for i in range(limit)]
    return [
        {
            IMAGE: str(place / file_name(there[table.ids[n]][0], ANCHOR)),
            LABEL: table.labels[n, wanted],
            PATIENT: table.ids[n],
            SYNTHETIC: table.synthetic[n],
        }
        for n in chosen
    ]


def split_table(
    dataset_dir: str,
    *,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
    split_seed: int = 0,
    table_classes: Sequence[str] = CLASSES,
) -> Split:
    """Return (Id, section) of every image of the table, and a SHA-256 of that; see `protein_atlas`.

    No image needs to be there.
    """
    columns(None, table_classes)
    table = read_table(find_table(Path(dataset_dir).expanduser().resolve()), len(table_classes))
    return divide(table.ids, table.labels, validation_fraction, test_fraction, split_seed)


def _present(
    chosen: Sequence[tuple[int, str]], there: dict[str, tuple[Parts, set[str]]], what: str, missing: str
) -> list[int]:
    """Return those whose files are there; name a file that is not."""
    none = [name for _, name in chosen if name not in there]
    some = [name for _, name in chosen if name in there and len(there[name][1]) < len(COLOURS)]
    if missing == "auto":
        some = []
    if absent := [*some, *none]:
        first = absent[0]
        parts, colours = there.get(first, (Parts(first, SUFFIXES[0]), set()))
        file = file_name(parts, next(colour for colour in COLOURS if colour not in colours))
        found = f"{len(absent)} of {len(chosen)} images in {what} lack files, first {file}"
        if missing == "error":
            raise DataError(f"{found}. Add them, or go on without those images: missing=skip.")
        if len(absent) == len(chosen):
            raise DataError(f"{found}. Put the images into train/.")
        logger.log(logging.WARNING if some else logging.INFO, "%s. Going on without those images.", found)
    left_out = set(absent)
    return [n for n, name in chosen if name not in left_out]


def _one_of(option: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        hint = did_you_mean(str(value), choices)
        raise ConfigError(f'{option} "{value}" is unknown.{hint} Choices: {", ".join(choices)}.')
