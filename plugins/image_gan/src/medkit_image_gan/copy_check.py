"""Generated images beside those that a GAN learned from, measured by how near unseen real images come to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from medkit import contracts as c
from medkit.errors import DataError
from medkit_image_gan.copies import SIDE, correlation, nearest, signatures


def copy_check(
    images: torch.Tensor, names: Sequence[str], training: Dataset[Any], held_out: Dataset[Any], quantile: float
) -> dict[str, Any]:
    """Return what ``copy_check.json`` holds.

    An image is a copy where its distance to the nearest training image (`medkit_image_gan.copies.nearest`) is below the
    ``quantile`` of the held-out images' distances. The correlation with that image, at full resolution, is told beside.

    Args:
        images: (N,C,H,W), the generated ones.
        names: N, of their files.
        training: samples with an ``image`` (C,H,W); unreadable ones do not count.
        held_out: the same, of other patients.
        quantile: 0…1.

    Raises:
        DataError: no image could be read, sizes differ, or held-out images are among the training images.
    """
    size = tuple(images.shape[1:])
    places, seen = _readable(training, size, "training")
    _, unseen = _readable(held_out, size, "held-out")
    usual, _ = nearest(unseen, seen)
    limit = float(np.quantile(usual, quantile, method="lower"))
    if limit < 1e-3:
        raise DataError(
            f"generated_images: {np.mean(usual < 1e-3):.0%} of {len(usual)} held-out images are training images too, "
            "so copies cannot be told: keep look-alikes in one section"
        )
    distances, which = nearest(signatures(images), seen)
    entries = []
    for image, name, distance, near in zip(images, names, distances, which, strict=True):
        real = training[places[near]]
        entries.append(
            {
                "image": name,
                "nearest": str(real.get(c.FILE, "")),
                "distance": round(float(distance), 6),
                "correlation": round(correlation(image, real[c.IMAGE]), 6),
                "copy": bool(distance < limit),
            }
        )
    return {
        "side": SIDE,
        "quantile": quantile,
        "limit": limit,
        "training_images": len(seen),
        "held_out": {"images": len(usual), **_summary(usual)},
        "generated": {"images": len(images), **_summary(distances)},
        "copies": sum(entry["copy"] for entry in entries),
        "images": entries,
    }


def _readable(dataset: Dataset[Any], size: tuple[int, ...], name: str) -> tuple[list[int], torch.Tensor]:
    """Return the places of the readable images and their signatures."""
    places, images = [], []
    for n in range(len(dataset)):
        sample = dataset[n]
        if sample.get(c.STATUS, "ok") != "ok":
            continue
        if tuple(sample[c.IMAGE].shape) != size:
            asked, found = ("×".join(map(str, shape)) for shape in (size, sample[c.IMAGE].shape))
            raise DataError(f"generated_images: {name} images of {found}, generated ones of {asked}: resize them alike")
        places.append(n)
        images.append(signatures([sample[c.IMAGE]])[0])
    if not images:
        raise DataError(
            f"generated_images: none of {len(dataset)} {name} images could be read, so copies cannot be told"
        )
    return places, torch.stack(images)


def _summary(distances: np.ndarray) -> dict[str, float]:
    least, median, most = np.quantile(distances, (0, 0.5, 1))
    return {"least_distance": float(least), "median_distance": float(median), "greatest_distance": float(most)}
