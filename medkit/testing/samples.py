"""Samples as they reach post-processing, with known findings; the same each time."""

from __future__ import annotations

import numpy as np
import torch

from medkit import contracts as c
from medkit.masks import encode

FINDINGS = ["Mass", "Nodule", "Effusion"]
INPUT, FRAME = (48, 64), (96, 192)
"""Rows and columns of the network's input and of the original image."""


def decollated_sample(number: int, *, masks: bool = False) -> c.Sample:
    """Return one decollated sample with every key of `medkit.contracts` that a run can have by then.

    Args:
        number: of the patient; another one, other values. Each finding is present in about half of them, at a place
            and with logits that a network of middling skill would give.
        masks: a segmentation network's: mask logits (1,H,W) under ``pred``, and no logits and maps of findings.
    """
    random = np.random.default_rng(number)
    label = (random.random(len(FINDINGS)) < 0.5).astype(np.float32)
    boxes = np.full((4, 5), np.nan, np.float32)
    maps = random.random((len(FINDINGS), 6, 8)).astype(np.float32) * 0.2
    inside = np.zeros(FRAME, bool)
    for row, k in enumerate(np.flatnonzero(label)):
        top, left = int(random.integers(0, 4)), int(random.integers(0, 6))
        boxes[row] = k, 24 * left, 16 * top, 24 * (left + 2), 16 * (top + 2)
        maps[k, top : top + 2, left : left + 2] += 1
        inside[16 * top : 16 * (top + 2), 24 * left : 24 * (left + 2)] = True
    logits = (4 * label - 2 + random.normal(0, 1.5, len(FINDINGS))).astype(np.float32)
    mask_logits = (8 * inside[1::2, 1::3] - 4 + random.normal(0, 2, INPUT)).astype(np.float32)[None]
    sample: c.Sample = {
        c.IMAGE: torch.from_numpy(random.random((1, *INPUT)).astype(np.float32)),
        c.LABEL: torch.from_numpy(label),
        c.BOXES: torch.from_numpy(boxes),
        c.MASK: torch.from_numpy(inside[None, 1::2, 1::3].astype(np.float32)),
        c.PATIENT: f"patient-{number}",
        c.SYNTHETIC: True,
        c.FILE: f"patient-{number}.png",
        c.STATUS: "ok",
        c.REASON: "",
        c.SOURCE: "{}",
        c.FRAME_SIZE: torch.tensor(FRAME, dtype=torch.float64),
        c.FRAME_AFFINE: torch.diag(torch.tensor([FRAME[1] / INPUT[1], FRAME[0] / INPUT[0], 1], dtype=torch.float64)),
        c.FRAME_MASK: encode(inside),
        c.GATE: float(np.clip(random.normal(0.7 if inside.any() else 0.3, 0.2), 0, 1)),
    }
    if masks:
        return {**sample, c.PRED: torch.from_numpy(mask_logits)}
    probabilities = torch.from_numpy(logits).sigmoid()
    return {
        **sample,
        c.LOGITS: torch.from_numpy(logits),
        c.MAPS: torch.from_numpy(maps),
        c.PROBABILITIES: probabilities,
        c.PRESENT: probabilities >= 0.5,
    }
