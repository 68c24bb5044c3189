"""Under which keys DenseNets are published."""

from __future__ import annotations

import re
from functools import partial

from medkit.pretrained import Published, download

DENSENET = Published(
    family="DenseNet",
    first="features.conv0.weight",
    last=("classifier.weight", "classifier.bias"),
    body=("features.",),
    imagenet=partial(download, "https://download.pytorch.org/models/densenet121-a639ec97.pth"),
    renamed=[
        (re.compile(r"(denselayer\d+)\.layers\."), r"\1."),  # MONAI
        (re.compile(r"\.(norm|conv)\.([12])\."), r".\1\2."),  # torchvision before 0.3: ImageNet, CheXNet
        (re.compile(r"^class_layers\.out\."), "classifier."),  # MONAI
        (re.compile(r"^classifier\.0\."), "classifier."),  # CheXNet: Sequential(Linear, Sigmoid)
    ],
    ignored=["op_threshs"],  # TorchXRayVision
)
"""torchvision's keys, old or new, MONAI's, CheXNet's (``module.densenet121.…``) and TorchXRayVision's."""
