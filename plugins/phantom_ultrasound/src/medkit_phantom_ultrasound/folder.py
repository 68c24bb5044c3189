"""A folder of phantoms in BUSI's layout: built once, whole or not at all, and recognised again.

Layout:
    ``Dataset_BUSI_with_GT/benign/benign (1).png``, ``benign (1)_mask.png``, ``benign (1)_mask_1.png`` …, and the same
    for ``malignant`` and ``normal``, whose masks are empty; masks are 1-bit, RGB or RGBA, as published
    ``inbox/01.png`` …   images of new patients, as a clinician would receive them
    ``patients.csv``     ``image,patient_id,class,masks``, an image a row; names of masks are joined by ``|``
    ``phantom.json``     options, and a hash of all of the above
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tqdm import tqdm

from medkit.errors import DataError
from medkit.files import require_writable
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
    """Make ``folder`` hold the phantoms of these options, unless it does.

    Built in a hidden folder beside it and renamed, so that it is whole or not there; of two builders at once the first
    to finish wins, and the other reads what it made. Nothing that is there is ever changed or deleted.

    Raises:
        DataError: the folder holds something else, other phantoms, or phantoms that were changed.
    """
    options = {"version": _VERSION, "images": images, "size": size, "seed": seed}
    if not folder.exists() or not any(folder.iterdir()):
        require_writable(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.partial-", dir=folder.parent))
        try:
            partial.chmod(0o755)
            _build(partial, images, size, seed, quiet)
            manifest = {"synthetic": True, "options": options, "contents": _contents(partial)}
            (partial / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
            try:
                partial.rename(folder)
            except OSError:
                if not (folder / MANIFEST).is_file():  # else another process was quicker: read its folder
                    raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    _check(folder, options)


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


def _check(folder: Path, options: dict[str, Any]) -> None:
    path = folder / MANIFEST
    if not path.is_file():
        raise DataError(f"{folder} is not empty and holds no phantoms (no {MANIFEST}): give an empty or a new folder")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        found, contents = dict(manifest["options"]), manifest["contents"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be read: delete {folder} and it is made again") from error
    if found != options:
        differing = ", ".join(f"{k} {found.get(k)} instead of {v}" for k, v in options.items() if found.get(k) != v)
        raise DataError(f"{folder} holds other phantoms ({differing}): delete it, or give another folder")
    if _contents_once(folder, contents) != contents:
        raise DataError(
            f"files in {folder} were changed, added or lost since it was made: delete it and it is made again"
        )


def _contents(folder: Path) -> str:
    """Return one SHA-256 over the names and bytes of all files but the manifest."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST):
        total.update(path.relative_to(folder).as_posix().encode() + b"\0")
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


@lru_cache(maxsize=8)
def _contents_once(folder: Path, expected: str) -> str:
    """Return `_contents`, read once a process for each manifest: a stage asks for several sections of one folder."""
    return _contents(folder)
