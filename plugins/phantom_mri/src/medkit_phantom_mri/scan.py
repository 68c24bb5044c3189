"""What a scanner makes of a slice: the sequence's contrast, coil sensitivity, blur and Rician noise.

Rician noise: Gudbjartsson, Patz 1995, Magnetic Resonance in Medicine 34:910, doi:10.1002/mrm.1910340618.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from medkit_phantom_mri.head import Head, Tissue, band_noise, head_grid, tissues
from medkit_phantom_mri.tumour import Tumour, displaced, is_brain, shares

SEQUENCES = {
    #            air   scalp bone  fluid grey  white vessel | core  rim   mass  oedema
    "t1": (0.00, 0.85, 0.07, 0.16, 0.46, 0.62, 0.70, 0.24, 0.52, 0.30, 0.42),
    "t1_contrast": (0.00, 0.85, 0.07, 0.15, 0.46, 0.60, 1.00, 0.22, 1.00, 0.86, 0.44),
    "t2": (0.00, 0.70, 0.05, 0.98, 0.56, 0.40, 0.06, 0.92, 0.50, 0.78, 0.80),
    "flair": (0.00, 0.55, 0.05, 0.12, 0.52, 0.42, 0.20, 0.40, 0.72, 0.80, 0.82),
}
"""Signal of each tissue, then of the parts of a tumour, by sequence; 1 is the brightest."""
_PARTS = {"core": 7, "rim": 8, "mass": 9, "oedema": 10}


@dataclass(frozen=True)
class Scan:
    """How one image, or one volume, was taken.

    Attributes:
        sequence: one of `SEQUENCES`.
        signals: of `SEQUENCES`, each a little different.
        bias: (side,side) float32, the coil's sensitivity.
        noise: deviation of each of the two channels.
        blur: deviation of the point spread, in pixels.
        gain: brightness of the picture.
        gamma: of the picture.
    """

    sequence: str
    signals: np.ndarray
    bias: np.ndarray
    noise: float
    blur: float
    gain: float
    gamma: float


def draw_scan(rng: np.random.Generator, side: int) -> Scan:
    """Return how an image of ``side`` pixels is taken."""
    sequence = str(rng.choice(list(SEQUENCES), p=[0.25, 0.3, 0.25, 0.2]))
    signals = np.array(SEQUENCES[sequence]) * rng.normal(1, 0.05, len(SEQUENCES[sequence]))
    signals[Tissue.SCALP] *= rng.uniform(0.45, 1.1)
    small = band_noise(rng, 32, 14, 64)
    bias = cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)
    return Scan(
        sequence=sequence,
        signals=signals.astype(np.float32),
        bias=np.exp(rng.uniform(0.03, 0.14) * bias).astype(np.float32),
        noise=rng.uniform(0.012, 0.05),
        blur=rng.uniform(0.55, 1.1) * side / 256,
        gain=rng.uniform(0.72, 1.1),
        gamma=rng.uniform(0.8, 1.25),
    )


def draw_slice(
    head: Head, scan: Scan, level: float, tumour: Tumour | None, rng: np.random.Generator, side: int
) -> np.ndarray:
    """Return an axial slice (side,side) float32, 0…1, front at the top.

    Args:
        head: whose.
        scan: how it is taken.
        level: where; see `medkit_phantom_mri.head.tissues`.
        tumour: None for none.
        rng: draws what differs from slice to slice: noise and distractors.
        side: pixels.
    """
    tissue, radius = tissues(head, level, side)
    x, y, _ = head_grid(head, level, side)
    if tumour is not None and (parts := shares(tumour, x, y, level)):
        tissue = displaced(tumour, head, tissue, x, y, radius)
    else:
        parts = {}
    signal = scan.signals[tissue]
    signal = signal * (1 + 0.03 * cv2.resize(band_noise(rng, 128, 4, 40), (side, side)))
    _distract(signal, scan, x, y, radius, is_brain(tissue), rng)
    for name, share in parts.items():
        where = share * (tumour.conspicuity if name != "oedema" else tumour.conspicuity * 0.8)
        where = where * _room(name, tumour, tissue, radius)
        signal = signal + where * (scan.signals[_PARTS[name]] - signal)
    blurred = cv2.GaussianBlur(signal.astype(np.float32), (0, 0), scan.blur) * scan.bias
    real, imaginary = rng.normal(0, scan.noise, (2, side, side)).astype(np.float32)
    shown = np.clip(np.hypot(blurred + real, imaginary) * scan.gain, 0, 1)
    return shown**scan.gamma


def _room(name: str, tumour: Tumour, tissue: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Return where a part of a tumour can be, (H,W) 0…1: swelling keeps to white matter, masses inside the skull."""
    if name == "oedema":
        return np.where(tissue == Tissue.WHITE, 1.0, np.where(tissue == Tissue.GREY, 0.35, 0.0)).astype(np.float32)
    inside = (radius < 0.84).astype(np.float32)
    return inside * np.where(tissue == Tissue.FLUID, 0.5, 1.0) if tumour.kind == "diffuse" else inside


def _distract(
    signal: np.ndarray,
    scan: Scan,
    x: np.ndarray,
    y: np.ndarray,
    radius: np.ndarray,
    brain: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Draw into ``signal`` what is no tumour and may look like one; equally often with and without one."""
    vessel = scan.signals[Tissue.VESSEL]
    sinus = np.hypot(x, (y - 0.86) * 1.0) < rng.uniform(0.025, 0.05)
    signal[sinus & (radius < 0.9)] = vessel
    for _ in range(rng.integers(2, 9)):  # vessels cut across, in furrows and beside the midline
        at_x, at_y = rng.normal(0, 0.3), rng.normal(0, 0.35)
        spot = np.hypot(x - at_x, y - at_y) < rng.uniform(0.012, 0.03)
        signal[spot & (radius < 0.84)] = vessel
    if rng.random() < 0.35:  # white-matter spots of age
        for _ in range(rng.integers(2, 10)):
            at_x, at_y = rng.choice([-1, 1]) * rng.uniform(0.15, 0.4), rng.uniform(-0.4, 0.5)
            spot = np.exp(-(((x - at_x) ** 2 + (y - at_y) ** 2) / rng.uniform(0.015, 0.04) ** 2))
            mix = 0.8 * spot * brain
            signal += mix * (scan.signals[_PARTS["oedema"]] - signal)
    if rng.random() < 0.30:  # an arachnoid cyst or a wide cistern at the surface
        theta, size = rng.uniform(0, 2 * np.pi), rng.uniform(0.08, 0.2)
        away = np.hypot(x - 0.78 * np.cos(theta), y - 0.78 * np.sin(theta))
        signal[(away < size) & (radius < 0.84)] = scan.signals[Tissue.FLUID]
    if rng.random() < 0.30:  # bright fat or marrow beside the skull, on one side
        theta = rng.uniform(0, 2 * np.pi)
        away = np.hypot(x - 0.86 * np.cos(theta), y - 0.86 * np.sin(theta))
        signal[(away < rng.uniform(0.05, 0.12)) & (radius < 0.94) & (radius > 0.80)] = scan.signals[Tissue.SCALP]
    if rng.random() < 0.25:  # choroid plexus or pineal, bright after contrast, dark where calcified
        shade = scan.signals[_PARTS["rim"]] if rng.random() < 0.6 else 0.05
        for sign in (-1, 1):
            spot = np.hypot(x - sign * rng.uniform(0.2, 0.3), y - rng.uniform(0.3, 0.42)) < rng.uniform(0.02, 0.05)
            signal[spot & (radius < 0.84)] = shade
