"""Who is in the set: patients, their images, and which image shows what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SHARES = {
    "Atelectasis": 12.0,
    "Cardiomegaly": 4.5,
    "Effusion": 12.5,
    "Infiltration": 13.0,
    "Mass": 10.0,
    "Nodule": 10.5,
    "Pneumonia": 2.0,
    "Pneumothorax": 9.5,
}
"""Thousands of images out of 120,000 that show a finding; 60,000 show none."""

SECTIONS = {"training": 0.6, "validation": 0.15, "test": 0.25}
_COMPANIONS = (0.0, 0.17, 0.02, 0.008)
"""Of the images with a finding, the fractions that show two, three and four."""


@dataclass(frozen=True)
class Planned:
    """One image to draw."""

    number: int
    patient: int
    section: str
    findings: tuple[str, ...]


def plan_cohort(rng: np.random.Generator, findings: Sequence[str], images: int) -> list[Planned]:
    """Return the images of a set: sections split by patient, every section with the same skewed mix of findings.

    Patients have one to five images. Counts are exact, not drawn, so that a rare finding is in every section and
    sets of different seeds are equally hard.
    """
    plan: list[Planned] = []
    patient = 0
    for section, fraction in SECTIONS.items():
        end = len(plan) + round(images * fraction)
        for shown in _finding_sets(rng, findings, end - len(plan)):
            same = plan and plan[-1].section == section and rng.random() < 0.45
            same = same and len([None for image in plan[-5:] if image.patient == patient]) < 5
            patient += not same
            plan.append(Planned(len(plan), patient, section, shown))
    return plan


def _finding_sets(rng: np.random.Generator, findings: Sequence[str], count: int) -> list[tuple[str, ...]]:
    """Return what each of ``count`` images shows, in random order: none to four findings, exact counts a finding."""
    left = np.array([max(1, round(count * SHARES[name] / 120)) for name in findings])
    sick = left.sum() / (1 + sum(extra * share for extra, share in enumerate(_COMPANIONS)))
    sets: list[tuple[str, ...]] = []
    for extra in range(min(len(_COMPANIONS), len(findings)) - 1, 0, -1):
        for _ in range(round(sick * _COMPANIONS[extra])):
            if np.count_nonzero(left) > extra:
                chosen = np.sort(rng.choice(len(findings), extra + 1, replace=False, p=left / left.sum()))
                left[chosen] -= 1
                sets.append(tuple(findings[k] for k in chosen))
    sets += [(name,) for name, number in zip(findings, left, strict=True) for _ in range(number)]
    sets += [()] * (count - len(sets))
    return [sets[k] for k in rng.permutation(len(sets))]
