"""A folder of phantoms in BUSI's layout: built once, whole or not at all, and recognised again.

Layout:
    ``Dataset_BUSI_with_GT/benign/benign (1).png``, ``benign (1)_mask.png``, ``benign (1)_mask_1.png`` …, and the same
    for ``malignant`` and ``normal``, whose masks are empty; masks are 1-bit, RGB or RGBA, as published
    ``inbox/01.png`` …   images of new patients, as a clinician would receive them
    ``patients.csv``     ``image,patient_id,class,masks``, an image a row; names of masks are joined by ``|``
    ``phantom.json``     options, and a hash of all of the above
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tqdm import tqdm

from medkit.made_once import made_once
from medkit.tables import write_csv
from medkit_phantom_ultrasound.image import draw_scan
from medkit_phantom_ultrasound.lesion import CLASSES

MARK = "SYNTHETIC phantom image, not a patient"
MANIFEST, TABLE, PUBLISHED = "phantom.json", "patients.csv", "Dataset_BUSI_with_GT"
SHARES = {"benign": 437 / 780, "malignant": 210 / 780, "normal": 133 / 780}
"""As in BUSI."""
COLUMNS = ("image", "patient_id", "class", "masks")
_VERSION = 1
"""Raised whenever the same options would give other images."""
_PLAN, _MASK_MODE = 11, 12
_SECOND_FRAME = 0.2
"""Share of the patients of whom there is a second frame, which looks like the first."""
_MASK_MODES = ("1", "RGB", "RGBA")
_NEW_PATIENT, _NEW_PATIENTS = 900_000, 12


@dataclass(frozen=True)
class Planned:
    """One image to draw: ``name`` below the folder, without the suffix."""

    name: str
    kind: str
    patient: int
    frame: int


def plan(images: int, seed: int) -> list[Planned]:
    """Return the images of a set, by class and number; frames of one patient have numbers far apart."""
    rng = np.random.default_rng([seed, _PLAN])
    planned: list[Planned] = []
    patient = 0
    for kind in CLASSES:
        end = round(images * sum(SHARES[k] for k in CLASSES[: CLASSES.index(kind) + 1])) - len(planned)
        frames: list[tuple[int, int]] = []
        while len(frames) < end:
            patient += 1
            frames += [(patient, 0), (patient, 1)] if rng.random() < _SECOND_FRAME else [(patient, 0)]
        numbers = enumerate(rng.permutation(end), start=1)
        planned += [Planned(f"{PUBLISHED}/{kind}/{kind} ({n})", kind, *frames[index]) for n, index in numbers]
    return planned


def ensure_folder(folder: Path, images: int, size: int, seed: int, quiet: bool) -> None:
    """Make ``folder`` hold the phantoms of these options, unless it does; see `medkit.made_once.made_once`.

    Raises:
        DataError: the folder holds something else, other phantoms, or phantoms that were changed.
    """
    options = {"version": _VERSION, "images": images, "size": size, "seed": seed}
    made_once(folder, MANIFEST, options, lambda new: _build(new, images, size, seed, quiet))


def _build(folder: Path, images: int, size: int, seed: int, quiet: bool) -> None:
    rows = []
    planned = plan(images, seed)
    kinds = np.random.default_rng([seed, _PLAN, 1]).permutation(np.resize(CLASSES, _NEW_PATIENTS))
    planned += [Planned(f"inbox/{n + 1:02d}", str(kind), _NEW_PATIENT + n, 0) for n, kind in enumerate(kinds)]
    for place in (*(f"{PUBLISHED}/{kind}" for kind in CLASSES), "inbox"):
        (folder / place).mkdir(parents=True)
    for item in tqdm(planned, desc="phantom ultrasound", unit="image", disable=quiet):
        scan = draw_scan(seed, item.patient, item.frame, item.kind, size)
        _save(folder / f"{item.name}.png", Image.fromarray(scan.pixels))
        names = []
        if not item.name.startswith("inbox/"):
            mode = np.random.default_rng([seed, _MASK_MODE, item.patient, item.frame]).choice(3, p=[0.8, 0.17, 0.03])
            for number, mask in enumerate(scan.masks or [np.zeros((size, size), bool)]):
                names.append(f"{item.name}_mask{f'_{number}' if number else ''}.png")
                _save(folder / names[-1], Image.fromarray(mask).convert(_MASK_MODES[mode]))
        patient = f"PHANTOM-{seed}-{item.patient:06d}"
        rows.append(dict(zip(COLUMNS, (f"{item.name}.png", patient, item.kind, "|".join(names)))))
    write_csv(folder / TABLE, COLUMNS, rows)


def _save(path: Path, picture: Image.Image) -> None:
    text = PngInfo()
    text.add_text("Comment", MARK)
    picture.save(path, pnginfo=text, compress_level=3)
