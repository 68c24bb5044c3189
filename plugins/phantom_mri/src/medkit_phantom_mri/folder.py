"""A folder of phantom MRI: built once, whole or not at all, and recognised again.

Layout:
    ``yes/``, ``no/``           images of the classes, and volumes where asked for
    ``planted_duplicates.csv``  ``copy,original,kind``: what was copied from what
    ``images.csv``              ``image,label,patient_id,sequence,tumour``: what was drawn
    ``phantom_mri.json``        options, and a hash of all of the above
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from medkit.made_once import made_once
from medkit.tables import write_csv
from medkit_phantom_mri.copies import Item, changed, plan
from medkit_phantom_mri.files import draw_kind, draw_name, marked, write
from medkit_phantom_mri.head import draw_head
from medkit_phantom_mri.scan import draw_scan, draw_slice
from medkit_phantom_mri.tumour import LEVELS, draw_tumour

MANIFEST, DUPLICATES, IMAGES = "phantom_mri.json", "planted_duplicates.csv", "images.csv"
_VERSION = 1
"""Raised whenever the same options would give other images."""
_PLAN, _PATIENT, _FILE = 200, 201, 202
"""Streams of random numbers."""


@dataclass(frozen=True)
class Options:
    """What decides the folder's content; see `medkit_phantom_mri.dataset.phantom_mri`."""

    images: int
    duplicates: float
    tumours: float
    size: int
    volumes: int
    seed: int


def ensure_folder(folder: Path, options: Options, quiet: bool) -> None:
    """Make ``folder`` hold the phantoms of these options, unless it does; see `medkit.made_once.made_once`.

    Raises:
        DataError: the folder holds something else, other phantoms, or phantoms that were changed.
    """
    wanted = {"version": _VERSION, **asdict(options)}
    made_once(folder, MANIFEST, wanted, lambda new: _build(new, options, quiet))


def draw_patient(seed: int, patient: int, tumour: bool, size: int) -> tuple[np.ndarray, str, str]:
    """Return a patient's slice (size,size) float32 0…1, the sequence, and the kind of tumour, empty for none."""
    rng = np.random.default_rng([seed, _PATIENT, patient])
    head, scan, level = draw_head(rng), draw_scan(rng, size), rng.uniform(*LEVELS)
    mass = draw_tumour(rng, level) if tumour else None
    return draw_slice(head, scan, level, mass, rng, size), scan.sequence, mass.kind if mass else ""


def _build(folder: Path, options: Options, quiet: bool) -> None:
    items = plan(np.random.default_rng([options.seed, _PLAN]), options.images, options.duplicates, options.tumours)
    rows, names, drawn = [], {}, {}
    for place in ("yes", "no"):
        (folder / place).mkdir()
    for number, item in enumerate(tqdm(items, desc="phantom MRI", unit="image", disable=quiet)):
        names[number], facts = _save(folder, number, item, names, drawn, options)
        patient = f"PHANTOM-MRI-{options.seed}-{item.patient:05d}"
        rows.append(
            dict(zip(("image", "label", "patient_id"), (names[number], "yes" if item.tumour else "no", patient)))
        )
        rows[-1].update(zip(("sequence", "tumour"), facts))
    write_csv(folder / IMAGES, ["image", "label", "patient_id", "sequence", "tumour"], rows)
    copies = [
        {"copy": names[number], "original": names[item.original], "kind": item.kind}
        for number, item in enumerate(items)
        if item.original is not None
    ]
    write_csv(folder / DUPLICATES, ["copy", "original", "kind"], copies)
    if options.volumes:
        from medkit_phantom_mri.volumes import write_volumes  # ITK takes seconds to import

        write_volumes(folder, options.volumes, options.seed)


def _save(
    folder: Path, number: int, item: Item, names: dict[int, str], drawn: dict[int, Any], options: Options
) -> tuple[str, tuple[str, str]]:
    """Write an item; return its file's name in the folder and (sequence, kind of tumour)."""
    rng = np.random.default_rng([options.seed, _FILE, number])
    place = "yes" if item.tumour else "no"
    if item.patient not in drawn:
        pixels, *facts = draw_patient(options.seed, item.patient, item.tumour, options.size)
        drawn[item.patient] = marked(pixels), tuple(facts)
    pixels, facts = drawn[item.patient]
    if item.kind == "exact":
        source = folder / names[item.original]
        extension = source.suffix[1:] if rng.random() < 0.6 or source.suffix == ".png" else "JPG"
        name = f"{place}/{draw_name(rng, item.tumour, number + 1, extension)}"
        shutil.copyfile(source, folder / name)
    else:
        extension, mode = draw_kind(rng)
        name = f"{place}/{draw_name(rng, item.tumour, number + 1, extension)}"
        write(folder / name, changed(pixels, item.kind, rng), mode)
    return name, facts
