"""Every bad file gives its own line, without the file's name or the patient's."""

import os
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from medkit_dicom_ingest import parse
from medkit_dicom_ingest.reader import LoadBitmapd, read_picture
from PIL import Image
from pydicom import uid
from pydicom.data import get_testdata_file

from medkit.errors import DataError

PIXELS = np.arange(48, dtype=np.uint8).reshape(6, 8)
SECRET = "Doe^Jane"
MUTATED = (
    "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_RLE.dcm",
    "693_J2KI.dcm",
    "JPGExtended.dcm",
    "examples_palette.dcm",
    "image_dfl.dcm",
)


def image_or_reason(path: str) -> np.ndarray | str:
    try:
        return read_picture(path).pixels
    except DataError as error:
        return str(error)


def png(tmp_path) -> bytes:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60), dtype=np.uint8)).save(tmp_path / "x.png")
    return (tmp_path / "x.png").read_bytes()


CONTENTS = {
    "empty": (b"", "empty"),
    "text": (b"Findings: none.\n" * 20, "it looks like text"),
    "zip": (b"PK\x03\x04" + bytes(90), "a ZIP archive"),
    "pdf": (b"%PDF-1.7\n" + bytes(90), "a PDF document"),
    "gzip": (b"\x1f\x8b\x08" + bytes(90), "a gzip archive"),
    "noise": (bytes(range(100, 250)) * 9, "neither DICOM nor"),
    "zeros": (bytes(999), "neither DICOM nor"),
    "only a preamble": (bytes(128) + b"DICM", "no PixelData"),
    "bare group 8": (b"\x08\x00" + bytes(40), "DICOM"),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_what_is_not_an_image_is_named(write, name):
    content, reason = CONTENTS[name]
    with pytest.raises(DataError, match=reason) as caught:
        read_picture(write(content, "scan.dcm"))
    assert "\n" not in str(caught.value)
    assert "scan.dcm" not in str(caught.value)


def test_missing_folder_pipe_and_broken_link_are_named(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path, reason in (
        (tmp_path / "none.png", "no such file"),
        (tmp_path / "link", "no such file"),
        (tmp_path / "loop", "cannot be opened"),
        (tmp_path, "a folder"),
        (tmp_path / "pipe", "not a regular file"),
        ("a\0b", "cannot be opened"),
    ):
        with pytest.raises(DataError, match=reason):
            LoadBitmapd()({"image": str(path)})


def test_a_link_to_a_file_is_read(tmp_path, write, dicom):
    (tmp_path / "link.dcm").symlink_to(write(dicom(PIXELS)))
    assert read_picture(tmp_path / "link.dcm").pixels.shape == (6, 8)


@pytest.mark.parametrize("kind", ["png", "jpeg", "tiff", "bmp"])
@pytest.mark.parametrize("share", [0.3, 0.8])
def test_truncated_bitmaps_are_named(tmp_path, write, kind, share):
    noise = np.random.default_rng(0).integers(0, 256, (40, 60), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / f"x.{kind}")
    content = (tmp_path / f"x.{kind}").read_bytes()
    with pytest.raises(DataError, match="truncated or corrupt"):
        read_picture(write(content[: int(len(content) * share)]))


def test_corrupt_png_is_named(tmp_path, write):
    content = bytearray(png(tmp_path))
    content[len(content) // 2] ^= 0xFF
    with pytest.raises(DataError, match="PNG is truncated or corrupt"):
        read_picture(write(bytes(content)))


def test_bitmap_that_claims_too_many_pixels_is_named(tmp_path, write):
    content = bytearray(png(tmp_path))
    content[16:24] = (65500).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    with pytest.raises(DataError, match=r"DecompressionBomb|more than"):
        read_picture(write(bytes(content)))


@pytest.mark.parametrize("name", ["reportsi.dcm", "rtplan.dcm", "waveform_ecg.dcm"])
def test_dicom_without_an_image_says_what_it_is(name):
    with pytest.raises(DataError, match=r"DICOM without an image: .* Storage, no PixelData"):
        read_picture(get_testdata_file(name))


@pytest.mark.parametrize("missing", [1, 20, 60, 200])
def test_truncated_dicom_is_named(dicom, as_bytes, write, missing):
    content = as_bytes(dicom(np.zeros((10, 12), np.uint8)))
    with pytest.raises(DataError, match=r"truncated|no PixelData|missing"):
        read_picture(write(content[:-missing]))


@pytest.mark.parametrize("missing", [8, 20, 60])
def test_truncated_compressed_dicom_is_named(dicom, as_bytes, write, missing):
    frame = imagecodecs.jpegls_encode(PIXELS.repeat(5, axis=0))
    content = as_bytes(dicom(PIXELS.repeat(5, axis=0), frame=frame, syntax=uid.JPEGLSLossless))
    with pytest.raises(DataError, match=r"truncated|no PixelData|missing"):
        read_picture(write(content[:-missing]))


HEADERS = {
    "rows 0": ({"Rows": 0}, r"Rows \(0028,0010\) is 0"),
    "65535 squared": ({"Rows": 65535, "Columns": 65535}, "more than 268435456 pixels"),
    "more rows than data": ({"Rows": 600}, "need 4800: truncated, or a wrong header"),
    "bits allocated 0": ({"BitsAllocated": 0}, r"BitsAllocated \(0028,0100\) is 0"),
    "bits allocated 7": ({"BitsAllocated": 7, "BitsStored": 7}, r"BitsAllocated \(0028,0100\) is 7"),
    "bits stored above": ({"BitsStored": 12}, r"BitsStored \(0028,0101\) is 12, expected 1 to 8"),
    "high bit below": ({"BitsStored": 8, "HighBit": 3}, r"HighBit \(0028,0102\) is 3, expected 7 to 7"),
    "samples 2": ({"SamplesPerPixel": 2}, r"SamplesPerPixel \(0028,0002\) is 2"),
    "samples 65535": ({"SamplesPerPixel": 65535}, r"SamplesPerPixel \(0028,0002\) is 65535"),
    "frames -3": ({"NumberOfFrames": -3}, r"NumberOfFrames \(0028,0008\) is -3"),
    "frames 10^8": ({"NumberOfFrames": 10**8}, "100000000 frame"),
    "photometric": ({"PhotometricInterpretation": "XYZ"}, 'PhotometricInterpretation .* is "XYZ"'),
    "no photometric": ({"PhotometricInterpretation": ""}, 'PhotometricInterpretation .* is ""'),
    "sign 2": ({"PixelRepresentation": 2}, "PixelRepresentation"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_impossible_headers_name_the_tag_and_the_value(dicom, write, name):
    tags, reason = HEADERS[name]
    dataset = dicom(PIXELS, PatientName=SECRET, PatientID=SECRET)
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    with pytest.raises(DataError, match=reason) as caught:
        read_picture(write(dataset))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(("vr", "value"), [("UL", 6), ("IS", "6"), ("US", [6, 6]), ("DS", "abc"), ("LO", "six")])
def test_rows_of_another_kind_are_named(dicom, write, vr, value):
    dataset = dicom(PIXELS)
    del dataset.Rows
    dataset.add_new("Rows", vr, "1" if vr == "DS" else value)
    with pytest.raises(DataError, match=r"Rows \(0028,0010\)"):
        read_picture(write(dataset))


def test_length_that_runs_past_the_file_is_truncation(dicom, as_bytes, write):
    content = as_bytes(dicom(PIXELS))
    at = content.index(b"\xe0\x7f\x10\x00OB") + 8
    with pytest.raises(DataError, match="claims 4294967294 bytes, the file ends after 48"):
        read_picture(write(content[:at] + b"\xfe\xff\xff\xff" + content[at + 4 :]))


def test_tiny_codestream_that_claims_65500_squared_never_reaches_the_decoder(dicom, monkeypatch):
    from medkit_dicom_ingest.rendering import render

    frame = bytearray(imagecodecs.jpeg8_encode(PIXELS))
    at = frame.index(b"\xff\xc0") + 5
    frame[at : at + 4] = (65500).to_bytes(2, "big") * 2
    monkeypatch.setattr(imagecodecs, "jpeg8_decode", lambda *a, **k: pytest.fail("decoded"))
    with pytest.raises(DataError, match="65500 rows × 65500 columns"):
        render(dicom(PIXELS, frame=bytes(frame), syntax=uid.JPEGBaseline8Bit))


def test_deflate_bomb_stops_at_the_limit(write, monkeypatch):
    content = Path(get_testdata_file("image_dfl.dcm")).read_bytes()
    monkeypatch.setattr(parse, "MAX_INFLATED", 1000)
    with pytest.raises(DataError, match="inflates to more than 1000 bytes"):
        read_picture(write(content))


def test_truncated_deflated_file_is_named(write):
    content = Path(get_testdata_file("image_dfl.dcm")).read_bytes()
    with pytest.raises(DataError, match="deflated data set: truncated"):
        read_picture(write(content[: len(content) // 2]))


@pytest.mark.parametrize("depth", [200, 20_000])
def test_sequences_nested_deep_are_an_error_or_skipped(dicom, as_bytes, write, depth):
    content = as_bytes(dicom(PIXELS))
    at = content.index(b"\x28\x00\x02\x00US")
    item = b"\x08\x00\x18\x22SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    end = b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    path = write(content[:at] + item * depth + end * depth + content[at:])
    shown = image_or_reason(path)
    assert "nested too deep" in shown if isinstance(shown, str) else shown.shape == (6, 8)


def test_program_in_the_preamble_is_flagged(dicom, as_bytes, write):
    picture = read_picture(write(b"MZ" + as_bytes(dicom(PIXELS))[2:]))
    assert "the DICOM preamble holds a program" in picture.source.warnings


def test_short_modality_table_is_an_error(dicom, lut, write):
    item = lut([1, 2, 3], 0, 16)
    item["LUTDescriptor"].value = [256, 0, 16]
    with pytest.raises(DataError, match=r"LUTData \(0028,3006\) has 3 entries, LUTDescriptor \(0028,3002\) says 256"):
        read_picture(write(dicom(PIXELS, ModalityLUTSequence=[item])))


@pytest.mark.parametrize("name", MUTATED)
def test_mutated_files_give_an_image_or_one_line(name, write):
    content = Path(get_testdata_file(name)).read_bytes()
    random = np.random.default_rng(0)
    for _ in range(25):
        mutated = np.frombuffer(content, np.uint8).copy()
        places = random.integers(0, min(len(mutated), 3000), 6)
        mutated[places] = random.integers(0, 256, 6)
        shown = image_or_reason(write(mutated.tobytes()))
        assert "\n" not in shown if isinstance(shown, str) else np.isfinite(shown).all()
