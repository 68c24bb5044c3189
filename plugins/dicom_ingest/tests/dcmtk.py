"""dcmtk as oracle: how its image is got, and where it is known to differ."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom import Dataset, uid

TOOLS = {
    **dict.fromkeys((uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1), "dcmj2pnm"),
    **dict.fromkeys((uid.JPEGLSLossless, uid.JPEGLSNearLossless), "dcml2pnm"),
}
PLAIN = "dcm2pnm"
INSTALLED = all(map(shutil.which, (PLAIN, *TOOLS.values())))

EXPLAINED = {
    "Without VOI it multiplies by 256/2^bits and cuts off, so the highest value of few bits is not white": (
        r"bits stored: [1-6] of \d+( signed)?",
        r"high bit: 7, 1 of 16|high bit: 7, 6 of 8( signed)?|high bit: 6, 4 of 8( signed)?",
        r"overlay bits: [46] of 8, .*",
        r"byte order: .* 6 bits( signed)?",
        r"several frames: single bits .*",
        r"liver_1frame\.dcm|liver_expb_1frame\.dcm",
    ),
    "It shows padding like any other value": (
        r"padding: (value|range|signed value|signed range) MONOCHROME1( window)?",
        r"padding: range MONOCHROME2( window)?",
        r"padding: range downwards (MONOCHROME1|MONOCHROME2( window)?)",
        r"padding: in the middle .*",
        r"padding: signed range MONOCHROME2",
    ),
    "It swaps 32-bit big-endian samples as pairs of 16 bits": (
        r"byte order: big endian 32 bits.*",
        r"rtdose_expb(_1frame)?\.dcm",
    ),
    "It keeps modality values as whole numbers, so a small slope leaves few of them": (r"rescale: 0\.001/.*",),
    "It shows LINEAR_EXACT (C.11.2.1.3.2) as LINEAR, which matters in narrow windows": (
        r"window LINEAR_EXACT: narrow (1500\.5/2|1500/3|1500/4|1500\.5/10|2047/41\.5)",
    ),
    "It looks at the first window only, and shows the full range where that is not valid": (
        r"invalid window: first of two",
    ),
    "It centres chroma at 127.5 (by C.7.6.3.1.2 it lies around 128) and cuts each part to a whole number": (
        r"YBR_FULL: .*",
        r"YBR_FULL_422: .*",
        r"RLE: YBR_FULL",
    ),
    "It does not look into functional groups": (
        r"functional groups: MONOCHROME[12] (shared window|shared window and rescale|window per frame)",
        r"functional groups: MONOCHROME[12] (rescale per frame|both per frame|shared rescale, window per frame)",
        r"functional groups: MONOCHROME[12] (frame before shared|functions per frame|frame before top level)",
        r"functional groups: one frame",
        r"functional groups: (VOI LUT|window) per frame.*",
    ),
    "It does not know JPEG XL and shows the compressed bytes as pixels": (r"JPEG XL.*",),
}
"""Why dcmtk is more than one level from the standard → names of cases and files."""
REFUSED = {
    "It has no decoder for JPEG 2000 and HTJ2K": (
        r"JPEG 2000.*",
        r"HTJ2K.*",
        r"(693_J2KI|GDCMJ2K_TextGBR|J2K_pixelrep_mismatch|JPEG2000|MR_small_jp2klossless|SC_rgb_gdcm_KY)\.dcm",
        r"examples_jpeg2k\.dcm",
    ),
    "It wants a width with every centre": (r"invalid window: centre without width",),
    "It does not guess that a file is implicit where its meta header says explicit": (r"SC_rgb_jpeg\.dcm",),
    "It has no segmented palettes": (r"PALETTE COLOR: segmented .*",),
}
"""Why dcmtk gives no image → names of cases and files."""


def reason(table: dict[str, tuple[str, ...]], name: str) -> str:
    """Return why ``name`` stands in ``table``; ``""`` where it does not."""
    found = [why for why, patterns in table.items() if any(re.fullmatch(pattern, name) for pattern in patterns)]
    return found[0] if found else ""


def voi_option(dataset: Dataset) -> list[str]:
    """Return what makes dcmtk show the VOI that the file asks for; by default it shows none."""
    if "VOILUTSequence" in dataset:
        return ["+Wl", "1"]
    return ["+Wi", "1"] if dataset.get("WindowCenter") is not None else ["-W"]


def rendered(path: Path, dataset: Dataset, frames: int, folder: Path) -> list[np.ndarray]:
    """Return 8-bit levels of the first frames, (H,W) or (H,W,3) uint8; [] where dcmtk refuses the file."""
    tool = TOOLS.get(dataset.file_meta.get("TransferSyntaxUID"), PLAIN)
    command = [tool, "-O", *voi_option(dataset), "+Fr", "1", str(frames), "+on", str(path), str(folder / "frame")]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    found = sorted(folder.glob("frame*.png"), key=lambda file: int(file.name.split(".")[1]))
    shown = [np.asarray(Image.open(file)) for file in found] if done.returncode == 0 else []
    for file in found:
        file.unlink()
    return shown
