"""The data set `breast_ultrasound`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from medkit.contracts import IMAGE, LABEL, MASK, PATIENT, SYNTHETIC, Sample
from medkit.errors import ConfigError, DataError, did_you_mean
from medkit.folds import HELD_OUT, SECTIONS, Folds, Split, make_folds, ratio_folds, read_folds, spread
from medkit.lookalikes import look_alikes
from medkit.tables import write_csv
from medkit_breast_ultrasound.layout import CLASSES, Item, Layout, read

logger = logging.getLogger(__name__)

THRESHOLD = 160
"""Of 512 bits: in a gap among BUSI's pairs, none of which differs in 159 to 164. See the README."""
TASKS = {"classification": CLASSES, "segmentation": CLASSES, "tumour": ("tumour", "no tumour")}
"""What is asked for, and the classes of the label, in order."""


def breast_ultrasound(
    dataset_dir: str,
    section: str,
    *,
    folds: int = 5,
    fold: int = 0,
    seed: int = 0,
    split: Split = "grouped",
    test_fraction: float | None = None,
    validation_fraction: float = 0.1,
    folds_csv: str | None = None,
    tables_dir: str | None = None,
    task: Literal["classification", "segmentation", "tumour"] = "classification",
    missing: Literal["error", "list", "keep"] = "error",
    look_alike_threshold: int = THRESHOLD,
    without: int | None = None,
    share: float = 1.0,
    limit: int | None = None,
) -> list[Sample]:
    """Return one section of BUSI as published, by class and number.

    The folder is ``Dataset_BUSI_with_GT`` or its parent: ``benign/benign (1).png``, ``benign (1)_mask.png``, more masks
    as ``benign (1)_mask_1.png`` …; the same for ``malignant`` and ``normal``, whose masks are empty. It is never
    written to.

    Each sample has ``image`` (absolute path), ``label`` (one-hot (K,) float32), ``mask`` (list of paths, to be united
    by the transform `load_mask`), ``patient_id`` and ``synthetic``. BUSI has no patient ids: images that look alike
    (`medkit.lookalikes`), of whatever class, share one, ``group-0012``.

    **Sections.** Fold ``fold`` is the test set, the next one the validation set, the rest the training set. Groups stay
    together and classes in proportion; ``split="random"`` ignores the groups, as most published figures do, to measure
    what that is worth.

    Args:
        dataset_dir: the folder.
        section: ``training``, ``validation``, ``test``, ``all``, or ``held_out``: what ``without`` takes away.
        folds: K, at least 3.
        fold: which one is tested, 0…K-1.
        seed: another seed, another division.
        split: ``grouped`` or ``random``.
        test_fraction: where given, one division by ratio takes the place of the folds.
        validation_fraction: share of the images, with ``test_fraction``.
        folds_csv: the division as a file: read and checked where it is there, else written.
        tables_dir: where ``folds.csv``, ``look_alikes.csv``, ``look_alike_groups.csv`` and ``left_out.csv`` are
            written.
        task: ``tumour`` merges the label to one-hot (tumour, no tumour); ``classification`` and ``segmentation`` keep
            (benign, malignant, normal).
        missing: what becomes of an image without mask, a mask without image, a mask of another size, a name that two
            images share, an empty class, and an image that ``folds_csv`` has and the folder has not: an ``error``, or
            a warning and a row in ``left_out.csv``, with those images left out (``list``; a normal image without mask
            stays: it has nothing to segment). ``keep`` is ``list``, but an image without mask stays, without the key
            ``mask``, unless ``task`` is ``segmentation``.
        look_alike_threshold: bits of 512 in which look-alikes may differ.
        without: 0…K-3: leave this one of the training folds out of the training set.
        share: this part of the training section, spread evenly over it, for learning curves.
        limit: at most this many samples, spread evenly over the section.

    Raises:
        ConfigError: an option has no such value, or a table would be written into the data set.
        DataError: files are missing or wrong, a section lacks a class, or nothing is left.

    Reference:
        Al-Dhabyani, Gomaa, Khaled, Fahmy 2020, Data in Brief 28:104863, doi:10.1016/j.dib.2019.104863.
    """
    _one_of("section", section, (*SECTIONS, "all", HELD_OUT))
    _one_of("task", task, tuple(TASKS))
    _one_of("missing", missing, ("error", "list", "keep"))
    if limit is not None and limit < 1:
        raise ConfigError(f"limit must be at least 1, found {limit}")
    layout = read(Path(dataset_dir).expanduser().resolve())
    for path in filter(None, (folds_csv, tables_dir)):
        if Path(path).resolve().is_relative_to(layout.root) and not Path(path).is_file():
            raise ConfigError(f"{path} is inside the data set, which is never written to: name another folder")
    items, problems = _usable(layout, task, missing)
    options: dict[str, Any] = {"seed": seed, "split": split, "sparse": "error" if missing == "error" else "accept"}
    if test_fraction is not None:
        options |= {"test": test_fraction, "validation": validation_fraction}
        folds = 3
    else:
        options |= {"folds": folds}
    given = str(Path(dataset_dir).expanduser().resolve())
    division = _divided(items, folds_csv, tables_dir, given, look_alike_threshold, folds, missing != "error", options)
    if tables_dir:
        division.write(Path(tables_dir) / "folds.csv")
        rows = ({"file": name, "problem": problem} for name, problem in problems)
        write_csv(Path(tables_dir) / "left_out.csv", ["file", "problem"], rows)
    if test_fraction is not None and fold != 0:
        raise ConfigError(f"fold {fold} was asked for with test_fraction: a division by ratio has fold 0 only")
    chosen = division.section(section, fold, without).tolist()
    if not chosen:
        raise DataError(f'section "{section}" of fold {fold} in {layout.root} is empty: ask for fewer folds')
    if section == "training":
        chosen = [chosen[n] for n in spread(len(chosen), share)]
    if limit is not None and limit < len(chosen):
        chosen = [chosen[n * len(chosen) // limit] for n in range(limit)]
    return [_sample(items[n], division.groups[n], task) for n in chosen]


def _usable(layout: Layout, task: str, missing: str) -> tuple[list[Item], list[tuple[str, str]]]:
    """Return the images to use, and (file, problem) of what is wrong."""
    items, problems = list(layout.items), list(layout.problems)
    problems += [(name, "image without a mask") for name in layout.without_mask]
    there = {item.kind for item in items}
    problems += [(kind, "no image of this class") for kind in CLASSES if kind not in there]
    if problems:
        shown = "; ".join(f"{name}: {problem}" for name, problem in problems[:3])
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        found = f"{count} in {layout.root}: {shown}{'; …' if len(problems) > 3 else ''}"
        if missing == "error":
            raise DataError(f"{found}. Mend them, or go on without those files: missing=list.")
        logger.warning("%s. Going on.", found)
    if missing == "list" or task == "segmentation":
        items = [item for item in items if item.masks is not None or item.kind == "normal"]
    if not items:
        raise DataError(f"{layout.root} has no image with a mask: nothing to work with")
    return items, problems


def _divided(
    items: Sequence[Item],
    folds_csv: str | None,
    tables_dir: str | None,
    below: str,
    threshold: int,
    folds: int,
    part: bool,
    options: dict[str, Any],
) -> Folds:
    """Return the division that the file fixes, else a new one; write what is asked for."""
    names, kinds = [item.name for item in items], [item.kind for item in items]
    fixed = Path(folds_csv) if folds_csv else None
    division = None
    if fixed and fixed.is_file():
        division = read_folds(fixed, names, kinds, options["split"], part)
        if division.count != folds:
            raise DataError(f"{fixed} has {division.count} folds, {folds} were asked for: name another file")
    if division is None or tables_dir:
        alike = look_alikes([item.path for item in items], threshold)
        if tables_dir:
            alike.write(tables_dir, below=below)
        for path, reason in alike.unreadable.items():
            logger.warning("%s cannot be read: %s", path, reason)
        if division is None:
            way = ratio_folds if "test" in options else make_folds
            division = way(names, alike.names, kinds, **options)
            if fixed:
                division.write(fixed)
    return division


def _sample(item: Item, group: str, task: str) -> Sample:
    kind = item.kind if task != "tumour" else "no tumour" if item.kind == "normal" else "tumour"
    sample: Sample = {
        IMAGE: item.path,
        LABEL: np.array([kind == name for name in TASKS[task]], np.float32),
        PATIENT: group,
        SYNTHETIC: item.synthetic,
    }
    if item.masks is not None or item.kind == "normal":
        sample[MASK] = list(item.masks or ())
    return sample


def _one_of(option: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        hint = did_you_mean(str(value), choices)
        raise ConfigError(f'{option} "{value}" is unknown.{hint} Choices: {", ".join(choices)}.')
