"""The data set `phantom`: chest patients made by a program, with known findings and boxes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medkit.contracts import Sample
from medkit.errors import ConfigError, did_you_mean
from medkit.tables import read_csv
from medkit_phantom.cohort import SECTIONS
from medkit_phantom.findings import FINDINGS
from medkit_phantom.folder import ensure_folder

_FEWEST_IMAGES = 60
"""So that each section has room for every finding."""


def phantom(
    dataset_dir: str,
    section: str,
    *,
    findings: Sequence[str] = tuple(FINDINGS),
    images: int = 3000,
    seed: int = 0,
    quiet: bool = False,
) -> list[Sample]:
    """Return samples of one section: ``image``, ``label`` (K,), ``boxes`` (N,5), ``patient_id``, ``synthetic`` True.

    The first call draws all patients and writes them under ``dataset_dir`` (see `medkit_phantom.folder`); later calls
    read them. The same options give the same bytes.

    Args:
        dataset_dir: an empty or new folder, or one that an earlier call with the same options made.
        section: ``training``, ``validation``, ``test``, ``all`` of these, or ``inbox``: 24 new patients' files, of
            which five are not for a chest model (lateral, hand, abdomen, child, colour photograph) and have neither
            label nor boxes.
        findings: what patients can have, in the order of the labels.
        images: in training, validation and test together, shared out 60 : 15 : 25 by patient.
        seed: other seeds give other patients, equally many with each finding.
        quiet: show no progress bar.

    Raises:
        ConfigError: an option is out of range.
        DataError: the folder holds something else.
    """
    findings = list(findings)
    for name in findings:
        if name not in FINDINGS:
            raise ConfigError(
                f'phantom has no finding "{name}".{did_you_mean(name, FINDINGS)} Known: {", ".join(FINDINGS)}.'
            )
    if not findings or len(set(findings)) < len(findings):
        raise ConfigError(f"phantom needs at least one finding and each once; got {findings}")
    if section not in (*SECTIONS, "all", "inbox"):
        raise ConfigError(f'phantom has no section "{section}": give {", ".join(SECTIONS)}, all or inbox')
    if images < _FEWEST_IMAGES or seed < 0:
        raise ConfigError(f"phantom needs images ≥ {_FEWEST_IMAGES} and seed ≥ 0; got {images} and {seed}")
    folder = Path(dataset_dir).expanduser().resolve()
    ensure_folder(folder, [name for name in FINDINGS if name in findings], images, seed, quiet)
    return _read(folder, section, findings)


def _read(folder: Path, section: str, findings: list[str]) -> list[Sample]:
    prefix = "inbox_" if section == "inbox" else ""
    boxes: dict[str, list[tuple[float, ...]]] = {}
    for row in read_csv(folder / f"{prefix}boxes.csv"):
        edges = (float(row[edge]) for edge in ("x_min", "y_min", "x_max", "y_max"))
        boxes.setdefault(row["image"], []).append((findings.index(row["finding"]), *edges))
    samples: list[Sample] = []
    for row in read_csv(folder / f"{prefix}labels.csv"):
        if section not in ("all", row["section"]):
            continue
        sample: Sample = {"image": str(folder / row["image"]), "patient_id": row["patient_id"], "synthetic": True}
        if row[findings[0]]:
            sample["label"] = np.array([float(row[name]) for name in findings], np.float32)
            sample["boxes"] = np.array(boxes.get(row["image"], []), np.float32).reshape(-1, 5)
        samples.append(sample)
    return samples
