"""Words that may be kept of tags in which some devices write free text."""

from __future__ import annotations

import functools
import re

VIEWS = {
    *("AP", "PA", "LL", "RL", "LLD", "RLD", "LLO", "RLO", "LAT", "LATERAL", "LLAT", "RLAT", "LEFT", "RIGHT", "FRONTAL"),
    *("OBL", "OBLIQUE", "DECUBITUS", "DECUB", "SUPINE", "PRONE", "ERECT", "UPRIGHT", "AXIAL", "LORDOTIC", "PORTABLE"),
    *("CC", "MLO", "ML", "LM", "LMO", "XCC", "XCCL", "XCCM", "FB", "SIO", "ISO", "CV", "LPO", "RPO", "LAO", "RAO"),
}
BODY_PARTS = {
    *("CSPINE", "TSPINE", "LSPINE", "SSPINE", "CTSPINE", "TLSPINE", "LSSPINE", "CXR", "THORAX", "LUNG", "LUNGS"),
    *("EXTREMITY", "PORT", "PORTABLE", "CHESTABDOMEN", "CHESTABDPELVIS", "ABDOMENPELVIS", "WHOLEBODY", "LEFT", "RIGHT"),
    *("TO", "AND", "OF", "PHANTOM"),
}
OTHER = "OTHER"


@functools.cache
def body_parts() -> frozenset[str]:
    """Return the words of DICOM's anatomic regions (PS3.16 CID 4), and usual short forms."""
    from pydicom.sr.codedict import codes

    names = codes.cid4.dir()
    return frozenset(BODY_PARTS | {word.upper() for name in names for word in re.findall(r"[A-Z]?[a-z]+", name)})


@functools.cache
def modalities() -> frozenset[str]:
    """Return DICOM's codes of modalities (PS3.16 CID 29, 32 and 33)."""
    from pydicom.sr.codedict import codes

    tables = (codes.cid29, codes.cid32, codes.cid33)
    return frozenset(getattr(table, name).value for table in tables for name in table.dir())


def known_words(text: str, vocabulary: frozenset[str] | set[str]) -> str:
    """Return the words of ``text`` that are in ``vocabulary``; ``OTHER`` where there are words and none of them is."""
    words = re.findall(r"[A-Z0-9]+", text.upper())
    kept = " ".join(word for word in words if word in vocabulary)
    return kept or (OTHER if words else "")
