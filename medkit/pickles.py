"""What a file of weights would run if it were unpickled, found without unpickling it.

medkit itself reads weights only (`medkit.checkpoint.read_checkpoint`); others that read a bundle's checkpoint may not.
"""

from __future__ import annotations

from pathlib import Path

import torch

from medkit.errors import shown

PICKLES = (".pt", ".pth", ".ckpt", ".pkl", ".pickle")
"""Suffixes, in lower case, of files that Python programs unpickle."""


def why_not_weights(file: Path) -> str:
    """Return why a file is more than weights, or an empty string if weights are all that it holds."""
    if not file.stat().st_size:
        return ""
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(file)
    except Exception as error:  # a stranger's bytes may raise anything
        reason = " ".join(str(error).split()) or type(error).__name__
        return f"no checkpoint that torch.save wrote, so nobody can say what unpickling it runs: {shown(reason, 100)}"
    return f"unpickling it would run {shown(', '.join(map(str, names)), 150)}" if names else ""
