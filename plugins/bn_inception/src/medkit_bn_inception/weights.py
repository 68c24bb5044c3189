"""Under which keys BN-Inception is published, and the input that its ImageNet weights expect."""

from __future__ import annotations

from functools import partial

from medkit.card import Card
from medkit.pretrained import Published, download

CARD = Card(
    sha256="",
    input_scaling={"mean": [104 / 255, 117 / 255, 128 / 255], "std": 1 / 255, "order": "BGR"},  # 0…255, less a mean
    source="pretrained-models.pytorch",
)

BN_INCEPTION = Published(
    family="BNInception",
    first="conv1_7x7_s2.weight",
    last=("last_linear.weight", "last_linear.bias"),
    body=("conv1_", "conv2_", "inception_"),
    imagenet=partial(download, "http://data.lip6.fr/cadene/pretrainedmodels/bn_inception-52deb4733.pth"),
    card=CARD,
    new_head="labels: null",
)
