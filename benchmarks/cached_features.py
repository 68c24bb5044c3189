"""An epoch of head training from cached features, as a multiple of the speed of one that encodes the images anew.

Prints JSON: for each network the CPU seconds of an epoch of MONAI's trainer either way, measured in turns in one
process, their ratio (goal: 20), and the seconds that filling the cache takes once.

Usage: python benchmarks/cached_features.py [--images 64] [--rounds 2] [--threads 1]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import numpy as np
import torch
from monai.data import CacheDataset, DataLoader
from monai.engines import SupervisedTrainer
from monai.transforms import EnsureTyped
from torch import nn
from torch.utils.data import Dataset

import medkit

SIZE, FINDINGS, BATCH = 128, 8, 32
NETWORKS = {"vgg19": {"head": "1024-256", "spatial_size": SIZE}, "resnet18": {}}


def seconds(run: Callable[[], object]) -> float:
    begin = time.process_time()  # other programs on the machine do not count
    run()
    return time.process_time() - begin


def samples(images: int) -> CacheDataset:
    """Return images and labels as a bundle's preprocessing leaves them, in memory."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, (images, FINDINGS)).astype(np.float32)
    data = [{"image": random.random((1, SIZE, SIZE), np.float32), "label": label} for label in labels]
    return CacheDataset(data, medkit.SafeCompose([EnsureTyped("image")], (SIZE, SIZE), FINDINGS), progress=False)


def trainer(network: nn.Module, dataset: Dataset, **options: object) -> SupervisedTrainer:
    """Return a trainer of one epoch."""
    return SupervisedTrainer(
        "cpu",
        1,
        DataLoader(dataset, batch_size=BATCH, shuffle=True),
        network,
        torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=1e-3),
        medkit.loss("weighted_cross_entropy"),
        **options,
    )


def measured(network: nn.Module, images: CacheDataset, rounds: int) -> dict[str, float]:
    """Return the figures of one network; of each kind of epoch the fastest counts."""
    cached = medkit.transform("cached_features", dataset=images, network=network, quiet=True)
    head = medkit.transform("head_inferer")
    filling = seconds(lambda: cached[0])
    pairs = [
        (seconds(trainer(network, images).run), seconds(trainer(network, cached, inferer=head).run))
        for _ in range(rounds)
    ]
    recomputed, quick = (min(times) for times in zip(*pairs))
    return {
        "recomputing_seconds": round(recomputed, 3),
        "cached_seconds": round(quick, 4),
        "ratio": round(recomputed / quick, 1),
        "filling_seconds": round(filling, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=2, help="pairs of epochs")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)

    images, results = samples(options.images), {}
    for name, given in NETWORKS.items():
        network = medkit.network(name, in_channels=1, out_channels=FINDINGS, frozen=True, **given)
        results[name] = measured(network, images, options.rounds)
    facts = {"images": options.images, "size": SIZE, "batch_size": BATCH, "threads": options.threads}
    print(json.dumps({**facts, "goal": 20, "results": results}, indent=2))


if __name__ == "__main__":
    main()
