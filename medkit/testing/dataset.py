"""What is asked of a data set: MONAI's list of dictionaries, in a fixed order, sections apart by patient."""

from __future__ import annotations

import atexit
import pickle
import random
import shutil
import tempfile
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from medkit import contracts as c
from medkit.errors import ConfigError, DataError
from medkit.testing.part import Conformance, NeedsOptions, expecting, require
from medkit.testing.postprocessor import same


class DatasetConformance(Conformance):
    """The checks of a data set, in a folder that `make_dataset_dir` fills; it is made once for all checks of a class.

    Attributes:
        sections: those that it can give; one of ``training``, ``validation``, ``test`` or only ``all`` for new images.
    """

    kind = "dataset"
    sections: ClassVar[Sequence[str]] = ("training", "validation", "test", "all")

    def make_dataset_dir(self, folder: Path) -> None:
        """Put a small data set of a few patients into an empty folder; nothing, for a data set that makes its own."""
        raise NeedsOptions(f'dataset "{self.component}" needs make_dataset_dir, which puts data into a folder')

    @property
    def dataset_dir(self) -> str:
        """The folder that `make_dataset_dir` has filled."""
        return _made(self)

    def samples(self, section: str, **changes: Any) -> list[c.Sample]:
        """Return the samples of a section."""
        folder = changes.pop("dataset_dir", None) or self.dataset_dir
        with expecting(f"section {section} of the data", "see medkit.contracts.Dataset"):
            samples = self.build(dataset_dir=folder, section=section, **changes)
        require(isinstance(samples, list), f"a list of samples was asked for, {type(samples).__name__} was found")
        return list(samples)

    def test_every_sample_is_as_the_contract_says(self) -> None:
        widths = set()
        for section in self.sections:
            samples = self.samples(section)
            require(samples, f"samples of section {section} were asked for, none were found")
            for sample in samples:
                _require_contract(sample)
                widths |= {len(sample[c.LABEL])} if c.LABEL in sample else set()
        require(len(widths) <= 1, f"labels of one length were asked for, {sorted(widths)} were found")

    def test_the_order_is_fixed(self) -> None:
        for section in self.sections:
            random.seed(1)
            np.random.seed(1)
            first = self.samples(section)
            random.seed(2)
            np.random.seed(2)
            require(
                same(first, self.samples(section)),
                f"section {section} gave other samples, or another order, the second time: sort files by name, and "
                "split with a seed of your own",
            )

    def test_sections_share_no_patient_and_no_image(self) -> None:
        apart = {name: self.samples(name) for name in self.sections if name != "all"}
        for (one, first), (other, second) in combinations(apart.items(), 2):
            for key in (c.PATIENT, c.IMAGE):
                shared = {s[key] for s in first if s.get(key)} & {s[key] for s in second if s.get(key)}
                if key == c.IMAGE:  # slices of one volume share its file
                    shared = {n for n in shared if not any(s.get(c.PATIENT) for s in first if s[key] == n)}
                require(
                    not shared,
                    f"{one} and {other} share {len(shared)} of {key}, {next(iter(shared), '')} for instance: split by "
                    "patient, or scores are too good",
                )

    def test_all_is_every_section_together(self) -> None:
        if "all" in self.sections:
            parts = [s for name in self.sections if name != "all" for s in self.samples(name)]
            missing = {s[c.IMAGE] for s in parts} - {s[c.IMAGE] for s in self.samples("all")}
            require(not missing, f"section all lacks {len(missing)} images of the other sections: give every image")

    def test_a_missing_folder_is_a_data_error(self) -> None:
        found = self.refusal(dataset_dir=str(Path(self.dataset_dir) / "not" / "there"), section=self.sections[0])
        require(
            isinstance(found, DataError),
            f"a DataError for a folder that is not there was asked for, {_told(found)} was found: say what is missing "
            "and what to do; an empty list hides the mistake",
        )

    def test_an_unknown_section_is_an_error(self) -> None:
        found = self.refusal(dataset_dir=self.dataset_dir, section="trainig")
        require(
            isinstance(found, ConfigError | DataError),
            f'a ConfigError for section "trainig" was asked for, {_told(found)} was found: name the sections there are',
        )

    def test_samples_go_to_workers(self) -> None:
        samples = self.samples(self.sections[0])
        with expecting("samples that can be pickled", "keep paths, numbers and arrays in them"):
            copied = pickle.loads(pickle.dumps(samples))
        require(same(samples, copied), "pickled samples differ from the original ones")


_FOLDERS: dict[type[DatasetConformance], str] = {}


def _made(case: DatasetConformance) -> str:
    if type(case) not in _FOLDERS:
        folder = tempfile.mkdtemp(prefix="medkit-conformance-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        case.make_dataset_dir(Path(folder))
        _FOLDERS[type(case)] = folder
    return _FOLDERS[type(case)]


def _told(error: Exception | None) -> str:
    return "nothing raised" if error is None else f"{type(error).__name__}: {error}"


def _require_contract(sample: c.Sample) -> None:
    require(isinstance(sample, dict), f"a dictionary a sample was asked for, {type(sample).__name__} was found")
    path = sample.get(c.IMAGE)
    require(
        isinstance(path, str) and Path(path).is_absolute() and Path(path).exists(),
        f"image: the absolute path of a file, as str, was asked for, {path!r} was found",
    )
    if c.LABEL in sample:
        label = sample[c.LABEL]
        require(
            isinstance(label, np.ndarray) and label.ndim == 1 and label.dtype == np.float32,
            f"label: (K,) float32 was asked for, {getattr(label, 'shape', '')} {getattr(label, 'dtype', type(label))} "
            "was found: np.array(values, np.float32)",
        )
        require(
            set(label[~np.isnan(label)].tolist()) <= {0.0, 1.0},
            f"label: 1 present, 0 absent, NaN unknown were asked for, {label.tolist()} was found",
        )
    if c.BOXES in sample:
        _require_boxes(np.asarray(sample[c.BOXES]), len(sample.get(c.LABEL, ())))
    if c.MASK in sample:
        masks = sample[c.MASK]
        require(
            isinstance(masks, list) and all(isinstance(m, str) and Path(m).is_file() for m in masks),
            f"mask: a list of paths was asked for, {masks!r} was found; an empty list where nothing is to segment",
        )
    if c.PATIENT in sample:
        require(isinstance(sample[c.PATIENT], str), f"patient_id: str was asked for, {sample[c.PATIENT]!r} was found")
    if c.SYNTHETIC in sample:
        require(isinstance(sample[c.SYNTHETIC], bool), f"synthetic: bool was asked for, {sample[c.SYNTHETIC]!r} found")


def _require_boxes(boxes: np.ndarray, classes: int) -> None:
    require(
        boxes.ndim == 2 and boxes.shape[1] == 5 and boxes.dtype == np.float32,
        f"boxes: (N,5) float32 was asked for, {boxes.shape} {boxes.dtype} was found; none is (0,5)",
    )
    for k, x_min, y_min, x_max, y_max in boxes.tolist():
        require(
            0 <= k < max(classes, 1) and 0 <= x_min < x_max and 0 <= y_min < y_max,
            f"boxes: class index, x_min, y_min, x_max, y_max in pixels were asked for, "
            f"{[k, x_min, y_min, x_max, y_max]} was found",
        )
