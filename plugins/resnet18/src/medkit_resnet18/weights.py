"""Under which keys ResNet18 is published: torchvision's, which are MONAI's too."""

from __future__ import annotations

from functools import partial

from medkit.pretrained import Published, download

RESNET = Published(
    family="ResNet",
    first="conv1.weight",
    last=("fc.weight", "fc.bias"),
    body=("conv1.", "bn1.", "layer"),
    imagenet=partial(download, "https://download.pytorch.org/models/resnet18-f37072fd.pth"),
    anchor="layer1.0.conv1.weight",
    new_head="labels: null",
)
