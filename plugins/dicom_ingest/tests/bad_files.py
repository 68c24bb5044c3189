"""Broken and hostile files, written byte by byte, and what each of them has to give.

A recipe makes the content; nothing here goes through a library that would refuse to write what is wrong.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import socket
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image
from pydicom import uid
from pydicom.datadict import dictionary_VR, tag_for_keyword

SECRET = "Doe^Jane"
SHAPE = (6, 8)
PIXELS = np.arange(48, dtype=np.uint8).reshape(SHAPE)
LONG_LENGTH = ("OB", "OW", "SQ", "UN", "UT", "OF", "OD")
ANY = 0xFFFFFFFF


@dataclass(frozen=True)
class Bad:
    """One file: its content or what makes it, the code it gives (``image``: it is read), the words that say why."""

    content: bytes | Callable[[], bytes]
    code: str
    reason: str


def element(keyword: str, value: bytes, vr: str = "", length: int | None = None) -> bytes:
    """Return one explicit little-endian element, its length stated wrongly where ``length`` is given."""
    tag, vr = tag_for_keyword(keyword), vr or dictionary_VR(keyword)[:2]
    vr = "OW" if vr == "US" and keyword.endswith("Data") else vr
    value += (b"\0" if vr in ("UI", "OB", "OW", "UN") else b" ") * (len(value) % 2)
    size, wide = len(value) if length is None else length, vr in LONG_LENGTH
    head = tag.to_bytes(4, "big")[1::-1] + tag.to_bytes(4, "big")[:1:-1] + vr.encode()
    return head + (b"\0\0" + size.to_bytes(4, "little") if wide else size.to_bytes(2, "little")) + value


def number(*values: int) -> bytes:
    """Return unsigned 16-bit words."""
    return np.array(values, "<u2").tobytes()


def item(*elements: bytes) -> bytes:
    """Return a sequence's item of defined length."""
    body = b"".join(elements)
    return b"\xfe\xff\x00\xe0" + len(body).to_bytes(4, "little") + body


def fragments(*streams: bytes) -> bytes:
    """Return encapsulated pixel data: an empty offset table, a fragment a stream, the end."""
    items = b"".join(item(stream + b"\0" * (len(stream) % 2)) for stream in streams)
    return item() + items + b"\xfe\xff\xdd\xe0\0\0\0\0"


def dicom_file(
    pixels: bytes | None = PIXELS.tobytes(),
    syntax: str = uid.ExplicitVRLittleEndian,
    *,
    preamble: bytes = bytes(128),
    length: int | None = None,
    sop_class: str = uid.DigitalXRayImageStorageForPresentation,
    **tags: bytes | tuple[str, bytes] | None,
) -> bytes:
    """Return a file of 6 × 8 pixels of 8 bits.

    Args:
        pixels: the value of PixelData; None leaves the element out.
        syntax: transfer syntax; what is not native gets PixelData of undefined length.
        preamble: 128 bytes.
        length: the length that PixelData claims.
        sop_class: its UID.
        tags: keyword → value, or (VR, value); None leaves a tag out.
    """
    described: dict[str, bytes | tuple[str, bytes] | None] = {
        "SOPClassUID": sop_class.encode(),
        "SOPInstanceUID": b"1.2.826.0.1.3680043.8.498.1",
        "Modality": b"DX",
        "PatientName": SECRET.encode(),
        "PatientID": SECRET.encode(),
        "SamplesPerPixel": number(1),
        "PhotometricInterpretation": b"MONOCHROME2",
        "Rows": number(SHAPE[0]),
        "Columns": number(SHAPE[1]),
        "BitsAllocated": number(8),
        "BitsStored": number(8),
        "HighBit": number(7),
        "PixelRepresentation": number(0),
        **tags,
    }
    body = b""
    for keyword in sorted(described, key=tag_for_keyword):
        value = described[keyword]
        if value is not None:
            vr, content = value if isinstance(value, tuple) else ("", value)
            body += element(keyword, content, vr)
    if pixels is not None:
        native = syntax in (uid.ExplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian)
        body += element("PixelData", pixels, "OB", length if native or length is not None else ANY)
    return preamble + b"DICM" + meta(syntax) + body


def meta(syntax: str) -> bytes:
    """Return group 0002 with the transfer syntax alone."""
    stated = element("TransferSyntaxUID", syntax.encode())
    return element("FileMetaInformationGroupLength", len(stated).to_bytes(4, "little")) + stated


def deflated(content: bytes) -> bytes:
    """Return a deflated file that holds ``content`` as its data set."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return bytes(128) + b"DICM" + meta(uid.DeflatedExplicitVRLittleEndian) + packer.compress(content) + packer.flush()


def claiming(stream: bytes, rows: int, columns: int) -> bytes:
    """Return a JPEG or JPEG-LS stream whose frame header states another size."""
    at = min(found for mark in (b"\xff\xc0", b"\xff\xc3", b"\xff\xf7") if (found := stream.find(mark)) > 0) + 5
    return stream[:at] + rows.to_bytes(2, "big") + columns.to_bytes(2, "big") + stream[at + 4 :]


def rle(runs: int, segments: int = 1) -> bytes:
    """Return an RLE frame whose two bytes a run become 128."""
    header = np.zeros(16, "<u4")
    header[: segments + 1] = [segments, *(64 + 2 * runs * index for index in range(segments))]
    return header.tobytes() + b"\x81\x07" * (runs * segments)


def nested(depth: int) -> bytes:
    """Return a file with one sequence in the other, all of undefined length, and nothing that ends them early."""
    start = b"\x08\x00\x18\x22SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    end = b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    content = dicom_file()
    at = content.index(b"\x10\x00\x10\x00PN")
    return content[:at] + start * depth + end * depth + content[at:]


def table(sequence: str, descriptor: tuple[int, int, int], entries: bytes) -> bytes:
    """Return a file with a modality or VOI LUT of 16-bit words."""
    lut = item(element("LUTDescriptor", number(*descriptor), "US"), element("LUTData", entries, "OW"))
    return dicom_file(**{sequence: lut})


def zipped() -> bytes:
    """Return a ZIP archive that holds an image."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("image.dcm", dicom_file())
    return buffer.getvalue()


JPEG = imagecodecs.jpeg8_encode(PIXELS)
JPEGLS = imagecodecs.jpegls_encode(PIXELS.repeat(9, axis=0).repeat(9, axis=1))
LARGE = {"Rows": number(54), "Columns": number(72)}
J2K = imagecodecs.jpeg2k_encode(np.zeros((128, 32), np.uint8), reversible=True, codecformat="j2k")
NOT_NUMBERS = (b"NaN", b"0", b"1e308", b"abc")
HOSTILE_TEXTS = {"climbs": b"../../../../tmp/escaped", "nul": b"1.2\x00.3/..", "long": b"9" * 1000, "root": b"/etc/x"}

PIXEL_TAGS = {
    "rows_as_ul": ({"Rows": ("UL", b"\6\0\0\0")}, r"Rows \(0028,0010\) has VR UL, expected US"),
    "rows_as_is": ({"Rows": ("IS", b"6")}, r"Rows \(0028,0010\) has VR IS"),
    "rows_twice": ({"Rows": number(6, 6)}, r"Rows \(0028,0010\) has 2 values"),
    "rows_missing": ({"Rows": None}, r"Rows \(0028,0010\) is missing"),
    "rows_0": ({"Rows": number(0)}, r"Rows \(0028,0010\) is 0"),
    "bits_allocated_0": ({"BitsAllocated": number(0)}, r"BitsAllocated \(0028,0100\) is 0"),
    "bits_allocated_7": (
        {"BitsAllocated": number(7), "BitsStored": number(7), "HighBit": number(6)},
        r"BitsAllocated \(0028,0100\) is 7",
    ),
    "bits_stored_12_of_8": ({"BitsStored": number(12)}, r"BitsStored \(0028,0101\) is 12, expected 1 to 8"),
    "high_bit_3": ({"HighBit": number(3)}, r"HighBit \(0028,0102\) is 3, expected 7 to 7"),
    "samples_2": ({"SamplesPerPixel": number(2)}, r"SamplesPerPixel \(0028,0002\) is 2"),
    "samples_65535": ({"SamplesPerPixel": number(65535)}, r"SamplesPerPixel \(0028,0002\) is 65535"),
    "frames_minus_3": ({"NumberOfFrames": b"-3"}, r"NumberOfFrames \(0028,0008\) is -3"),
    "frames_word": ({"NumberOfFrames": b"many"}, r"NumberOfFrames \(0028,0008\)"),
    "sign_2": ({"PixelRepresentation": number(2)}, r"PixelRepresentation \(0028,0103\) is 2"),
    "photometric_xyz": ({"PhotometricInterpretation": b"XYZ"}, "PhotometricInterpretation .* is unknown"),
    "photometric_empty": ({"PhotometricInterpretation": b""}, "PhotometricInterpretation .* is missing"),
    "colour_of_one_sample": ({"PhotometricInterpretation": b"RGB"}, r"SamplesPerPixel .* is 1, which does not fit RGB"),
}

DICOM = {
    "jpegls_claims_65535": Bad(
        dicom_file(fragments(claiming(JPEGLS, 65535, 65535)), uid.JPEGLSLossless, **LARGE),
        "size_mismatch",
        "the compressed image is 65535 rows × 65535 columns .* the header says 54 rows",
    ),
    "jpegls_and_header_claim_65535": Bad(
        dicom_file(
            fragments(claiming(JPEGLS, 65535, 65535)),
            uid.JPEGLSLossless,
            Rows=number(65535),
            Columns=number(65535),
        ),
        "too_large",
        "65535 rows × 65535 columns are more than",
    ),
    "native_claims_65535": Bad(
        dicom_file(Rows=number(65535), Columns=number(65535)), "too_large", "65535 rows × 65535 columns are more than"
    ),
    "native_claims_16384": Bad(
        dicom_file(Rows=number(16384), Columns=number(16384)), "truncated", "holds 48 bytes, .* need 268435456"
    ),
    "jpeg_claims_65500": Bad(
        dicom_file(fragments(claiming(JPEG, 65500, 65500)), uid.JPEGBaseline8Bit),
        "size_mismatch",
        "the compressed image is 65500 rows × 65500 columns",
    ),
    "j2k_128_by_32_under_64_by_64": Bad(
        dicom_file(fragments(J2K), uid.JPEG2000Lossless, Rows=number(64), Columns=number(64)),
        "size_mismatch",
        "the compressed image is 128 rows × 32 columns",
    ),
    "j2k_of_tiles_of_size_0": Bad(
        dicom_file(fragments(J2K[:28] + bytes(4) + J2K[32:]), uid.HTJ2KLossless, Rows=number(128), Columns=number(32)),
        "corrupt",
        "tiles or steps of size 0",
    ),
    "j2k_that_is_text": Bad(
        dicom_file(fragments(b"abc" * 99), uid.JPEG2000Lossless), "corrupt", "holds no JPEG 2000 stream"
    ),
    "jpegls_truncated": Bad(
        dicom_file(fragments(JPEGLS[:-40]), uid.JPEGLSLossless, **LARGE),
        "truncated",
        "JPEG stream .* has no end marker",
    ),
    "jpegls_truncated_with_end_marker": Bad(
        dicom_file(fragments(JPEGLS[: len(JPEGLS) // 2] + b"\xff\xd9"), uid.JPEGLSLossless, **LARGE),
        "corrupt",
        "cannot be decoded as JPEG-LS",
    ),
    "pixels_claim_fffffffe": Bad(
        dicom_file(length=0xFFFFFFFE), "truncated", "claims 4294967294 bytes, the file ends after"
    ),
    "pixels_of_undefined_length": Bad(dicom_file(length=ANY), "truncated", "ends inside an element"),
    "fragment_claims_fffffffe": Bad(
        dicom_file(item() + b"\xfe\xff\x00\xe0\xfe\xff\xff\xff" + JPEG, uid.JPEGBaseline8Bit),
        "truncated",
        "ends inside an element|is not made of complete fragments",
    ),
    "pixels_empty": Bad(dicom_file(b""), "truncated", "PixelData .* is empty"),
    "no_fragments": Bad(dicom_file(fragments(), uid.JPEGBaseline8Bit), "truncated", "holds 0 fragments"),
    "frames_1e8": Bad(dicom_file(NumberOfFrames=b"100000000"), "truncated", "100000000 frame.* need 4800000000"),
    "frames_1e8_compressed": Bad(
        dicom_file(fragments(JPEG), uid.JPEGBaseline8Bit, NumberOfFrames=b"100000000"),
        "truncated",
        "holds 1 fragments, the header says 100000000",
    ),
    "rle_bomb": Bad(
        partial(
            lambda runs: dicom_file(
                fragments(rle(runs, 12)),
                uid.RLELossless,
                Rows=number(16384),
                Columns=number(16384),
                SamplesPerPixel=number(3),
                PhotometricInterpretation=b"RGB",
                PlanarConfiguration=number(0),
                BitsAllocated=number(32),
                BitsStored=number(32),
                HighBit=number(31),
            ),
            2**12,
        ),
        "too_large",
        "3221225472 bytes, more than",
    ),
    "rle_longer_than_the_image": Bad(
        lambda: dicom_file(fragments(rle(2**19)), uid.RLELossless), "corrupt", "cannot be decoded as RLE"
    ),
    "rle_segments_2e9": Bad(
        dicom_file(fragments(b"\xff\xff\xff\x7f" + rle(9)[4:]), uid.RLELossless),
        "corrupt",
        "header says 2147483647 segments",
    ),
    "rle_offset_outside": Bad(
        dicom_file(fragments(b"\1\0\0\0\xf0\xff\xff\xff" + rle(9)[8:]), uid.RLELossless), "corrupt", "RLE"
    ),
    "deflate_bomb": Bad(
        lambda: deflated(dicom_file()[132:][len(meta(uid.ExplicitVRLittleEndian)) :] + bytes(2**30)),
        "too_large",
        "deflated data set: inflates to more than",
    ),
    "deflate_behind_long_meta": Bad(
        bytes(128) + b"DICM" + element("FileMetaInformationVersion", bytes(70_000)) + deflated(bytes(2**24))[132:],
        "corrupt",
        "deflated data set: its file meta information is not where it belongs",
    ),
    "deflate_truncated": Bad(deflated(dicom_file()[200:] * 9)[:-30], "truncated", "deflated data set: truncated"),
    "deflate_that_is_not": Bad(
        dicom_file(syntax=uid.DeflatedExplicitVRLittleEndian), "corrupt", "DICOM cannot be parsed|deflated data set"
    ),
    "nested_200": Bad(lambda: nested(200), "corrupt", "nested"),
    "nested_200000": Bad(lambda: nested(200_000), "corrupt", "nested"),
    "transfer_syntax_video": Bad(
        dicom_file(fragments(JPEG), uid.MPEG2MPML), "unsupported", "transfer syntax MPEG2 Main Profile"
    ),
    "truncated": Bad(dicom_file(bytes(4800), Rows=number(600))[:-200], "truncated", "claims 4800 bytes"),
    "truncated_in_header": Bad(dicom_file()[:300], "truncated", "ends inside an element|no PixelData"),
    "preamble_alone": Bad(bytes(128) + b"DICM", "no_pixels", "no PixelData"),
    "sr": Bad(
        dicom_file(None, sop_class=uid.ComprehensiveSRStorage), "no_pixels", "Comprehensive SR Storage, no PixelData"
    ),
    "encapsulated_pdf": Bad(
        dicom_file(None, sop_class=uid.EncapsulatedPDFStorage, EncapsulatedDocument=b"%PDF-1.7"),
        "no_pixels",
        "Encapsulated PDF Storage, no PixelData",
    ),
    "preamble_mz": Bad(dicom_file(preamble=b"MZ" + bytes(126)), "image", "the DICOM preamble holds a program"),
    "preamble_elf": Bad(dicom_file(preamble=b"\x7fELF" + bytes(124)), "image", "the DICOM preamble holds a program"),
    "no_preamble": Bad(dicom_file()[132:], "image", ""),
    "no_meta": Bad(dicom_file()[132 + len(meta(uid.ExplicitVRLittleEndian)) :], "image", ""),
    "modality_lut_empty": Bad(
        table("ModalityLUTSequence", (48, 0, 16), b""), "bad_header", "LUTData .* missing or empty"
    ),
    "modality_lut_short": Bad(
        table("ModalityLUTSequence", (256, 0, 16), bytes(6)), "bad_header", "LUTData .* has 3 entries, .* says 256"
    ),
    "modality_lut_3_bits": Bad(table("ModalityLUTSequence", (3, 0, 3), bytes(6)), "bad_header", "says 3 bits an entry"),
    "modality_lut_60000_bits": Bad(
        table("ModalityLUTSequence", (3, 0, 60000), bytes(6)), "bad_header", "says 60000 bits an entry"
    ),
    "voi_lut_empty": Bad(table("VOILUTSequence", (48, 0, 16), b""), "image", "VOI LUT not usable: LUTData"),
    "voi_lut_short": Bad(table("VOILUTSequence", (256, 0, 16), bytes(6)), "image", "LUTData .* has 3 entries"),
    "voi_lut_3_bits": Bad(table("VOILUTSequence", (3, 0, 3), bytes(6)), "image", "says 3 bits an entry"),
    "voi_lut_60000_bits": Bad(table("VOILUTSequence", (3, 0, 60000), bytes(6)), "image", "says 60000 bits an entry"),
    **{name: Bad(dicom_file(**tags), "bad_header", reason) for name, (tags, reason) in PIXEL_TAGS.items()},
    **{
        f"{keyword}_{value.decode()}".lower(): Bad(
            dicom_file(**{"WindowCenter": b"20", "WindowWidth": b"40", "RescaleIntercept": b"0", keyword: value}),
            "image",
            f"{keyword} .* not usable"
            if keyword != "WindowWidth"
            else "WindowCenter .* and WindowWidth are not usable",
        )
        for keyword in ("WindowWidth", "RescaleSlope")
        for value in NOT_NUMBERS
    },
    **{
        f"{keyword}_{name}".lower(): Bad(dicom_file(**{keyword: ("LO", text)}), "image", "")
        for keyword in ("SOPInstanceUID", "StudyInstanceUID", "PatientID", "AccessionNumber")
        for name, text in HOSTILE_TEXTS.items()
    },
}

OTHER = {
    "empty": Bad(b"", "empty", "the file is empty"),
    "text": Bad(b"Findings: none.\n" * 20, "not_an_image", "it looks like text"),
    "zip": Bad(zipped, "not_an_image", "a ZIP archive"),
    "gzip": Bad(b"\x1f\x8b\x08" + bytes(90), "not_an_image", "a gzip archive"),
    "pdf": Bad(b"%PDF-1.7\n" + bytes(90), "not_an_image", "a PDF document"),
    "noise": Bad(bytes(range(100, 250)) * 9, "not_an_image", "it looks like something else"),
    "zeros": Bad(bytes(999), "not_an_image", "neither DICOM"),
}


def bitmap(kind: str, **options: object) -> bytes:
    """Return 40 × 60 noise, which compresses badly, in one of Pillow's formats."""
    buffer = BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (40, 60), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, kind, **options)
    return buffer.getvalue()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")


def png(rows: int, columns: int, *chunks: bytes, bits: int = 8) -> bytes:
    """Return a PNG with a grey header, the chunks, and no pixels but what these bring."""
    size = columns.to_bytes(4, "big") + rows.to_bytes(4, "big")
    header = png_chunk(b"IHDR", size + bytes([bits, 0, 0, 0, 0]))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + png_chunk(b"IEND", b"")


def tiff(*entries: tuple[int, int, int, int], following: int = 0) -> bytes:
    """Return a little-endian TIFF of 6 × 8 pixels with further or other entries (tag, type, count, value).

    Args:
        entries: they replace those of the same tag.
        following: where the next directory lies; 8 is the first itself.
    """
    start = 8 + 2 + 12 * 16 + 4
    stated = {
        256: (3, 1, 8),
        257: (3, 1, 6),
        258: (3, 1, 8),
        259: (3, 1, 1),
        262: (3, 1, 1),
        273: (4, 1, start),
        277: (3, 1, 1),
        278: (3, 1, 6),
        279: (4, 1, 48),
        **{tag: rest for tag, *rest in entries},
    }
    body = b"".join(
        np.array([tag, kind], "<u2").tobytes() + np.array([count, value], "<u4").tobytes()
        for tag, (kind, count, value) in sorted(stated.items())
    )
    head = b"II*\0\x08\0\0\0" + number(len(stated)) + body + np.array([following], "<u4").tobytes()
    return head.ljust(start, b"\0") + PIXELS.tobytes()


def bmp(rows: int, columns: int) -> bytes:
    """Return a BMP whose header states another size than its 40 × 60 pixels."""
    content = bitmap("BMP")
    return content[:18] + columns.to_bytes(4, "little") + rows.to_bytes(4, "little") + content[26:]


def halves(kind: str) -> bytes:
    content = bitmap(kind)
    return content[: len(content) // 2]


BROKEN = "truncated or corrupt"
BITMAPS = {
    **{
        f"{kind}_truncated".lower(): Bad(partial(halves, kind), "corrupt", BROKEN)
        for kind in ("PNG", "JPEG", "TIFF", "BMP")
    },
    "png_claims_65500": Bad(png(65500, 65500), "too_large", "4290250000 pixels are more than"),
    "png_claims_2147483647": Bad(png(2**31 - 1, 2**31 - 1), "too_large", "pixels are more than"),
    "png_without_pixels": Bad(png(6, 8), "corrupt", BROKEN),
    "png_of_no_size": Bad(png(0, 8), "corrupt", BROKEN),
    "png_text_bomb": Bad(
        lambda: png(6, 8, png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2**27)))), "corrupt", BROKEN
    ),
    "png_pixels_bomb": Bad(lambda: png(6, 8, png_chunk(b"IDAT", zlib.compress(bytes(2**27)))), "image", ""),
    "png_wrong_checksum": Bad(
        png(6, 8, png_chunk(b"IDAT", zlib.compress(bytes(54))))[:-20] + bytes(20), "corrupt", BROKEN
    ),
    "jpeg_file_claims_65500": Bad(claiming(JPEG, 65500, 65500), "too_large", "4290250000 pixels are more than"),
    "jpeg_file_of_no_size": Bad(claiming(JPEG, 0, 8), "corrupt", BROKEN),
    "tiff_claims_65500": Bad(
        tiff((256, 3, 1, 65500), (257, 3, 1, 65500)), "too_large", "4290250000 pixels are more than"
    ),
    "tiff_claims_10000": Bad(tiff((256, 3, 1, 10000), (257, 3, 1, 10000), (278, 3, 1, 10000)), "corrupt", BROKEN),
    "tiff_directory_loop": Bad(tiff(following=8), "image", ""),
    "tiff_directory_outside": Bad(tiff(following=0xFFFFFFF0), "corrupt", BROKEN),
    "tiff_count_4e9": Bad(tiff((273, 4, 0xFFFFFFFF, 8)), "corrupt", BROKEN),
    "tiff_strip_outside": Bad(tiff((273, 4, 1, 0xFFFFFFF0)), "corrupt", BROKEN),
    "tiff_bits_60000": Bad(tiff((258, 3, 1, 60000)), "corrupt", BROKEN),
    "tiff_compression_unknown": Bad(tiff((259, 3, 1, 4711)), "corrupt", BROKEN),
    "bmp_claims_65500": Bad(bmp(65500, 65500), "too_large", "4290250000 pixels are more than"),
    "bmp_claims_10000": Bad(bmp(10000, 10000), "corrupt", BROKEN),
    "bmp_negative": Bad(bmp(2**32 - 40, 2**32 - 60), "too_large", "pixels are more than"),
}


VOXELS = np.arange(5 * 6 * 7, dtype="<i2").tobytes()


def nifti(
    sizes: tuple[int, int, int] = (5, 6, 7), datatype: int = 4, offset: float = 352, voxels: bytes = VOXELS
) -> bytes:
    """Return a NIfTI-1 file of 16-bit voxels; NaN in its matrix where ``datatype`` is negative."""
    head = bytearray(352)
    head[0:4] = (348).to_bytes(4, "little")
    head[40:56] = np.array([3, *sizes, 1, 1, 1, 1], "<u2").tobytes()
    head[70:74] = np.array([datatype, 16], "<i2").tobytes()
    head[76:108] = np.ones(8, "<f4").tobytes()
    head[108:112] = np.array([offset], "<f4").tobytes()
    head[344:348] = b"n+1\0"
    return bytes(head) + voxels


def mha(sizes: str = "5 6 7", data_file: str = "LOCAL", voxels: bytes = VOXELS, more: str = "") -> bytes:
    """Return a MetaImage file of 16-bit voxels."""
    kind = "ElementType = MET_SHORT"
    text = f"ObjectType = Image\nNDims = 3\n{more}DimSize = {sizes}\n{kind}\nElementDataFile = {data_file}\n"
    return text.encode() + (voxels if data_file == "LOCAL" else b"")


def packed_mha(voxels: bytes, sizes: str = "5 6 7", size: int | None = None) -> bytes:
    size = len(voxels) if size is None else size
    return mha(sizes, voxels=voxels, more=f"CompressedData = True\nCompressedDataSize = {size}\n")


def nrrd(sizes: str = "5 6 7", data_file: str = "", encoding: str = "raw", voxels: bytes = VOXELS) -> bytes:
    """Return an NRRD file of 16-bit voxels."""
    lines = ["NRRD0004", "type: short", "dimension: 3", f"sizes: {sizes}", f"encoding: {encoding}", "endian: little"]
    lines += [f"data file: {data_file}"] if data_file else []
    return "\n".join([*lines, "", ""]).encode() + (b"" if data_file else voxels)


ELSEWHERE = "../../../../../../etc/passwd"
HUGE = "32767 32767 32767"
NOT_OPENED = "voxels are not in one file in the header's folder"
VOLUMES = {
    "truncated.nii": Bad(nifti()[:-100], "truncated", "the file holds 672 bytes, its header needs 772"),
    "truncated.nii.gz": Bad(gzip.compress(nifti(), mtime=0)[:-200], "truncated", "its header needs 772"),
    "header_alone.nii": Bad(nifti(voxels=b""), "truncated", "its header needs 772"),
    "claims_32767.nii": Bad(nifti((32767,) * 3), "too_large", "dim is .* bytes are more than"),
    "claims_32767.nii.gz": Bad(
        gzip.compress(nifti((32767,) * 3), mtime=0), "too_large", "dim is .* bytes are more than"
    ),
    "claims_1000.nii.gz": Bad(gzip.compress(nifti((1000,) * 3), mtime=0), "truncated", "gzip cannot hold 2000000352"),
    "negative.nii": Bad(nifti((5, 6, 65535)), "bad_header", "dim is .* expected positive numbers"),
    "unknown_voxels.nii": Bad(nifti(datatype=4711), "corrupt", "NIfTI header cannot be read"),
    "complex_voxels.nii": Bad(nifti(datatype=32), "unsupported", "NIfTI datatype 32"),
    "offset_outside.nii": Bad(nifti(offset=1e9), "truncated", "the file holds"),
    "bomb.nii.gz": Bad(lambda: gzip.compress(nifti(voxels=bytes(2**27)), 9, mtime=0), "image", ""),
    "gzip_corrupt.nii.gz": Bad(
        gzip.compress(nifti(), 0, mtime=0)[:-20] + b"\xff" * 12 + gzip.compress(nifti(), 0, mtime=0)[-8:],
        "corrupt",
        "gzip stream is .*corrupt",
    ),
    "truncated.mha": Bad(mha()[:-100], "truncated", "the voxels have 320 bytes, the header needs 420"),
    "claims_32767.mha": Bad(mha(HUGE), "too_large", "DimSize is .* bytes are more than"),
    "no_sizes.mha": Bad(mha("a b c"), "bad_header", "dimsize is not a list of positive integers"),
    "packed_bomb.mha": Bad(
        lambda: packed_mha(zlib.compress(bytes(2**22), 9), "1000 1000 1000"),
        "truncated",
        "the voxels have .* bytes, the header needs 2000000000",
    ),
    "packed_of_no_size.mha": Bad(
        mha(voxels=zlib.compress(VOXELS), more="CompressedData = True\n"), "bad_header", "without a CompressedDataSize"
    ),
    "packed_of_short_size.mha": Bad(
        lambda: packed_mha(zlib.compress(VOXELS), size=100), "truncated", "the deflated voxels have .* bytes"
    ),
    "elsewhere.mhd": Bad(mha(data_file=ELSEWHERE), "unsupported", NOT_OPENED),
    "root.mhd": Bad(mha(data_file="/etc/passwd"), "unsupported", NOT_OPENED),
    "list.mhd": Bad(mha(data_file="LIST"), "unsupported", NOT_OPENED),
    "pattern.mhd": Bad(mha(data_file="%03d.raw 1 7 1"), "unsupported", NOT_OPENED),
    "missing.mhd": Bad(mha(data_file="nowhere.raw"), "truncated", "file with the voxels, .*, is missing"),
    "truncated.nrrd": Bad(nrrd()[:-100], "truncated", "the voxels have 320 bytes, the header needs 420"),
    "claims_32767.nrrd": Bad(nrrd(HUGE), "too_large", "sizes is .* bytes are more than"),
    "gzip_truncated.nrrd": Bad(
        nrrd(encoding="gzip", voxels=gzip.compress(VOXELS, mtime=0)[:-100]), "corrupt", "cannot be read by ITK"
    ),
    "elsewhere.nhdr": Bad(nrrd(data_file=ELSEWHERE), "unsupported", NOT_OPENED),
    "root.nhdr": Bad(nrrd(data_file="/etc/passwd"), "unsupported", NOT_OPENED),
    "list.nhdr": Bad(nrrd(data_file="LIST"), "unsupported", NOT_OPENED),
    "missing.nhdr": Bad(nrrd(data_file="nowhere.raw"), "truncated", "file with the voxels, .*, is missing"),
}


def write_corpus(folder: Path) -> dict[str, Bad]:
    """Write every file, link, pipe and device below ``folder``; return path below it → what it has to give.

    What has no content is a pipe, a socket, a device (where the system lets one be made) or a symbolic link.
    """
    corpus = {f"dicom/{name}.dcm": bad for name, bad in DICOM.items()}
    corpus |= {f"other/{name}": bad for name, bad in OTHER.items()}
    corpus |= {f"bitmaps/{name}": bad for name, bad in BITMAPS.items()}
    corpus |= {f"volumes/{name}": bad for name, bad in VOLUMES.items()}
    for name, bad in corpus.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bad.content if isinstance(bad.content, bytes) else bad.content())
    return corpus | dict(_without_content(folder / "links"))


def _without_content(folder: Path) -> Iterator[tuple[str, Bad]]:
    folder.mkdir()
    link, special = Bad(b"", "not_regular", "a symbolic link"), Bad(b"", "not_regular", "a pipe, socket or device")
    targets = {"to_a_file": "../dicom/no_meta.dcm", "broken": "nowhere", "loop": "loop", "outside": "/etc/passwd",
               "device": "/dev/zero", "folder": ".."}  # fmt: skip
    for name, target in targets.items():
        (folder / f"link_{name}").symlink_to(target)
        yield f"links/link_{name}", link
    os.mkfifo(folder / "pipe")
    yield "links/pipe", special
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as listening:  # its path may be too long
        listening.bind(str(folder / "socket"))
        yield "links/socket", special
    with contextlib.suppress(PermissionError):
        os.mknod(folder / "zero", stat.S_IFCHR | 0o600, os.makedev(1, 5))
        yield "links/zero", special
