"""Images a second of `load_channels` through a DataLoader beside a plain Pillow loop, as one JSON object.

Both make batches of (4,H,W) float32 in 0…1 from four PNG files an image, in turns within one process. The loop opens
one file after the other and keeps no record; medkit's side is `medkit.SafeCompose` with all that it keeps of a file.
Workers stay from epoch to epoch, and the first epoch does not count. `ratio` is the median over rounds of the loop's
time divided by medkit's, on the wall, for each number of workers (goal with two, on two cores: 1.5); with none, files
are still read side by side. `same`: both give equal pixels.

Usage: python benchmarks/channel_reading.py [--rounds 7] [--images 48] [--size 512]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from monai.data import DataLoader, Dataset
from PIL import Image
from scipy.ndimage import gaussian_filter

import medkit

COLOURS = ("red", "green", "blue", "yellow")
BATCH = 8
WORKERS = (0, 2)


def draw(folder: Path, images: int, size: int) -> list[dict[str, str]]:
    """Write images as a microscope gives them, bright structures on a dark ground with shot noise."""
    random = np.random.default_rng(0)
    for n in range(images):
        for colour in COLOURS:
            structure = gaussian_filter(random.standard_normal((size, size)), 6)
            light = 180 * np.clip(structure / structure.max(), 0, 1) + 1
            Image.fromarray(np.minimum(random.poisson(light), 255).astype(np.uint8)).save(folder / f"{n}_{colour}.png")
    return [{"image": str(folder / f"{n}_green.png")} for n in range(images)]


def by_hand(folder: Path, images: int) -> Iterator[torch.Tensor]:
    """Yield batches as a script reads them."""
    for start in range(0, images, BATCH):
        batch = []
        for n in range(start, min(start + BATCH, images)):
            files = [Image.open(folder / f"{n}_{colour}.png") for colour in COLOURS]
            batch.append(torch.from_numpy(np.stack([np.asarray(file, np.float32) / 255 for file in files])))
        yield torch.stack(batch)


def timed(batches: Iterable[object]) -> float:
    """Return the seconds that an epoch takes."""
    began = time.perf_counter()
    for _ in batches:
        pass
    return time.perf_counter() - began


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="turns that count, behind one to warm up")
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--size", type=int, default=512, help="rows and columns")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as made:
        folder, images, size = Path(made).resolve(), options.images, options.size
        read = medkit.SafeCompose([medkit.transform("load_channels")], [size, size], classes=28, channels=len(COLOURS))
        data = Dataset(draw(folder, images, size), read)
        loaders = {
            workers: DataLoader(data, batch_size=BATCH, num_workers=workers, persistent_workers=workers > 0)
            for workers in WORKERS
        }
        pairs = zip(by_hand(folder, images), loaders[0], strict=True)
        same = all(torch.equal(ours["image"], plain) for plain, ours in pairs)
        turns = [
            [timed(by_hand(folder, images)), *(timed(loader) for loader in loaders.values())]
            for _ in range(options.rounds + 1)
        ]
    loops, *ours = zip(*turns[1:])
    figures = {
        f"{workers} workers": {
            "ratio": round(statistics.median(loop / own for loop, own in zip(loops, times)), 2),
            "images_per_second": round(images / statistics.median(times), 1),
        }
        for workers, times in zip(WORKERS, ours)
    }
    loop = {"images_per_second": round(images / statistics.median(loops), 1)}
    print(json.dumps({"size": size, "cores": os.cpu_count(), "loop": loop, **figures, "goal": 1.5, "same": same}))


if __name__ == "__main__":
    main()
