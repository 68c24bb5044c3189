"""One image after the other, read once, with its copies: the work of a process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.transforms import Compose, Transform
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch.utils.data import Dataset

from medkit import SafeCompose
from medkit import contracts as c
from medkit.errors import ConfigError, MedkitError
from medkit.files import whole
from medkit_augmentation.names import file_name

KEYWORD = "medkit expand"
MARK = "SYNTHETIC image, made by a program"
"""Comment of a file, as `load_image` reads it."""


@dataclass(frozen=True)
class Task:
    """One source image: a sample, its section, the name of its files and how many copies are made."""

    sample: c.Sample
    section: str
    stem: str
    copies: int


@dataclass(frozen=True)
class Made:
    """A file that is there: its (rows, columns), its boxes, rows ``class index, x_min, y_min, x_max, y_max``, and
    whether a program made what it shows."""

    size: tuple[int, int]
    boxes: list[list[float]] | None
    synthetic: bool


@dataclass(frozen=True)
class Failed:
    """A source that gave no file."""

    status: str
    reason: str


class Copies(Dataset[Any]):
    """Writes the files of each task that are not there yet; gives `Made` for each, or why there is none.

    A file carries its boxes and the size of its source, so what an earlier run has finished need not be read again.

    Args:
        tasks: the source images.
        folder: where ``images/`` lies.
        reader: transforms that read, without chance.
        transforms: transforms that make a copy; MONAI's ``Randomizable``.
        seed: of the copies: the k-th of an image depends on it, the image's name and k alone.
    """

    def __init__(
        self, tasks: Sequence[Task], folder: Path, reader: Sequence[Any], transforms: Sequence[Any], seed: int
    ) -> None:
        self.tasks = tasks
        self.folder = folder
        self.seed = seed
        once = _Once(Compose(reader))
        self.plain = SafeCompose([once], (1, 1), 0)
        self.random = SafeCompose([once, *transforms], (1, 1), 0)

    def __len__(self) -> int:
        return len(self.tasks)

    def __getitem__(self, index: int) -> list[Made] | Failed | MedkitError | OSError:
        """Return an error rather than raise it: a process would make many lines of it."""
        try:
            return self._files_of(self.tasks[index])
        except (MedkitError, OSError) as error:
            return error

    def _files_of(self, task: Task) -> list[Made] | Failed:
        source = Path(task.sample[c.IMAGE])
        source_bytes = source.stat().st_size if source.is_file() else None
        paths = [self.folder / file_name(task.stem, copy) for copy in range(task.copies + 1)]
        made = []
        for copy, path in enumerate(paths):
            found = _read(path, source_bytes)
            if found is None:
                failed = self._write(path, task, copy, source_bytes)
                if failed:
                    for each in paths:
                        each.unlink(missing_ok=True)
                    return failed
                found = _read(path, source_bytes)
            made.append(found)
        return made

    def _write(self, path: Path, task: Task, copy: int, source_bytes: int | None) -> Failed | None:
        wanted = {key: value for key, value in task.sample.items() if key not in (c.BOXES, c.LABEL)}
        if copy:
            draw = hashlib.sha256(f"{self.seed}/{task.stem}/{copy}".encode()).digest()
            self.random.set_random_state(seed=int.from_bytes(draw[:4], "big"))
        sample = (self.random if copy else self.plain)(wanted)
        if sample[c.STATUS] != "ok":
            return Failed(sample[c.STATUS], sample[c.REASON])
        pixels = sample[c.IMAGE]
        if pixels.ndim != 3 or len(pixels) != 1:
            raise ConfigError(
                f"offline_expansion: an image of shape {tuple(pixels.shape)}: grey ones (1,H,W) are written"
            )
        boxes = task.sample.get(c.BOXES)
        facts = {
            "boxes": None if boxes is None else moved(np.asarray(boxes), sample[c.FRAME_AFFINE], pixels.shape[1:]),
            "source_bytes": source_bytes,
            "synthetic": sample[c.SYNTHETIC],
        }
        text = PngInfo()
        text.add_text(KEYWORD, json.dumps(facts))
        if sample[c.SYNTHETIC]:
            text.add_text("Comment", MARK)
        grey = (pixels[0].clamp(0, 1) * 255).round().to(torch.uint8).numpy()
        with whole(path, durable=False) as temporary:
            Image.fromarray(grey).save(temporary, "PNG", pnginfo=text, compress_level=4)
        return None


def moved(boxes: np.ndarray, frame_affine: np.ndarray, size: Sequence[int]) -> list[list[float]]:
    """Return boxes on a copy's pixels, to a hundredth: what encloses the moved corners, as far as it is in the image.

    Args:
        boxes: (N,5) ``class index, x_min, y_min, x_max, y_max`` in the frame.
        frame_affine: (3,3) from the copy to the frame.
        size: (rows, columns) of the copy.

    Raises:
        ConfigError: the transforms dropped the metadata, so the copy's place is not known.
    """
    if len(boxes) and np.isnan(frame_affine).any():
        raise ConfigError(
            "offline_expansion: a transform dropped MONAI's metadata, so boxes cannot follow: leave it out"
        )
    rows = []
    for index, *edges in boxes.tolist():
        corners = np.array([(x, y, 1) for x in edges[::2] for y in edges[1::2]])
        x, y = (corners @ np.linalg.inv(frame_affine).T)[:, :2].T
        x, y = x.clip(0, size[1]).round(2), y.clip(0, size[0]).round(2)
        if x.min() < x.max() and y.min() < y.max():
            rows.append([index, x.min().item(), y.min().item(), x.max().item(), y.max().item()])
    return rows


def _read(path: Path, source_bytes: int | None) -> Made | None:
    """Return what a file of ours says, None where it is not there or was made of another source file."""
    try:
        with Image.open(path) as image:
            facts = json.loads(image.info[KEYWORD])
            if source_bytes in (None, facts["source_bytes"]):
                return Made((image.height, image.width), facts["boxes"], facts["synthetic"])
    except (OSError, KeyError, ValueError):
        pass
    return None


class _Once(Transform):
    """Reads a file once for all of its copies."""

    def __init__(self, transform: Any) -> None:
        self.transform = transform
        self.path = None
        self.sample: dict[Any, Any] = {}

    def __call__(self, data: Mapping[Any, Any]) -> dict[Any, Any]:
        if self.path != data[c.FILE]:
            self.path = None
            self.sample = self.transform(dict(data))
            self.path = data[c.FILE]
        return {**self.sample, c.IMAGE: self.sample[c.IMAGE].clone()}
