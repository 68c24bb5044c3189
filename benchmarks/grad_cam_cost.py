"""What the maps of all classes cost, as a multiple of one forward pass.

Prints JSON: for each network and batch size the median ratio of CPU time, maps of 14 classes to a forward pass without
gradients, measured in turns in one process; the same for MONAI's GradCAM, which makes one map a pass, and once for a
layer in the middle of the network. Goals: 1.3 for DenseNet121, 1.5 for VGG's fully connected head.

Usage: python benchmarks/grad_cam_cost.py [--quick] [--rounds 5] [--threads 1]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from monai.visualize import GradCAM
from torch import nn

import medkit

CLASSES = 14
SIZE = 224


def vgg16() -> nn.Module:
    """Return VGG16 (Simonyan, Zisserman 2014, arXiv:1409.1556, column D) with its three fully connected layers."""
    layers: list[nn.Module] = []
    channels = 3
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(depth):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
        layers.append(nn.MaxPool2d(2))
    head = [nn.Linear(512 * 7 * 7, 4096), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(4096, 4096)]
    head += [nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(4096, CLASSES)]
    return nn.Sequential(*layers, nn.Flatten(1), *head)


def seconds(run: Callable[[], object]) -> float:
    begin = time.process_time()  # other programs on the machine do not count
    run()
    return time.process_time() - begin


def ratio(network: nn.Module, maps: Callable[[torch.Tensor], object], images: torch.Tensor, rounds: int) -> dict:
    """Return the median ratio of ``maps`` to a forward pass over neighbouring pairs, and the pass's median seconds."""

    def forward() -> None:
        with torch.no_grad():
            network(images)

    for warm in (forward, lambda: maps(images)):
        warm()
    pairs = [(seconds(forward), seconds(lambda: maps(images))) for _ in range(rounds)]
    return {
        "ratio": round(statistics.median(b / a for a, b in pairs), 3),
        "forward_seconds": round(statistics.median(a for a, _ in pairs), 4),
    }


def all_classes_by_monai(network: nn.Module, layer: str) -> Callable[[torch.Tensor], object]:
    explainer = GradCAM(network, layer)
    return lambda images: [explainer.compute_map(images, class_idx=k) for k in range(CLASSES)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="pairs of maps and forward pass")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="DenseNet121 at batch 1 only")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)

    networks = {"densenet121": medkit.network("densenet121", in_channels=3, out_channels=CLASSES).eval()}
    if not options.quick:
        networks["vgg16_fully_connected"] = vgg16().eval()
    results = {}
    for name, network in networks.items():
        for batch in (1,) if options.quick else (1, 8):
            images = torch.rand(batch, 3, SIZE, SIZE)
            for kind in ("grad_cam", "grad_cam_plus_plus"):
                localizer = medkit.localizer(kind, network=network)
                results[f"{name}, batch {batch}, {kind}"] = ratio(network, localizer, images, options.rounds)
    network, images = networks["densenet121"], torch.rand(1, 3, SIZE, SIZE)
    middle = medkit.localizer("grad_cam", network=network, target_layer="features.denseblock3")
    results["densenet121, batch 1, grad_cam at denseblock3"] = ratio(network, middle, images, options.rounds)
    by_monai = all_classes_by_monai(network, "class_layers.relu")
    results["densenet121, batch 1, MONAI's GradCAM"] = ratio(network, by_monai, images, 3)
    print(json.dumps({"classes": CLASSES, "size": SIZE, "threads": options.threads, "results": results}, indent=2))


if __name__ == "__main__":
    main()
