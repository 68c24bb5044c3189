"""K folds that keep groups together and classes in proportion, fixed in a file.

Fold k as the test set goes with fold k+1 (mod K) as the validation set and the rest as the training set, so that every
image is tested once and validated on once. Within the training set one of its K-2 folds can be held out in turn, for
predictions of a model that has not seen the image (Wolpert 1992, doi:10.1016/S0893-6080(05)80023-1). A single division
by ratio is three unequal folds: test, validation, training.
"""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Literal

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from medkit.errors import ConfigError, DataError, did_you_mean
from medkit.tables import read_csv, write_csv

SECTIONS = ("training", "validation", "test")
HELD_OUT = "held_out"
"""The part of the training set that `Folds.section` takes away where ``without`` is given."""
Split = Literal["grouped", "random"]
_COLUMNS = ("image", "group", "class", "fold", "split")


@dataclass(frozen=True)
class Folds:
    """Every image with its group, class and fold.

    Attributes:
        names: the N images, each once.
        groups: what must stay together, an image each.
        classes: class names, an image each.
        fold: (N,) int64 in 0…K-1.
        split: ``grouped``, or ``random`` where groups were not kept together, for comparison only.
    """

    names: list[str]
    groups: list[str]
    classes: list[str]
    fold: np.ndarray
    split: str = "grouped"

    @property
    def count(self) -> int:
        """K."""
        return int(self.fold.max()) + 1

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the sorted rows: equal where and only where the division is."""
        rows = sorted(map("\t".join, zip(self.names, self.groups, self.classes, map(str, self.fold))))
        return hashlib.sha256("\n".join(rows).encode(errors="surrogateescape")).hexdigest()

    def section(self, section: str, fold: int = 0, without: int | None = None) -> np.ndarray:
        """Return indices into `names`, ascending, of one section when ``fold`` is tested.

        Args:
            section: ``training``, ``validation``, ``test``, ``all``, or ``held_out``: what ``without`` takes away.
            fold: 0…K-1.
            without: 0…K-3: the training set without this one of its folds; they are numbered from ``fold + 2`` on.

        Raises:
            ConfigError: no such section or fold, or ``held_out`` without ``without``.
        """
        choices = (*SECTIONS, "all", HELD_OUT)
        if section not in choices:
            hint = did_you_mean(section, choices)
            raise ConfigError(f'section "{section}" is unknown.{hint} Choices: {", ".join(choices)}.')
        if not isinstance(fold, Integral) or not 0 <= fold < self.count:
            raise ConfigError(f"fold {fold} was asked for, there are {self.count}: give 0 to {self.count - 1}")
        held_out = np.zeros(len(self.fold), bool)
        if without is not None:
            if not isinstance(without, Integral) or not 0 <= without < self.count - 2 or self.count < 4:
                raise ConfigError(
                    f"without {without}: the training set has {self.count - 2} folds of which one can be held out; "
                    f"give 0 to {self.count - 3}, with at least 4 folds"
                )
            held_out = self.fold == (fold + 2 + without) % self.count
        elif section == HELD_OUT:
            raise ConfigError('section "held_out" needs without: which of the training folds is held out')
        test, validation = self.fold == fold, self.fold == (fold + 1) % self.count
        chosen = {"test": test, "validation": validation, "training": ~(test | validation | held_out)}
        chosen |= {"all": np.ones(len(self.fold), bool), HELD_OUT: held_out}
        return np.flatnonzero(chosen[section])

    def write(self, path: str | Path) -> None:
        """Write ``image, group, class, fold, split``, an image a row."""
        rows = zip(self.names, self.groups, self.classes, self.fold, [self.split] * len(self.names))
        write_csv(path, _COLUMNS, (dict(zip(_COLUMNS, row)) for row in rows))


def make_folds(
    names: Sequence[str],
    groups: Sequence[str],
    classes: Sequence[str],
    folds: int = 5,
    seed: int = 0,
    split: Split = "grouped",
    sparse: Literal["error", "accept"] = "error",
) -> Folds:
    """Divide images into K folds with scikit-learn's ``StratifiedGroupKFold``, or ``StratifiedKFold`` for ``random``.

    Args:
        names: the N images.
        groups: patient or look-alike group, an image each.
        classes: class name, an image each.
        folds: K, at least 3: test, validation and something to train on.
        seed: another seed, another division.
        split: ``random`` ignores the groups, so that what leaks between them can be measured.
        sparse: whether a class that some section lacks is an error.

    Raises:
        ConfigError: an option has no such value.
        DataError: a name twice, fewer groups than folds, or a class that some section lacks.
    """
    _check(names, groups, classes, split, seed)
    if not isinstance(folds, Integral) or folds < 3:
        raise ConfigError(f"folds {folds!r}: a whole number of at least 3 is needed, for test, validation and training")
    divided = Folds(list(names), list(groups), list(classes), _divide(groups, classes, folds, seed, split), split)
    return _complete(divided, sparse, range(folds))


def ratio_folds(
    names: Sequence[str],
    groups: Sequence[str],
    classes: Sequence[str],
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    split: Split = "grouped",
    sparse: Literal["error", "accept"] = "error",
) -> Folds:
    """Divide images once: fold 0 is the test set, 1 the validation set, 2 the training set; use ``fold=0``.

    Each part is one fold of scikit-learn's ``StratifiedGroupKFold``, so its share is the nearest 1/n: 0.2 is a fifth.

    Args:
        names: the N images.
        groups: patient or look-alike group, an image each.
        classes: class name, an image each.
        validation: share of the images, above 0, at most a half of what the test set leaves.
        test: share of the images, above 0, at most a half.
        seed: another seed, another division.
        split: ``random`` ignores the groups.
        sparse: whether a class that some section lacks is an error.

    Raises:
        ConfigError: an option has no such value.
        DataError: as `make_folds`.
    """
    _check(names, groups, classes, split, seed)
    if not (0 < test <= 0.5 and 0 < validation <= (1 - test) / 2):
        raise ConfigError(
            f"test {test} and validation {validation}: give test up to 0.5, validation up to half of the rest"
        )
    fold = np.full(len(names), 2)
    tested = _divide(groups, classes, round(1 / test), seed, split) == 0
    rest = np.flatnonzero(~tested)
    left = [groups[n] for n in rest.tolist()], [classes[n] for n in rest.tolist()]
    fold[rest[_divide(*left, round((1 - test) / validation), seed, split) == 0]] = 1
    fold[tested] = 0
    return _complete(Folds(list(names), list(groups), list(classes), fold, split), sparse, [0])


def read_folds(
    path: str | Path, names: Sequence[str], classes: Sequence[str], split: Split, part: bool = False
) -> Folds:
    """Return the division that a file fixes, in the order of ``names``.

    Args:
        path: written by `Folds.write`; by hand, ``split`` may be left out.
        names: the images that are there.
        classes: class name, an image each.
        split: what was asked for.
        part: images of the file may be missing from ``names``, never the other way round.

    Raises:
        DataError: the file is for other images or classes, or was made with another ``split``.
    """
    rows = {row.get("image", ""): row for row in read_csv(path)}
    try:
        folds = {name: int(row["fold"]) for name, row in rows.items()}
        groups = {name: row["group"] for name, row in rows.items()}
        given = {name: row["class"] for name, row in rows.items()}
    except (KeyError, ValueError) as error:
        raise DataError(
            f"{path} has the columns image, group, class and fold (a number): {error} is missing"
        ) from error
    new, lost = [n for n in names if n not in rows], sorted(set(rows) - set(names))
    if new or (lost and not part):
        found = f"{len(new)} images are new ({_some(new)}), {len(lost)} are gone ({_some(lost)})"
        raise DataError(f"{path} was made for other images: {found}. Name another file, or delete it to make it anew.")
    if moved := [n for n, name in zip(names, classes) if given[n] != name]:
        raise DataError(f"{path} gives another class for {len(moved)} images ({_some(moved)}): name another file")
    other = [row["split"] for row in rows.values() if row.get("split", split) not in (split, "")]
    apart = sorted(
        {g for g, count in Counter(g for g, _ in {(groups[n], folds[n]) for n in rows}).items() if count > 1}
    )
    if other or (apart and split == "grouped"):
        found = f'split "{other[0]}"' if other else f"{len(apart)} groups in several folds ({_some(apart)})"
        raise DataError(f'{path} holds {found}, split "{split}" was asked for: name another file')
    numbers = np.array([folds[n] for n in names], np.int64)
    if sorted(set(folds.values())) != list(range(max(folds.values(), default=-1) + 1)):
        raise DataError(f"{path}: folds are numbered from 0 without a gap, found {sorted(set(folds.values()))}")
    return Folds(list(names), [groups[n] for n in names], list(classes), numbers, split)


def _check(names: Sequence[str], groups: Sequence[str], classes: Sequence[str], split: str, seed: int) -> None:
    if not isinstance(seed, Integral) or seed < 0:
        raise ConfigError(f"seed {seed!r}: give a whole number from 0 on")
    if split not in ("grouped", "random"):
        raise ConfigError(f'split "{split}" is unknown: give grouped or random')
    if not len(names) == len(groups) == len(classes):
        raise ConfigError(f"{len(names)} names, {len(groups)} groups and {len(classes)} classes: one each is needed")
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise DataError(f"{len(twice)} images are named twice ({_some(twice)}): each may be in one fold only")


def _divide(groups: Sequence[str], classes: Sequence[str], folds: int, seed: int, split: str) -> np.ndarray:
    units = list(groups) if split == "grouped" else list(range(len(groups)))
    if len(set(units)) < folds:
        what = "groups" if split == "grouped" else "images"
        raise DataError(f"{len(set(units))} {what} cannot be divided into {folds} folds: ask for fewer")
    if max(Counter(classes).values()) < folds:
        raise DataError(f"no class has {folds} images, one a fold: ask for fewer folds")
    way = StratifiedGroupKFold if split == "grouped" else StratifiedKFold
    fold = np.zeros(len(units), np.int64)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)  # `_complete` says it better
        splitter, rows = way(folds, shuffle=True, random_state=seed), np.zeros((len(units), 1))
        parts = splitter.split(rows, classes, units) if split == "grouped" else splitter.split(rows, classes)
        for number, (_, tested) in enumerate(parts):
            fold[tested] = number
    return fold


def _complete(folds: Folds, sparse: str, tested: Sequence[int]) -> Folds:
    """Return ``folds`` where every section of every tested fold has every class."""
    classes = np.array(folds.classes)
    groups = {name: len({g for g, c in zip(folds.groups, classes) if c == name}) for name in sorted(set(classes))}
    lacking: dict[str, set[str]] = {}
    for fold in tested:
        for section in SECTIONS:
            there = set(classes[folds.section(section, fold)])
            for name in set(groups) - there:
                lacking.setdefault(name, set()).add(f"{section} of fold {fold}")
    if lacking and sparse == "error":
        listed = "; ".join(
            f"{name} ({groups[name]} groups) in {_some(sorted(lacking[name]))}" for name in sorted(lacking)
        )
        raise DataError(f"some sections lack a class: {listed}. Ask for fewer folds, another seed, or add images.")
    return folds


def _some(names: Sequence[str], count: int = 3) -> str:
    return ", ".join(names[:count]) + (", …" if len(names) > count else "") or "none"


def spread(count: int, share: float) -> list[int]:
    """Return ``share`` of the indices 0…count-1, at least one, spread evenly over them.

    Raises:
        ConfigError: ``share`` is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise ConfigError(f"share {share}: give a part of the section above 0, at most 1")
    kept = max(1, round(count * share))
    return [n * count // kept for n in range(kept)]
