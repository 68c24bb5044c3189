"""The text before the voxels of MetaImage and NRRD files, checked before ITK opens them."""

from __future__ import annotations

import math
import re
import zlib
from dataclasses import dataclass

from medkit_dicom_ingest.failure import ImageError

LONGEST = 2**20
"""Bytes that a header may have."""
META_START = re.compile(rb"\s*(?:[A-Za-z]\w*[ \t]*=[^\n\0]*\n\s*){0,40}?(?:NDims|DimSize|ElementType)[ \t]*=")


@dataclass(frozen=True, slots=True)
class TextHeader:
    """Keys and values.

    Attributes:
        format: ``MetaImage`` or ``NRRD``.
        fields: in lower case without blanks.
        length: bytes of the header.
    """

    format: str
    fields: dict[str, str]
    length: int

    @property
    def voxel_file(self) -> str | None:
        """The name of the file with the voxels, None where they stand behind the header."""
        if self.format == "NRRD":
            return self.fields.get("datafile")
        name = self.fields.get("elementdatafile", "")
        return None if name.lower() == "local" else name

    @property
    def packed(self) -> bool:
        """Whether the voxels are deflated."""
        if self.format == "NRRD":
            return self.fields.get("encoding", "").lower() in ("gzip", "gz")
        return self.fields.get("compresseddata", "").lower() in ("true", "t", "1")

    def numbers(self, key: str) -> list[float]:
        """Return the numbers of a field, NaN for what is none, ``[]`` where it is absent."""
        words = re.split(r"[\s,()]+", self.fields.get(key, ""))
        return [_number(word) for word in words if word and word != "none"]


def is_text_header(data: bytes) -> bool:
    """Return whether the file starts as MetaImage or NRRD do."""
    return bool(re.match(rb"NRRD000\d\r?\n", data)) or META_START.match(data[:4096]) is not None


def read_text_header(data: bytes) -> TextHeader:
    """Return the header of a file that `is_text_header` recognised.

    Raises:
        ImageError: it has no end, or a key stands there twice, so that readers may differ.
    """
    nrrd = data.startswith(b"NRRD")
    separator, fields, position = ":" if nrrd else "=", dict[str, str](), 0
    while position < min(len(data), LONGEST):
        end = data.find(b"\n", position, LONGEST)
        end = len(data) if end < 0 else end
        line = data[position:end].decode("latin-1").strip()
        position = end + 1
        if nrrd and not line:
            break
        key, found, value = line.partition(separator)
        key = key.replace(" ", "").lower()
        if not found or line.startswith("#") or (nrrd and value.startswith("=")):  # `key:=value` is a remark
            continue
        if key in fields:
            raise ImageError("bad_header", f"{'NRRD' if nrrd else 'MetaImage'} has two fields {_shown(key)}")
        fields[key] = value.strip()
        if key == "elementdatafile":
            break
    else:
        if not (nrrd and "datafile" in fields):
            raise ImageError("truncated", f"the {'NRRD' if nrrd else 'MetaImage'} header has no end: truncated")
    return TextHeader("NRRD" if nrrd else "MetaImage", fields, min(position, len(data)))


def check_numbers(header: TextHeader) -> None:
    """Refuse sizes, spacings and directions that are no numbers or impossible: ITK replaces some of them silently.

    Raises:
        ImageError: one of them is not usable.
    """
    nrrd = header.format == "NRRD"
    for axes in header.numbers("dimension" if nrrd else "ndims"):
        if not 1 <= axes <= 16:
            raise ImageError("corrupt", f"{axes:.0f} axes are no image's")
    for key in ("sizes",) if nrrd else ("dimsize",):
        if any(not 1 <= size < 2**31 or size % 1 for size in header.numbers(key) or [math.nan]):
            raise ImageError("bad_header", f"{key} is not a list of positive integers")
    for key in ("spacings",) if nrrd else ("elementspacing", "elementsize"):
        if any(not 0 < size < math.inf for size in header.numbers(key)):
            raise ImageError("bad_header", f"{key} is not a list of positive numbers")
    keys = ("spacedirections", "spaceorigin") if nrrd else ("transformmatrix", "rotation", "orientation", "offset")
    for key in keys:
        if not all(math.isfinite(number) for number in header.numbers(key)):
            raise ImageError("bad_header", f"{key} is not a list of finite numbers")


def check_deflated(data: memoryview, length: int) -> None:
    """Inflate piece by piece and keep nothing: ITK gives zeros for a damaged MetaImage.

    Raises:
        ImageError: the stream is damaged or holds fewer than ``length`` bytes.
    """
    inflater, found = zlib.decompressobj(zlib.MAX_WBITS | 32), 0
    try:
        for at in range(0, len(data), 2**18):
            piece = bytes(data[at : at + 2**18])
            while piece and found <= length and not inflater.eof:
                found += len(inflater.decompress(piece, 2**22))
                piece = inflater.unconsumed_tail
    except zlib.error:
        raise ImageError("corrupt", "the deflated voxels are corrupt") from None
    if found < length:
        raise ImageError("truncated", f"the deflated voxels have {found} bytes, the header needs {length}: truncated")


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return math.nan


def _shown(key: str) -> str:
    return re.sub(r"[^a-z0-9]", "", key)[:32]
