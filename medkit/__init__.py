"""medkit: medical-imaging techniques as interchangeable parts on MONAI.

The names below are what bundles write in ``_target_`` and what plugins import. They are resolved on first use, so that
importing `medkit` imports neither torch nor MONAI.
"""

from __future__ import annotations

import importlib
from typing import Any

from medkit.component import Component
from medkit.hookspecs import hookimpl

__version__ = "0.1.0"

_LAZY = {
    "medkit.build": (
        "dataset", "network", "loss", "sampler", "localizer", "postprocessor", "transform", "handler", "labels",
    ),
    "medkit.compose": ("SafeCompose", "SplitPredictiond"),
    "medkit.history": ("History",),
    "medkit.device": ("on_device", "setup", "use_amp"),
    "medkit.checkpoint": ("Checkpoints", "LoadCheckpoint"),
    "medkit.handlers": ("EpochSeed", "Fit", "LoadFit", "Problems"),
    "medkit.validation": ("Accuracy", "MacroAUROC", "MacroF1", "MeanIoU"),
    "medkit.batch": ("PrepareBatch",),
}  # fmt: skip
_HOME = {name: module for module, names in _LAZY.items() for name in names}

__all__ = ["Component", "hookimpl", *_HOME]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'medkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
