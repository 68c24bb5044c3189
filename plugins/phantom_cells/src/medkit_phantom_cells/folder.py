"""A folder of phantom cells in Kaggle's layout: built once, whole or not at all, and recognised again.

Layout:
    ``train.csv``            ``Id,Target``: the classes 0…27 of an image, joined by spaces, in no order
    ``train/ID_red.png`` …   and ``_green``, ``_blue``, ``_yellow``: 8-bit grey
    ``sections.csv``         ``Id,section``: training, validation or test
    ``phantom_cells.json``   options, and a hash of all of the above

Unlike other phantoms the images have no word in their pixels: four channels are photographs of one place, and a text
in one of them would be a pattern to learn. The comment of every file says SYNTHETIC, and so does the manifest.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tqdm import tqdm

from medkit.made_once import made_once
from medkit.tables import write_csv
from medkit_phantom_cells.image import CHANNELS, draw_image
from medkit_phantom_cells.plan import plan

MARK = "SYNTHETIC phantom image, not a patient's cells"
MANIFEST, TABLE, DIVISION = "phantom_cells.json", "train.csv", "sections.csv"
_VERSION = 2
"""Raised whenever the same options would give other images."""


@dataclass(frozen=True)
class Options:
    """What decides the folder's content; see `medkit_phantom_cells.dataset.phantom_cells`."""

    images: int
    size: int
    minimum: int
    seed: int
    evaluated: int


def ensure_folder(folder: Path, options: Options, quiet: bool) -> None:
    """Make ``folder`` hold the phantoms of these options, unless it does; see `medkit.made_once.made_once`.

    Raises:
        DataError: the folder holds something else, other phantoms, or phantoms that were changed.
    """
    wanted = {"version": _VERSION, **asdict(options)}
    made_once(folder, MANIFEST, wanted, lambda new: _build(new, options, quiet))


def image_path(folder: Path, name: str, channel: str) -> Path:
    """Return the file of one channel of an image."""
    return folder / "train" / f"{name}_{channel}.png"


def _build(folder: Path, options: Options, quiet: bool) -> None:
    labels, sections = plan(options.images, options.minimum, options.seed, options.evaluated)
    names = [f"PHANTOM-{options.seed}-{number:06d}" for number in range(options.images)]
    rng = np.random.default_rng([options.seed, 302])
    targets = [" ".join(map(str, rng.permutation(np.flatnonzero(row)))) for row in labels]
    (folder / "train").mkdir()
    for number, name in enumerate(tqdm(names, desc="phantom cells", unit="image", disable=quiet)):
        _, pixels = draw_image(options.seed, number, np.flatnonzero(labels[number]).tolist(), options.size)
        for channel, plane in zip(CHANNELS, pixels, strict=True):
            _save(image_path(folder, name, channel), plane)
    write_csv(folder / TABLE, ["Id", "Target"], ({"Id": n, "Target": t} for n, t in zip(names, targets)))
    write_csv(folder / DIVISION, ["Id", "section"], ({"Id": n, "section": str(s)} for n, s in zip(names, sections)))


def _save(path: Path, pixels: np.ndarray) -> None:
    text = PngInfo()
    text.add_text("Comment", MARK)
    Image.fromarray(pixels).save(path, pnginfo=text, compress_level=1)
