"""A folder of phantom patients: built once, whole or not at all, and recognised again.

Layout:
    ``images/``            the files of training, validation and test
    ``labels.csv``         ``image,patient_id,section,<finding>…`` with 1 and 0
    ``boxes.csv``          ``image,finding,x_min,y_min,x_max,y_max`` in pixels of the file
    ``inbox/``             files of new patients, as a clinician would receive them
    ``inbox_labels.csv``, ``inbox_boxes.csv``  what they show; empty for images that a chest model is not for
    ``phantom.json``       options, and a hash of all of the above
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from medkit.made_once import made_once
from medkit.tables import write_csv
from medkit_phantom.cohort import plan_cohort
from medkit_phantom.files import KINDS, Facts, write_colour, write_image
from medkit_phantom.findings import Box
from medkit_phantom.image import Radiograph, draw_radiograph
from medkit_phantom.strangers import draw_abdomen, draw_hand, draw_lateral, draw_photograph

MANIFEST = "phantom.json"
_VERSION = 1
"""Raised whenever the same options would give other images."""
COHORT, _FILE, _INBOX = 100, 101, 102
"""Streams of random numbers beside those of `medkit_phantom.image`."""
_CHEST_WIDTH_MM = 270.0
_NEW_PATIENTS = 19
_NEW_PATIENT_NUMBER = 900_000
"""Images and patients of the inbox are numbered from here: none of them is in another section."""


@dataclass
class _Tables:
    """What the CSV files will say."""

    findings: Sequence[str]
    labels: list[dict[str, Any]] = field(default_factory=list)
    boxes: list[dict[str, Any]] = field(default_factory=list)

    def add(self, image: str, patient: str, section: str, boxes: dict[str, Box] | None) -> None:
        shown = {} if boxes is None else {name: int(name in boxes) for name in self.findings}
        self.labels.append({"image": image, "patient_id": patient, "section": section, **shown})
        for name, box in (boxes or {}).items():
            corners = zip(("x_min", "y_min", "x_max", "y_max"), (f"{edge:g}" for edge in box), strict=True)
            self.boxes.append({"image": image, "finding": name, **dict(corners)})

    def write(self, folder: Path, prefix: str = "") -> None:
        columns = ["image", "patient_id", "section", *self.findings]
        write_csv(folder / f"{prefix}labels.csv", columns, self.labels)
        columns = ["image", "finding", "x_min", "y_min", "x_max", "y_max"]
        write_csv(folder / f"{prefix}boxes.csv", columns, self.boxes)


def ensure_folder(folder: Path, findings: Sequence[str], images: int, seed: int, quiet: bool) -> None:
    """Make ``folder`` hold the phantoms of these options, unless it does; see `medkit.made_once.made_once`.

    Raises:
        DataError: the folder holds something else, other phantoms, or phantoms that were changed.
    """
    options = {"version": _VERSION, "findings": list(findings), "images": images, "seed": seed}
    made_once(folder, MANIFEST, options, lambda new: _build(new, findings, images, seed, quiet))


def _build(folder: Path, findings: Sequence[str], images: int, seed: int, quiet: bool) -> None:
    (folder / "images").mkdir()
    (folder / "inbox").mkdir()
    plan = plan_cohort(np.random.default_rng([seed, COHORT]), findings, images)
    tables = _Tables(findings)
    for item in tqdm(plan, desc="phantom patients", unit="image", disable=quiet):
        radiograph = draw_radiograph(seed, item.patient, item.number, item.findings)
        stem = f"images/{item.number:05d}"
        image, patient = _save(folder, stem, seed, item.patient, item.number, radiograph)
        tables.add(image, patient, item.section, radiograph.boxes)
    tables.write(folder)
    inbox = _Tables(findings)
    _build_inbox(folder, inbox, seed)
    inbox.write(folder, "inbox_")


def _save(
    folder: Path, stem: str, seed: int, patient: int, number: int, drawn: Radiograph, age: int = 0
) -> tuple[str, str]:
    """Write a radiograph; return its file's name in the folder and the patient's id."""
    rng = np.random.default_rng([seed, _FILE, number])
    kind = str(rng.choice(list(KINDS), p=list(KINDS.values()))) if not age else "dx_window"
    patient_id = f"PHANTOM-{seed}-{patient:06d}"
    facts = Facts(
        key=f"{seed}/{number}",
        patient_id=patient_id,
        age=age or drawn.anatomy.age,
        sex="F" if drawn.anatomy.female else "M",
        view=drawn.projection,
        spacing_mm=_CHEST_WIDTH_MM / 2 / drawn.canvas.unit,
    )
    name = f"{stem}.{'png' if kind.startswith('png') else 'dcm'}"
    write_image(folder / name, drawn.pixels, kind, facts, rng)
    return name, patient_id


def _build_inbox(folder: Path, tables: _Tables, seed: int) -> None:
    """Write new patients' chests with mixed findings, and a few images that a chest model is not for."""
    rng = np.random.default_rng([seed, _INBOX])
    findings = tables.findings
    shown = [(), (), (), (), *[(name,) for name in findings]]
    while len(shown) < _NEW_PATIENTS:
        count = min(int(rng.integers(1, 4)), len(findings))
        chosen = np.sort(rng.choice(len(findings), count, replace=False))
        shown.append(tuple(findings[k] for k in chosen))
    strangers = {"lateral": draw_lateral, "hand": draw_hand, "abdomen": draw_abdomen, "child": None, "photograph": None}
    contents = [*shown[:_NEW_PATIENTS], *strangers]
    for place, index in enumerate(rng.permutation(len(contents))):
        content, number = contents[index], _NEW_PATIENT_NUMBER + place
        stem, patient_id = f"inbox/{place + 1:03d}", f"PHANTOM-{seed}-{number:06d}"
        if isinstance(content, tuple):
            radiograph = draw_radiograph(seed, number, number, content)
            image, _ = _save(folder, stem, seed, number, number, radiograph)
            tables.add(image, patient_id, "inbox", radiograph.boxes)
        elif content == "child":
            radiograph = draw_radiograph(seed, number, number, (), zoom=0.8)
            image, _ = _save(folder, stem, seed, number, number, radiograph, age=4)
            tables.add(image, patient_id, "inbox", None)
        elif content == "photograph":
            write_colour(folder / f"{stem}.png", draw_photograph(rng))
            tables.add(f"{stem}.png", patient_id, "inbox", None)
        else:
            view, part = {"lateral": ("LL", "CHEST"), "hand": ("PA", "HAND"), "abdomen": ("AP", "ABDOMEN")}[content]
            facts = Facts(f"{seed}/{number}", patient_id, int(rng.integers(30, 80)), "M", view, 1.3, part)
            write_image(folder / f"{stem}.dcm", strangers[content](rng), "dx_window", facts, rng)
            tables.add(f"{stem}.dcm", patient_id, "inbox", None)
