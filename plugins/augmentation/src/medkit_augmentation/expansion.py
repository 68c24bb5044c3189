"""A data set and augmented copies of its training images, written once to be read by any network."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from monai.transforms import Resized
from torch.utils.data import DataLoader
from tqdm import tqdm

import medkit
from medkit import contracts as c
from medkit.errors import ConfigError, DataError, MedkitError
from medkit.files import require_writable, write_json
from medkit.folders import digest
from medkit.handlers import Problems
from medkit.tables import write_csv
from medkit_augmentation.affine import RandomAffined
from medkit_augmentation.copies import Copies, Failed, Made, Task
from medkit_augmentation.identity import described, differences, record
from medkit_augmentation.names import IMAGES, require_distinct, stems
from medkit_augmentation.tables import BOXES, LABELS, marks, write_boxes, write_labels

MANIFEST, PROBLEMS = "expansion.json", "problems.csv"
_VERSION = 2
"""Raised whenever the same options would give other images."""
_PATIENCE = 10.0
"""Seconds: the processes of a killed run finish their image first."""


class OfflineExpansion:
    """Writer: originals, ``copies`` augmented ones of each image of ``data``, and their tables.

    ``output_dir`` becomes a folder that the data set ``chest_xray`` reads: ``images/`` (8-bit grey PNG, ``STEM.png``
    and ``STEM_1.png`` …), ``labels.csv``, ``boxes.csv`` where boxes were drawn, ``problems.csv`` and, with what it was
    made of, ``expansion.json``. Images are read one at a time. The k-th copy of an image depends on ``seed``, the
    image's name and k alone. A run that was interrupted goes on where it stopped, to the same bytes; the tables come
    last.

    Args:
        data: samples that get copies.
        findings: names of the classes, in the order of the samples' labels.
        output_dir: a new folder, or that of a run with the same options.
        copies: augmented ones an image.
        seed: of the augmentation.
        size: (rows, columns) that images are brought to first (area); None keeps them as they are.
        reader: transforms that read ``image`` into (1,H,W), 0…1; default ``load_image``.
        transforms: transforms that make a copy, MONAI's ``Randomizable``; default ``random_affine``.
        section: that ``data`` is written as.
        others: section → samples that are written once, as they are.
        workers: processes beside this one.
        quiet: show no progress bar.

    Raises:
        ConfigError: an option out of range, or ``output_dir`` holds something else.
        DataError: two images of one name, a label that is not of ``findings``, or no image could be read.
    """

    def __init__(
        self,
        data: Sequence[c.Sample],
        findings: Sequence[str],
        output_dir: str,
        copies: int = 10,
        seed: int = 0,
        size: Sequence[int] | None = None,
        reader: Sequence[Any] | None = None,
        transforms: Sequence[Any] | None = None,
        section: str = "training",
        others: Mapping[str, Sequence[c.Sample]] | None = None,
        workers: int = 0,
        quiet: bool = False,
    ) -> None:
        if copies < 1 or workers < 0:
            raise ConfigError(f"offline_expansion: copies ≥ 1 and workers ≥ 0 expected, found {copies} and {workers}")
        if section in (others or {}):
            raise ConfigError(f'offline_expansion: section "{section}" is in data and in others: give it once')
        self.reader = [medkit.transform("load_image", keys=c.IMAGE)] if reader is None else list(reader)
        self.reader += [Resized(c.IMAGE, tuple(size), mode="area")] if size is not None else []
        self.transforms = [RandomAffined(c.IMAGE)] if transforms is None else deepcopy(list(transforms))
        self.findings = list(findings)
        self.folder = Path(output_dir)
        self.seed = seed
        self.workers = workers
        self.quiet = quiet
        parts = {section: data, **(others or {})}
        given = [(sample, name) for name, samples in parts.items() for sample in samples]
        paths = [str(sample[c.IMAGE]) for sample, _ in given]
        amounts = [copies if name == section else 0 for _, name in given]
        names = stems(paths)
        require_distinct(list(zip(names, amounts)), paths)
        self.tasks = [Task(*both, name, amount) for both, name, amount in zip(given, names, amounts)]
        for task in self.tasks:
            marks(task.sample, self.findings)
        self.options = {
            "version": _VERSION,
            "findings": self.findings,
            "copies": copies,
            "seed": seed,
            "section": section,
            "size": size if size is None else list(size),
            "reader": digest(described(self.reader))[:12],
            "transforms": digest(described(self.transforms))[:12],
            "data": digest([[task.stem, task.section, *record(task.sample)] for task in self.tasks])[:12],
        }

    def run(self) -> dict[str, int]:
        """Write what is not there yet; return the numbers of originals, copies and problems."""
        require_writable(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.folder / ".lock", timeout=_PATIENCE):
                self._begin()
                return self._finish(list(self._work()))
        except Timeout as error:
            raise ConfigError(f"{self.folder} is being written by another run: wait for its end") from error

    def _begin(self) -> None:
        """Check that the folder is ours, and remove what a killed run left half-written."""
        manifest = self.folder / MANIFEST
        if manifest.is_file():
            before = json.loads(manifest.read_text(encoding="utf-8")).get("options", {})
            if other := differences(before, self.options):
                raise ConfigError(
                    f"{self.folder} was made of other data or options ({'; '.join(other)}): "
                    "take the same, or another folder"
                )
        elif any(not path.name.startswith(".") for path in self.folder.iterdir()):
            raise ConfigError(f"{self.folder} is not empty and holds no expansion (no {MANIFEST}): give a new folder")
        else:
            write_json(manifest, {"options": self.options})
        left = [self.folder.glob(f".{name}.*") for name in (MANIFEST, LABELS, BOXES, PROBLEMS)]
        for path in chain(*left, (self.folder / IMAGES).glob(".*.png.*")):
            path.unlink()

    def _work(self) -> Iterator[tuple[Task, list[Made] | Failed]]:
        """Yield what became of each task, in order."""
        copies = Copies(self.tasks, self.folder, self.reader, self.transforms, self.seed)
        loader = DataLoader(
            copies,
            batch_size=None,
            num_workers=self.workers,
            collate_fn=_as_it_is,
            generator=torch.Generator(),  # leaves the program's random numbers alone
        )
        total = sum(task.copies + 1 for task in self.tasks)
        with tqdm(total=total, desc="expand", unit="image", disable=True if self.quiet else None) as bar:
            for task, outcome in zip(self.tasks, loader, strict=True):
                if isinstance(outcome, MedkitError | OSError):
                    raise outcome
                bar.update(task.copies + 1)
                yield task, outcome

    def _finish(self, outcomes: list[tuple[Task, list[Made] | Failed]]) -> dict[str, int]:
        done = [(task, made) for task, made in outcomes if not isinstance(made, Failed)]
        problems = [
            dict(zip(Problems.columns, (task.sample[c.IMAGE], "expand", failed.status, failed.reason)))
            for task, failed in outcomes
            if isinstance(failed, Failed)
        ]
        write_csv(self.folder / PROBLEMS, Problems.columns, problems)
        if not done:
            first = f"; the first, {problems[0]['file']}: {problems[0]['reason']}" if problems else ""
            raise DataError(f"none of {len(outcomes)} files could be read{first}")
        synthetic = any(one.synthetic for _, made in done for one in made)
        write_json(self.folder / MANIFEST, {"synthetic": synthetic, "options": self.options})
        write_boxes(self.folder, done, self.findings)
        write_labels(self.folder, done, self.findings)
        files = sum(len(made) for _, made in done)
        return {"originals": len(done), "copies": files - len(done), "problems": len(problems)}


def _as_it_is(item: Any) -> Any:
    return item
