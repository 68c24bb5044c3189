"""Images that a chest model is not for, as they turn up in any folder from a hospital."""

from __future__ import annotations

import cv2
import numpy as np

from medkit_phantom.canvas import Canvas, Field, curve, outline
from medkit_phantom.clutter import burn_in


def _finish(rng: np.random.Generator, attenuation: Field) -> Field:
    pixels = np.clip(attenuation + 0.015 * rng.standard_normal(attenuation.shape, dtype=np.float32), 0, 1)
    return pixels + burn_in(rng, attenuation.shape, "PA") * (np.float32(0.97) - pixels)


def draw_lateral(rng: np.random.Generator) -> Field:
    """Return a chest from the side: spine behind, breastbone in front, the heart upon the diaphragm."""
    canvas = Canvas((248, 204), (102.0, 118.0), 92.0)
    body = canvas.fill(
        outline([(-0.5, -1.4), (0.3, -1.4), (0.78, -0.8), (0.95, 0.2), (0.9, 1.5), (-0.9, 1.5), (-0.95, 0)])
    )
    lung = canvas.fill(
        outline([(-0.1, -0.98), (0.45, -0.7), (0.74, 0.1), (0.6, 0.45), (0.1, 0.42), (-0.6, 0.8), (-0.72, 0)]),
        blur=0.03,
    )
    heart = canvas.fill(outline([(0.2, -0.25), (0.62, 0.05), (0.64, 0.42), (0.1, 0.48), (-0.05, 0.1)]), blur=0.03)
    spine = canvas.stroke(curve([(-0.45, -1.3), (-0.66, -0.3), (-0.62, 0.5), (-0.45, 1.4)]), width=0.24, blur=0.02)
    _, y = canvas.grid
    ribs = [curve([(-0.7, h), (-0.2, h + 0.25), (0.35, h + 0.55), (0.62, h + 0.6)]) for h in np.arange(-0.9, 0.5, 0.17)]
    bones = 0.16 * spine * (0.8 + 0.2 * np.cos(32 * y)) + 0.06 * canvas.stroke(*ribs, width=0.05, blur=0.01)
    return _finish(rng, body * (0.72 - 0.42 * lung * (1 - 0.8 * heart) + bones + 0.05 * canvas.texture(rng, 0.4)))


def draw_hand(rng: np.random.Generator) -> Field:
    """Return a hand: soft tissue around the bones of five fingers."""
    canvas = Canvas((240, 188), (94.0, 150.0), 70.0)
    rays = [(-0.95, -0.35, 0.7), (-0.52, -1.25, 1.0), (-0.08, -1.5, 1.0), (0.34, -1.35, 1.0), (0.74, -0.95, 0.9)]
    skin = [curve([(0.25 * x, 0.75), (0.62 * x, 0.0), (x, y)]) for x, y, _ in rays]
    flesh = np.maximum(
        canvas.stroke(*skin, width=0.34, blur=0.02),
        canvas.stroke(np.array([(0, 0.5), (0, 1.6)]), width=0.75, blur=0.02),
    )
    bones = []
    for line in skin:
        for start, end in ((0.10, 0.50), (0.54, 0.76), (0.80, 0.98)):
            bones.append(line[int(start * len(line)) : max(int(end * len(line)), int(start * len(line)) + 2)])
    forearm = [np.array([(-0.16, 0.95), (-0.2, 1.7)]), np.array([(0.18, 0.95), (0.2, 1.7)])]
    bone = canvas.strokes((bones, 0.15, 1.0), (bones, 0.08, 0.7), (forearm, 0.2, 1.0), (forearm, 0.1, 0.7), blur=0.01)
    return _finish(rng, 0.06 + 0.30 * flesh + 0.42 * bone)


def draw_abdomen(rng: np.random.Generator) -> Field:
    """Return an abdomen: lumbar spine, pelvis, bowel gas."""
    canvas = Canvas((256, 212), (106.0, 120.0), 96.0)
    _, y = canvas.grid
    spine = canvas.stroke(np.array([(0, -1.6), (0, 0.75)]), width=0.3, blur=0.02) * (0.8 + 0.2 * np.cos(26 * y))
    wings = [
        outline(np.array([(0.2, 0.55), (0.55, 0.3), (0.85, 0.5), (0.75, 0.95), (0.4, 1.0)]) * (side, 1))
        for side in (-1, 1)
    ]
    pelvis = canvas.fill(*wings, blur=0.02)
    places = rng.uniform((-0.7, -0.7), (0.7, 0.4), (14, 2))
    turn = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    loops = [
        outline(place + rng.uniform(0.08, 0.17) * np.stack([np.cos(turn), 0.7 * np.sin(turn)], axis=1))
        for place in places
    ]
    gas = canvas.fill(*loops, blur=0.03)
    return _finish(rng, 0.62 + 0.06 * canvas.texture(rng, 0.35) - 0.28 * gas + 0.2 * spine + 0.18 * pelvis)


def draw_photograph(rng: np.random.Generator) -> np.ndarray:
    """Return a colour photograph (H,W,3) uint8, BGR: a film on a light box, taken with a telephone."""
    rows, columns = 216, 264
    picture = np.full((rows, columns, 3), (96, 132, 176), np.uint8)
    cv2.rectangle(picture, (48, 22), (214, 196), (238, 232, 206), -1)
    cv2.rectangle(picture, (62, 36), (200, 182), (64, 42, 30), -1)
    for x in (104, 158):
        cv2.ellipse(picture, (x, 108), (22, 52), 0, 0, 360, (34, 22, 14), -1, cv2.LINE_AA)
    cv2.ellipse(picture, (138, 136), (26, 24), 0, 0, 360, (150, 118, 92), -1, cv2.LINE_AA)
    cv2.putText(picture, "SYNTHETIC", (6, rows - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1, cv2.LINE_AA)
    grain = rng.normal(0, 5, picture.shape)
    return np.clip(picture + grain, 0, 255).astype(np.uint8)
