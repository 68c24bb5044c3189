"""The frames of PixelData as integers, whatever its transfer syntax.

imagecodecs decodes what is compressed: it reads what pydicom's stock plugins do not (12-bit JPEG, JPEG XL) and its
decoders raise where others abort the process.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO

import imagecodecs
import numpy as np
from pydicom import Dataset
from pydicom import uid as u
from pydicom.dataelem import RawDataElement
from pydicom.encaps import generate_frames, parse_basic_offsets, parse_fragments

from medkit_dicom_ingest.dicom.codestream import Codestream, read_jpeg, read_jpeg2000, read_jpegxl
from medkit_dicom_ingest.dicom.header import Header
from medkit_dicom_ingest.failure import ImageError

PIXEL_DATA = "PixelData (7FE0,0010)"
UNDEFINED = 0xFFFFFFFF
NATIVE = (
    u.ImplicitVRLittleEndian,
    u.ExplicitVRLittleEndian,
    u.ExplicitVRBigEndian,
    u.DeflatedExplicitVRLittleEndian,
)
JPEGXL_LOSSLESS, JPEGXL_RECOMPRESSED, JPEGXL = (u.UID(f"1.2.840.10008.1.2.4.{n}") for n in (110, 111, 112))
LOSSLESS = (u.RLELossless, u.JPEGLossless, u.JPEGLosslessSV1, u.JPEGLSLossless, u.JPEG2000Lossless,
            u.HTJ2KLossless, u.HTJ2KLosslessRPCL, JPEGXL_LOSSLESS)  # fmt: skip
READERS = {
    **dict.fromkeys((u.JPEGBaseline8Bit, u.JPEGExtended12Bit), (read_jpeg, "JPEG8")),
    **dict.fromkeys((u.JPEGLossless, u.JPEGLosslessSV1), (read_jpeg, "JPEGSOF3")),
    **dict.fromkeys((u.JPEGLSLossless, u.JPEGLSNearLossless), (read_jpeg, "JPEGLS")),
    **dict.fromkeys((u.JPEG2000Lossless, u.JPEG2000), (read_jpeg2000, "JPEG2K")),
    **dict.fromkeys((u.HTJ2KLossless, u.HTJ2KLosslessRPCL, u.HTJ2K), (read_jpeg2000, "HTJ2K")),
    **dict.fromkeys((JPEGXL_LOSSLESS, JPEGXL_RECOMPRESSED, JPEGXL), (read_jpegxl, "JPEGXL")),
}
"""Transfer syntax → (what reads the codestream's own header, imagecodecs' name of the codec)."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded frame.

    Attributes:
        words: (H,W) or (H,W,3) unsigned integers, bit patterns as decoded.
        precision: how many of their bits the decoder filled.
        signed: the decoder itself sign-extended them.
        rgb: the decoder has already turned YCbCr into RGB.
        lossless: nothing was rounded, so bits beyond BitsStored are not overshoot but something else.
    """

    words: np.ndarray
    precision: int
    signed: bool = False
    rgb: bool = False
    lossless: bool = True


def frame_streams(dataset: Dataset, header: Header) -> Iterator[bytes]:
    """Yield the bytes of one frame after the other as stored: the compressed stream, or the native samples.

    What can be checked without decoding is checked before the first is given.

    Raises:
        ImageError: the data is missing, shorter than it claims, or in a transfer syntax that nothing here reads.
    """
    try:
        raw = dataset.get_item("PixelData")
        data = raw.value or b""
        swapped = raw.VR == "OW" and header.allocated == 8 and not header.little_endian
    except Exception as error:  # pydicom: NotImplementedError for a VR that does not exist, …
        raise ImageError("corrupt", f"{PIXEL_DATA} cannot be read ({type(error).__name__}): corrupt") from error
    if not isinstance(data, bytes):
        raise ImageError("bad_header", f"{PIXEL_DATA} has VR {raw.VR}, expected OB or OW")
    if isinstance(raw, RawDataElement) and raw.length not in (UNDEFINED, len(data)):
        raise ImageError(
            "truncated", f"{PIXEL_DATA} claims {raw.length} bytes, the file ends after {len(data)}: truncated"
        )
    if not data:
        raise ImageError("truncated", f"{PIXEL_DATA} is empty")
    if header.syntax in NATIVE:
        return _native_streams(_unswapped(data) if swapped else data, header)
    if header.syntax not in READERS and header.syntax != u.RLELossless:
        known = header.syntax.name if header.syntax.name != header.syntax else "private or unknown"
        raise ImageError(
            "unsupported", f"transfer syntax {known} is not one that can be read here: convert the file first"
        )
    return _encapsulated_streams(data, header)


def _unswapped(data: bytes) -> bytes:
    """Return 8-bit samples that big endian stored as 16-bit words."""
    return np.frombuffer(data, ">u2", count=len(data) // 2).astype("<u2").tobytes()


def _native_streams(data: bytes, header: Header) -> Iterator[bytes]:
    """Yield native frames; the size is computed, and compared, before anything is allocated."""
    bits = _frame_bits(header)
    needed = -(-bits * header.frames // 8)
    if len(data) < needed:
        raise ImageError(
            "truncated",
            f"{PIXEL_DATA} holds {len(data)} bytes, {header.frames} frame(s) of {header.rows} rows × {header.columns} "
            f"columns need {needed}: truncated, or a wrong header",
        )
    if header.allocated == 1 and bits % 8:  # frames of single bits do not end at whole bytes
        unpacked = np.unpackbits(np.frombuffer(data, np.uint8, count=needed), bitorder="little")
        return (
            np.packbits(unpacked[at : at + bits], bitorder="little").tobytes()
            for at in range(0, bits * header.frames, bits)
        )
    if header.frames == 1:
        return iter([data])
    view, size = memoryview(data), bits // 8
    return (view[at : at + size] for at in range(0, size * header.frames, size))


def _frame_bits(header: Header) -> int:
    samples = 2 if header.photometric == "YBR_FULL_422" else header.samples
    return header.rows * header.columns * samples * header.allocated


def _encapsulated_streams(data: bytes, header: Header) -> Iterator[bytes]:
    """Yield the compressed frames.

    Raises:
        ImageError: the fragments are not complete, or make fewer frames than the header says.
    """
    found = 0
    try:
        buffer = BytesIO(data)
        parse_basic_offsets(buffer)
        fragments, _ = parse_fragments(buffer)
        if fragments < header.frames:
            raise ImageError(
                "truncated", f"{PIXEL_DATA} holds {fragments} fragments, the header says {header.frames} frame(s)"
            )
        for stream in generate_frames(data, number_of_frames=header.frames):
            yield stream
            found += 1
            if found == header.frames:
                return
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # pydicom: ValueError, struct.error, …
        raise ImageError("corrupt", f"{PIXEL_DATA} is not made of complete fragments: truncated or corrupt") from error
    raise ImageError("truncated", f"{PIXEL_DATA} holds {found} frames, the header says {header.frames}: truncated")


def decode(stream: bytes, header: Header) -> Frame:
    """Return a frame that `frame_streams` gave, decoded.

    Raises:
        ImageError: the stream is short, truncated or corrupt, or of another size than the header says.
    """
    if header.syntax in NATIVE:
        return _native(stream, header)
    return _run_length(stream, header) if header.syntax == u.RLELossless else _codestream(stream, header)


def _native(data: bytes, header: Header) -> Frame:
    shape, bits = (header.rows, header.columns), _frame_bits(header)
    if header.allocated == 1:
        packed = np.frombuffer(data, np.uint8, count=-(-bits // 8))
        return Frame(np.unpackbits(packed, count=bits, bitorder="little").reshape(shape), 1)
    dtype = np.dtype(f"{'<' if header.little_endian else '>'}u{header.allocated // 8}")
    words = np.frombuffer(data, dtype, count=bits // header.allocated).astype(dtype.newbyteorder("="), copy=False)
    if header.photometric == "YBR_FULL_422":
        if header.columns % 2:
            raise ImageError(
                "bad_header", f"YBR_FULL_422 needs an even number of columns, the header says {header.columns}"
            )
        pairs = words.reshape(-1, 4)  # Y, Y, Cb, Cr of two neighbours
        luma, chroma = pairs[:, :2].reshape(shape), pairs[:, 2:].reshape(shape[0], -1, 2).repeat(2, axis=1)
        return Frame(np.dstack([luma, chroma]), header.allocated)
    if header.samples == 1:
        return Frame(words.reshape(shape), header.allocated)
    planes = words.reshape(3, *shape).transpose(1, 2, 0) if header.planar else words.reshape(*shape, 3)
    return Frame(planes, header.allocated)


def _run_length(stream: bytes, header: Header) -> Frame:
    """Return an RLE frame (PS3.5 annex G); two bytes become 128 at most, so the stream bounds the memory."""
    size = header.allocated // 8
    count = header.rows * header.columns * header.samples
    segments = int.from_bytes(stream[:4], "little")
    if size == 0 or segments != header.samples * size:
        raise ImageError("corrupt", f"the RLE header says {segments} segments, the image needs {header.samples * size}")
    if len(stream) * 64 < count * size:
        raise ImageError("truncated", f"{PIXEL_DATA}: {len(stream)} bytes of RLE cannot hold {count * size}: truncated")
    out = np.zeros(count * size, np.uint8)
    dtype = np.dtype(f"<u{size}")
    try:
        filled = imagecodecs.dicomrle_decode(stream, dtype, out=out)
    except MemoryError:
        raise
    except Exception as error:
        raise _undecodable(header, error) from error
    if len(filled) != out.size:
        raise ImageError(
            "truncated", f"{PIXEL_DATA}: RLE gives {len(filled)} bytes, the image needs {out.size}: truncated"
        )
    planes = out.view(dtype).reshape(header.samples, header.rows, header.columns)
    return Frame(planes[0] if header.samples == 1 else planes.transpose(1, 2, 0), header.allocated)


def _codestream(stream: bytes, header: Header) -> Frame:
    """Return a frame that imagecodecs decodes, its size compared with the header before and after."""
    read, codec = READERS[header.syntax]
    found = read(stream)
    claimed = (found.rows, found.columns, found.samples or header.samples)
    expected = (header.rows, header.columns, header.samples)
    if claimed != expected:
        sizes = "{} rows × {} columns × {} samples".format
        raise ImageError(
            "size_mismatch", f"the compressed image is {sizes(*claimed)}, the header says {sizes(*expected)}"
        )
    rgb = codec == "JPEGXL" or header.photometric in ("RGB", "YBR_RCT", "YBR_ICT")
    options: dict[str, str] = {}
    if codec == "JPEG8" and header.samples == 3:
        options, rgb = {"colorspace": _jpeg_colours(found, header), "outcolorspace": "RGB"}, True
    words = _decoded(codec, stream, header, options)
    if words.shape != (expected if header.samples == 3 else expected[:2]):
        raise ImageError("size_mismatch", f"the decoded image has shape {words.shape}, the header says {expected}")
    if words.dtype.kind not in "iu" or words.dtype.itemsize > 4:
        raise ImageError("unsupported", f"the decoded samples are {words.dtype}, expected integers of at most 32 bits")
    return Frame(
        words=words.view(words.dtype.str.replace("i", "u")),
        precision=found.precision or 8 * words.dtype.itemsize,
        signed=words.dtype.kind == "i",
        rgb=rgb,
        lossless=header.syntax in LOSSLESS,
    )


def _decoded(codec: str, stream: bytes, header: Header, options: dict[str, str]) -> np.ndarray:
    if not getattr(imagecodecs, codec).available:
        raise ImageError(
            "missing_codec", f"{header.syntax.name} needs an imagecodecs built with {codec}: pip install -U imagecodecs"
        )
    try:
        with _nothing_ignored():
            return getattr(imagecodecs, f"{codec.lower()}_decode")(stream, **options)
    except MemoryError:
        raise
    except Exception as error:  # each codec has its own class
        raise _undecodable(header, error) from error


@contextmanager
def _nothing_ignored() -> Iterator[None]:
    """Raise what a decoder drops on its way out: HTJ2K's leaves the rest of a damaged image as memory was before."""
    dropped: list[str] = []
    before = sys.unraisablehook, sys.excepthook  # Cython calls the one, and the other for its traceback
    sys.unraisablehook, sys.excepthook = lambda lost: dropped.append(str(lost.exc_value)), lambda *error: None
    try:
        yield
    finally:
        sys.unraisablehook, sys.excepthook = before
    if dropped:
        raise ValueError(dropped[0])


def _jpeg_colours(found: Codestream, header: Header) -> str:
    """Return the colours inside a baseline JPEG: by its own marks, else as the header says."""
    ycbcr = header.photometric != "RGB" if found.ycbcr is None else found.ycbcr
    return "YCBCR" if ycbcr else "RGB"


def _undecodable(header: Header, error: Exception) -> ImageError:
    why = " ".join(str(error).split())[:120]
    return ImageError("corrupt", f"{PIXEL_DATA} cannot be decoded as {header.syntax.name}: {why}")
