"""Under which keys DenseNets are published."""

from __future__ import annotations

import re

import torch
from monai.networks.nets import densenet

from medkit.pretrained import Published


def _imagenet() -> dict[str, torch.Tensor]:
    """Return torchvision's weights, downloaded by MONAI into torch's cache."""
    return densenet.DenseNet121(spatial_dims=2, in_channels=3, out_channels=1000, pretrained=True).state_dict()


DENSENET = Published(
    family="DenseNet",
    first="features.conv0.weight",
    last=("classifier.weight", "classifier.bias"),
    body=("features.",),
    imagenet=_imagenet,
    renamed=[
        (re.compile(r"(denselayer\d+)\.layers\."), r"\1."),  # MONAI
        (re.compile(r"\.(norm|conv)\.([12])\."), r".\1\2."),  # torchvision before 0.3: ImageNet, CheXNet
        (re.compile(r"^class_layers\.out\."), "classifier."),  # MONAI
        (re.compile(r"^classifier\.0\."), "classifier."),  # CheXNet: Sequential(Linear, Sigmoid)
    ],
    ignored=["op_threshs"],  # TorchXRayVision
)
"""torchvision's keys, old or new, MONAI's, CheXNet's (``module.densenet121.…``) and TorchXRayVision's."""
