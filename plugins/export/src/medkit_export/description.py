"""What a stranger must know to use an exported network."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from medkit.files import sha256
from medkit_export.formats import INPUT
from medkit_export.trained_network import TrainedNetwork

SYNTHETIC = "SYNTHETIC: trained on phantoms; what it says of real images means nothing"
_PACKAGES = ("medkit", "medkit-export", "monai", "torch")


def describe(trained: TrainedNetwork, outputs: Mapping[str, torch.Tensor], packages: Sequence[str]) -> dict[str, Any]:
    """Return JSON-able facts; ``warning`` comes first where the model is synthetic.

    Args:
        trained: what is exported.
        outputs: what it gave, by name.
        packages: whose versions are told too.
    """
    metadata, card = trained.bundle.metadata, trained.card
    synthetic = card is not None and card.synthetic
    image = metadata.get("network_data_format", {}).get("inputs", {}).get("image", {})
    facts = {
        "bundle": trained.bundle.name,
        "bundle_version": metadata.get("version"),
        "task": metadata.get("task"),
        "intended_use": metadata.get("intended_use"),
        "synthetic": synthetic,
        "input": {
            "name": INPUT,
            "shape": ["batch", *trained.images.shape],
            "dtype": "float32",
            "value_range": image.get("value_range"),
            "channels": image.get("channel_def"),
            "modality": image.get("modality"),
            "preprocessing": trained.preprocessing,
        },
        "outputs": {
            name: {"shape": ["batch", *tensor.shape[1:]], "dtype": "float32"} for name, tensor in outputs.items()
        },
        "findings": trained.labels or (card and card.labels),
        "meaning": "logits, not probabilities; channel k of the logits stands for finding k",
        "fitted": trained.fitted,
        "checkpoint_sha256": sha256(trained.checkpoint),
        "config": trained.config,
        "versions": {name: importlib.metadata.version(name) for name in (*_PACKAGES, *packages)},
    }
    return {"warning": SYNTHETIC, **facts} if synthetic else facts
