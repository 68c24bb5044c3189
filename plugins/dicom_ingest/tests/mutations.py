"""Valid files of every kind that can be read, and damaged copies of them."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random

from pydicom.data import get_testdata_files
from pydicom.datadict import tag_for_keyword

from .bad_files import VOXELS, bitmap, dicom_file, fragments, mha, nifti, nrrd, packed_mha, png, png_chunk, tiff
from .cases import all_cases
from .synthetic import to_bytes

LARGEST = 48 * 1024
"""Bytes of a seed: larger ones take long and break alike."""
VOXEL_FILE = "voxels.raw"
"""What two headers of volumes name: `VOXELS` have to stand there."""
NUMBERS = (0, 1, 2, 3, 7, 8, 16, 32, 127, 128, 255, 256, 32767, 32768, 65500, 65535)
LENGTHS = (0, 1, 2, 3, 4, 65534, 65535)
LONG_NUMBERS = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF, 0x10000, 0xFFFF)
TEXTS = (b"NaN", b"1e308", b"-1e308", b"-1", b"0", b"abc", b"\\\\\\", b"../../..", b"\0", b"99999999999", b"inf")
VRS = (b"US", b"SS", b"UL", b"IS", b"DS", b"SQ", b"OB", b"OW", b"UN", b"UT", b"AT", b"FD", b"LO", b"??", b"\0\0")
KEYWORDS = """
TransferSyntaxUID FileMetaInformationGroupLength SOPClassUID Rows Columns NumberOfFrames SamplesPerPixel
PhotometricInterpretation PlanarConfiguration BitsAllocated BitsStored HighBit PixelRepresentation PixelPaddingValue
PixelPaddingRangeLimit ModalityLUTSequence RescaleSlope RescaleIntercept VOILUTSequence WindowCenter WindowWidth
VOILUTFunction PresentationLUTShape LUTDescriptor LUTData PixelData PerFrameFunctionalGroupsSequence PixelSpacing
RedPaletteColorLookupTableDescriptor RedPaletteColorLookupTableData PatientAge PatientID SpecificCharacterSet
"""
MARKS = (
    *(b"\xff\xd8\xff", b"\xff\xc0", b"\xff\xc1", b"\xff\xc3", b"\xff\xf7", b"\xff\xc4", b"\xff\xda"),  # JPEG, JPEG-LS
    *(b"\xff\x4f\xff\x51", b"\xff\x52", b"\xff\x90", b"jp2h", b"\xff\x0a", b"JXL ", b"jxlc"),  # JPEG 2000, JPEG XL
    *(b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"),  # items of encapsulated pixel data
    *(b"IHDR", b"IDAT", b"PLTE", b"tRNS", b"II*\0", b"MM\0*", b"BM"),
    *(b"\x5c\x01\x00\x00", b"n+1", b"ObjectType", b"DimSize", b"NRRD", b"sizes:"),  # volumes
)
"""Where headers inside files start: what follows decides what a decoder allocates."""
PNG = b"\x89PNG\r\n\x1a\n"


def seeds() -> dict[str, bytes]:
    """Return name → content of small valid files, no two alike: pydicom's own, synthesised DICOM, bitmaps, volumes."""
    found = {case.name: to_bytes(case.dataset) for case in all_cases().values()}
    for path in sorted(get_testdata_files()):
        if Path(path).is_file() and Path(path).stat().st_size <= LARGEST:
            found[f"pydicom: {Path(path).name}"] = Path(path).read_bytes()
    for kind in ("PNG", "JPEG", "TIFF", "BMP"):
        found[kind] = bitmap(kind)
    found["JPEG: progressive"] = bitmap("JPEG", progressive=True)
    for packing in ("tiff_lzw", "tiff_deflate", "packbits"):
        found[f"TIFF: {packing}"] = bitmap("TIFF", compression=packing)
    found["TIFF: by hand"] = tiff()
    found["PNG: 1 bit"] = png(6, 8, png_chunk(b"IDAT", zlib.compress(bytes(12))), bits=1)
    found["DICOM: by hand"] = dicom_file()
    found["DICOM: JPEG file inside"] = dicom_file(fragments(bitmap("JPEG")), "1.2.840.10008.1.2.4.50", Rows=b"\x28\0",
                                             Columns=b"\x3c\0")  # fmt: skip
    found |= {"NIfTI": nifti(), "MetaImage": mha(), "MetaImage: header": mha(data_file=VOXEL_FILE), "NRRD": nrrd()}
    found |= {"NIfTI: gzip": gzip.compress(nifti(), mtime=0), "NRRD: header": nrrd(data_file=VOXEL_FILE)}
    found["MetaImage: packed"] = packed_mha(zlib.compress(VOXELS))
    found["NRRD: gzip"] = nrrd(encoding="gzip", voxels=gzip.compress(VOXELS, mtime=0))
    unlike = {content: name for name, content in reversed(found.items()) if len(content) <= LARGEST}
    return {name: content for content, name in reversed(unlike.items())}


def mutated(content: bytes, other: bytes, random: Random) -> bytes:
    """Return a damaged copy: one to four changes, with checksums and packing mended half of the time.

    Args:
        content: what is damaged.
        other: of which pieces are put in.
        random: decides; the same seed gives the same copy.
    """
    if content[:2] == b"\x1f\x8b" and random.random() < 0.7:
        return gzip.compress(mutated(gzip.decompress(content), other, random), 1, mtime=0)
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 4))):
        change = random.choices(CHANGES, WEIGHTS)[0]
        content = change(content, other, random) or b"\0"
    return with_checksums(content) if content.startswith(PNG) and random.random() < 0.7 else content


def place(content: bytes, random: Random) -> int:
    """Return a position, in the first quarter half of the time: there are the headers."""
    end = len(content) if random.random() < 0.5 else max(1, len(content) // 4)
    return random.randrange(end)


def flipped(content: bytes, other: bytes, random: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(random.choice((1, 2, 4, 16))):
        changed[place(content, random)] ^= 1 << random.randrange(8)
    return bytes(changed)


def numbered(content: bytes, other: bytes, random: Random, at: int | None = None) -> bytes:
    """Return a copy with a number that is at the edge of what one, two or four bytes hold."""
    order = random.choice(("little", "big"))
    size = random.choice((1, 2, 2, 4))
    value = random.choice(LONG_NUMBERS if size == 4 else NUMBERS) % (1 << 8 * size)
    at = place(content, random) if at is None else at
    return content[:at] + value.to_bytes(size, order) + content[at + size :]


def cut(content: bytes, other: bytes, random: Random) -> bytes:
    return content[: random.randrange(len(content))]


def piece(content: bytes, random: Random) -> tuple[int, int]:
    start = place(content, random)
    return start, min(len(content), start + random.choice((1, 2, 4, 8, 16, 64, 256, 1024)))


def without(content: bytes, other: bytes, random: Random) -> bytes:
    start, end = piece(content, random)
    return content[:start] + content[end:]


def doubled(content: bytes, other: bytes, random: Random) -> bytes:
    start, end = piece(content, random)
    return content[:end] + content[start:end] * random.choice((1, 1, 2, 50)) + content[end:]


def with_piece(content: bytes, other: bytes, random: Random) -> bytes:
    """Return a copy with bytes put in, or put over what is there: of another file, zeros, or noise."""
    start, end = piece(other, random)
    put = random.choice((other[start:end], bytes(end - start), random.randbytes(end - start)))
    at = place(content, random)
    return content[:at] + put + content[at + random.choice((0, len(put))) :]


def spliced(content: bytes, other: bytes, random: Random) -> bytes:
    """Return the head of one file with the tail of another."""
    return content[: place(content, random)] + other[place(other, random) :]


def described_wrongly(content: bytes, other: bytes, random: Random) -> bytes:
    """Return a copy in which the VR, the length or the value of a tag that describes the image has changed."""
    tags = [tag_for_keyword(keyword).to_bytes(4, "big") for keyword in random.sample(KEYWORDS.split(), 12)]
    swapped = [bytes((tag[1], tag[0], tag[3], tag[2])) for tag in tags]
    at = next((at for tag in (*swapped, *tags) if (at := content.find(tag)) >= 0), -1)
    if at < 0:
        return flipped(content, other, random)
    changed = bytearray(content)
    what = random.randrange(6)
    if what == 0:
        changed[at + 4 : at + 6] = random.choice(VRS)
    elif what == 1:
        changed[at + 6 : at + 8] = random.choice(LENGTHS).to_bytes(2, "little")
    elif what == 2:
        changed[at + 8 : at + 12] = random.choice(LONG_NUMBERS).to_bytes(4, "little")
    elif what == 3:
        changed[at + 8 : at + 10] = random.choice(NUMBERS).to_bytes(2, "little")
    elif what == 4:
        text = random.choice(TEXTS)
        changed[at + 6 : at + 8] = len(text).to_bytes(2, "little")
        end = at + 8 + int.from_bytes(content[at + 6 : at + 8], "little")
        changed[at + 8 : end] = text
    else:
        del changed[at : at + 8 + int.from_bytes(content[at + 6 : at + 8], "little")]
    return bytes(changed)


def header_wrong(content: bytes, other: bytes, random: Random) -> bytes:
    """Return a copy damaged right behind a mark at which a codestream's or a bitmap's header starts."""
    marks = [at for mark in MARKS if (at := content.find(mark)) >= 0]
    if not marks:
        return numbered(content, other, random)
    start = random.choice(marks)
    for _ in range(random.choice((1, 1, 2, 4))):
        at = min(len(content) - 1, start + random.randrange(random.choice((12, 32, 80))))
        content = numbered(content, other, random, at) if random.random() < 0.6 else (
            content[:at] + random.randbytes(1) + content[at + 1 :])  # fmt: skip
    return content


def digits_wrong(content: bytes, other: bytes, random: Random) -> bytes:
    """Return a copy with another number in place of one that is written out, as text headers have them."""
    found = [match.span() for match in re.finditer(rb"\d+", content[:4096])]
    if not found:
        return numbered(content, other, random)
    start, end = random.choice(found)
    return content[:start] + random.choice((*TEXTS, b"65500", b"32767", b"4294967296")) + content[end:]


def with_checksums(content: bytes) -> bytes:
    """Return a PNG whose chunks have the checksums that fit, so that the damage gets past them."""
    made, at = content[:8], 8
    while at + 12 <= len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        kind, body = content[at + 4 : at + 8], content[at + 8 : at + 8 + size]
        if len(body) < size or at + 12 + size > len(content):
            break
        made, at = made + png_chunk(kind, body), at + 12 + size
    return made + content[at:]


Change = Callable[[bytes, bytes, Random], bytes]
CHANGES: tuple[Change, ...] = (
    flipped, numbered, cut, without, doubled, with_piece, spliced, described_wrongly, header_wrong, digits_wrong
)  # fmt: skip
WEIGHTS = (3, 3, 1, 2, 2, 2, 1, 6, 5, 1)
