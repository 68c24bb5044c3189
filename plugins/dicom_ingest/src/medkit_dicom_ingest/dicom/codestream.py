"""What a compressed frame says about itself, read before any decoder sees it.

A decoder allocates what the codestream claims, so a file of a few bytes can ask for gigabytes; and a codestream of
another size than the header describes would be shown as a wrong image.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from medkit_dicom_ingest.failure import ImageError

MAX_MARKERS = 4096


@dataclass(frozen=True, slots=True)
class Codestream:
    """Size and depth of a frame.

    Attributes:
        rows, columns, samples: sizes.
        precision: bits a sample, 0 where only the decoder knows.
        ycbcr: whether a JPEG holds YCbCr by its own marks; None where it bears none.
    """

    rows: int
    columns: int
    samples: int
    precision: int
    ycbcr: bool | None = None


def read_jpeg(data: bytes) -> Codestream:
    """Return what the frame header (SOF) of a JPEG or JPEG-LS stream says (ITU-T T.81 B.2.2, T.87 C.2.2).

    Raises:
        ImageError: no such stream, or it ends early.
    """
    position, adobe, jfif = 2, None, False
    if data[:2] != b"\xff\xd8":
        raise ImageError("corrupt", "PixelData (7FE0,0010) does not start with a JPEG stream")
    for _ in range(MAX_MARKERS):
        while data[position : position + 2] == b"\xff\xff":
            position += 1
        head = data[position : position + 4]
        if len(head) < 4 or head[0] != 0xFF:
            break
        marker, length = head[1], int.from_bytes(head[2:], "big")
        body = data[position + 4 : position + 2 + length]
        if marker == 0xE0 and body.startswith(b"JFIF"):
            jfif = True
        elif marker == 0xEE and body.startswith(b"Adobe") and len(body) >= 12:
            adobe = body[11]
        elif marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            if len(body) < 6 or len(body) < 6 + 3 * body[5]:
                break
            precision, rows, columns, samples = struct.unpack(">BHHB", body[:6])
            _refuse_truncated(data, b"\xff\xd9", "JPEG")
            letters = bytes(body[6::3]) == b"RGB"
            ycbcr = bool(adobe) if adobe is not None else True if jfif else False if letters else None
            return Codestream(rows, columns, samples, precision, ycbcr)
        position += 2 + length
    raise ImageError("corrupt", "the JPEG stream in PixelData (7FE0,0010) has no frame header: truncated or corrupt")


def read_jpeg2000(data: bytes) -> Codestream:
    """Return what the SIZ marker of a JPEG 2000 or HTJ2K stream says (ITU-T T.800 A.5.1), in a JP2 box or without.

    Raises:
        ImageError: no such stream, or it ends early.
    """
    start = data.find(b"\xff\x4f\xff\x51")
    if start < 0 or len(data) < start + 45:
        raise ImageError("corrupt", "PixelData (7FE0,0010) holds no JPEG 2000 stream")
    width, height, x_offset, y_offset, *tile = struct.unpack(">8I", data[start + 8 : start + 40])
    (samples,) = struct.unpack(">H", data[start + 40 : start + 42])
    steps = [data[start + 43 + 3 * n : start + 45 + 3 * n] for n in range(samples)]
    if 0 in tile[:2] or any(0 in step for step in steps):  # by which decoders divide
        raise ImageError("corrupt", "the JPEG 2000 stream in PixelData (7FE0,0010) has tiles or steps of size 0")
    _refuse_truncated(data, b"\xff\xd9", "JPEG 2000")
    return Codestream(height - y_offset, width - x_offset, samples, (data[start + 42] & 0x7F) + 1)


def read_jpegxl(data: bytes) -> Codestream:
    """Return the size in a JPEG XL stream (ISO/IEC 18181-1, SizeHeader), in boxes or without; samples are 0.

    Raises:
        ImageError: no such stream.
    """
    start = 0
    if data[:12] == b"\x00\x00\x00\x0cJXL \x0d\x0a\x87\x0a":
        boxes = [(at + 4 + extra) for kind, extra in ((b"jxlc", 0), (b"jxlp", 4)) if (at := data.find(kind)) > 0]
        start = min(boxes, default=len(data))
    if data[start : start + 2] != b"\xff\x0a":
        raise ImageError("corrupt", "PixelData (7FE0,0010) holds no JPEG XL stream")
    bits, position = int.from_bytes(data[start + 2 : start + 18], "little"), 0

    def take(count: int) -> int:
        nonlocal position
        position += count
        return (bits >> (position - count)) & ((1 << count) - 1)

    small = take(1)

    def size() -> int:
        return 8 * (1 + take(5)) if small else 1 + take((9, 13, 18, 30)[take(2)])

    rows, ratio = size(), take(3)
    times, over = ((0, 0), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))[ratio]
    return Codestream(rows, rows * times // over if ratio else size(), 0, 0)


def _refuse_truncated(data: bytes, end: bytes, kind: str) -> None:
    """An end marker cannot occur inside entropy-coded data, and some decoders fill what is missing with grey."""
    if data.rfind(end) < 2:
        raise ImageError("truncated", f"the {kind} stream in PixelData (7FE0,0010) has no end marker: truncated")
