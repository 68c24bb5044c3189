"""What a file of weights would run if it were unpickled, found without unpickling it.

medkit itself reads weights only (`medkit.checkpoint.read_checkpoint`); others that read a bundle's checkpoint may not.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import torch

from medkit.errors import shown

_SUFFIXES = (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".pt.tar", ".pth.tar")
_PROTOCOLS = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))


def is_pickle(file: Path) -> bool:
    """Return whether Python programs would unpickle a file, by its name or, whatever its name, by how it begins.

    TorchScript's archives, which torch reads with an interpreter of its own, are none under another name.
    """
    if not file.is_file():
        return False
    if file.name.lower().endswith(_SUFFIXES):
        return True
    with file.open("rb") as opened:
        begins = opened.read(4)
    if begins != b"PK\x03\x04":
        return begins.startswith(_PROTOCOLS)
    try:
        with zipfile.ZipFile(file) as archive:
            inside = {Path(name).name for name in archive.namelist()}
    except zipfile.BadZipFile:
        return False
    return "data.pkl" in inside and "constants.pkl" not in inside


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
