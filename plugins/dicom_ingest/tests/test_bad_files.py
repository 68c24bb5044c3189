"""Every bad file gives its own line, without the file's name or the patient's, in bounded time and memory."""

import os
import re
import subprocess
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from medkit_dicom_ingest.dicom import parse
from medkit_dicom_ingest.dicom.rendering import render
from medkit_dicom_ingest.failure import CODES, SKIPPED, ImageError
from medkit_dicom_ingest.reader import LoadBitmapd, read_picture
from pydicom import uid
from pydicom.data import get_testdata_file

from medkit.errors import DataError

from .bad_files import BITMAPS, DICOM, OTHER, SECRET, dicom_file, fragments, number, rle, write_corpus
from .ingesting import GIB, rows, run

PIXELS = np.arange(48, dtype=np.uint8).reshape(6, 8)
READ_AS_ONE = {name: bad for name, bad in {**DICOM, **OTHER, **BITMAPS}.items() if name != "deflate_bomb"}
"""What `read_picture` reads; the one bomb that takes seconds has a test of its own."""
LIMIT = GIB
"""Bytes that one file of the corpus may take; the largest has 8 MB."""


@pytest.mark.parametrize("name", READ_AS_ONE)
def test_every_bad_file_gives_its_own_line(write, name):
    bad = READ_AS_ONE[name]
    content = bad.content if isinstance(bad.content, bytes) else bad.content()
    try:
        picture = read_picture(write(content, "scan.dcm"))
        code, said = "image", " | ".join(picture.source.warnings)
        assert np.isfinite(picture.pixels).all()
    except ImageError as error:
        code, said = error.code, str(error)
    assert code == bad.code, said
    assert re.search(bad.reason, said)
    assert bool(said) == bool(bad.reason), "flagged without need"
    assert said.isprintable()
    assert len(said) < 300
    assert not {SECRET, SECRET.upper(), "scan.dcm", "escaped", "999999"} & set(re.split(r"[ /'\"]", said))


@pytest.fixture(scope="module")
def ingested(tmp_path_factory):
    """Ingest the corpus among valid files once; give OUTPUT, the corpus, and what the folder around them held."""
    folder = tmp_path_factory.mktemp("bad")
    corpus = write_corpus(folder / "in")
    for place in ("", "dicom/", "other/", "volumes/"):
        (folder / "in" / f"{place}valid.dcm").write_bytes(dicom_file(PIXELS[::-1].tobytes()))
    before = below(folder)
    run(folder / "in", folder / "out", workers=2, seconds=30.0, memory=LIMIT, allow_burned_in=True)
    return folder, corpus, before


def below(folder: Path) -> dict[str, int]:
    """Return every path below a folder and when it was last written."""
    return {str(path.relative_to(folder)): path.lstat().st_mtime_ns for path in folder.rglob("*") if not path.is_dir()}


def test_ingest_lists_every_bad_file_once_with_its_code(ingested):
    folder, corpus, _ = ingested
    failed = {row["source"]: row for row in rows(folder / "out", "failures.csv")}
    shown = {row["source"] for row in rows(folder / "out")}
    found = {name: failed[name]["code"] if name in failed else "image" if name in shown else "lost" for name in corpus}
    assert found == {name: bad.code for name, bad in corpus.items()}
    assert not failed.keys() & shown
    for name, row in failed.items():
        assert row["code"] in CODES
        assert row["status"] == ("skipped" if row["code"] in SKIPPED else "failed")
        assert re.search(corpus[name].reason, row["reason"]), name
        assert row["reason"].isprintable()


def test_ingest_loses_no_neighbour_and_writes_nowhere_else(ingested):
    folder, _, before = ingested
    valid = [row for row in rows(folder / "out") if row["source"].endswith("valid.dcm")]
    assert len(valid) == 4
    assert len({row["output_sha256"] for row in valid}) == 1
    after = below(folder)
    written = {name for name in after if after[name] != before.get(name)}
    assert {name for name in written if not name.startswith("out/")} <= {".secret"}
    assert not before.keys() - after.keys()
    listed = {f"out/{row['output']}" for row in rows(folder / "out")}
    assert listed == {name for name in written if name.endswith(".png")}
    assert all(re.fullmatch(r"out/images/\w{2}/[0-9a-f]{64}(_\d{5})?\.png", name) for name in listed)
    assert not any(folder.parent.parent.rglob("escaped*"))


def test_ingest_repeats_nothing_of_the_patient(ingested):
    folder, _, _ = ingested
    for name in ("manifest.csv", "failures.csv", "ingest.json"):
        text = (folder / "out" / name).read_text(encoding="utf-8")
        assert not [word for word in ("Jane", "Doe", "escaped", "/etc/x", "9" * 20) if word in text], name


def bomb(bits: int, samples: int, runs: int) -> bytes:
    """Return 16,384² pixels as runs of RLE, a sixty-fourth of their size."""
    tags = {"BitsAllocated": bits, "BitsStored": bits, "HighBit": bits - 1, "SamplesPerPixel": samples}
    tags |= {"Rows": 16384, "Columns": 16384, "PlanarConfiguration": 0}
    kind = b"RGB" if samples == 3 else b"MONOCHROME2"
    frame = fragments(rle(runs, samples * bits // 8))
    return dicom_file(frame, uid.RLELossless, PhotometricInterpretation=kind, **{k: number(v) for k, v in tags.items()})


def test_rle_bombs_stop_at_the_limits_and_cost_no_neighbour(tmp_path):
    (tmp_path / "in").mkdir()
    for name, content in (
        ("a.dcm", dicom_file()),
        ("b.dcm", bomb(32, 3, 1_200_000)),  # 28 MB
        ("c.dcm", bomb(16, 1, 2**21)),  # 8 MB, all of it there, within the limit to pixels but not that to memory
        ("d.dcm", dicom_file(PIXELS[::-1].tobytes())),
    ):
        (tmp_path / "in" / name).write_bytes(content)
    run(tmp_path / "in", tmp_path / "out", memory=GIB // 2)
    codes = {row["source"]: row["code"] for row in rows(tmp_path / "out", "failures.csv")}
    assert codes == {"b.dcm": "too_large", "c.dcm": "memory_limit"}
    assert [row["source"] for row in rows(tmp_path / "out")] == ["a.dcm", "d.dcm"]


def test_a_deflate_bomb_is_counted_not_kept(write):
    path = write(DICOM["deflate_bomb"].content())
    code = (
        "import resource, sys; from medkit_dicom_ingest.dicom.parse import parse;"
        "data = open(sys.argv[1], 'rb').read();"
        "taken = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize();"
        "resource.setrlimit(resource.RLIMIT_AS, (taken + 2**26,) * 2)\n"
        "try: parse(data)\nexcept Exception as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert "inflates to more than" in done.stdout


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


def test_a_link_to_a_file_is_read_where_its_path_is_given(tmp_path, write):
    (tmp_path / "link.dcm").symlink_to(write(dicom_file()))
    assert read_picture(tmp_path / "link.dcm").pixels.shape == (6, 8)


@pytest.mark.parametrize("name", ["reportsi.dcm", "rtplan.dcm", "waveform_ecg.dcm"])
def test_dicom_without_an_image_says_what_it_is(name):
    with pytest.raises(DataError, match=r"DICOM without an image: .* Storage, no PixelData"):
        read_picture(get_testdata_file(name))


def test_a_file_cut_anywhere_is_truncated_never_merely_skipped(write):
    content = dicom_file()
    names_itself = content.index(b"1.2.840.10008.5.1.4.1.1.1.1") + 28
    for end in range(names_itself, len(content)):
        with pytest.raises(ImageError, match=r"truncated|missing") as caught:
            read_picture(write(content[:end]))
        assert caught.value.code not in SKIPPED, end


@pytest.mark.parametrize("missing", [8, 20, 60])
def test_truncated_compressed_dicom_is_named(write, missing):
    tags = {"Rows": number(54), "Columns": number(72)}
    frame = imagecodecs.jpegls_encode(PIXELS.repeat(9, axis=0).repeat(9, axis=1))
    content = dicom_file(fragments(frame), uid.JPEGLSLossless, **tags)
    with pytest.raises(DataError, match="truncated"):
        read_picture(write(content[:-missing]))


def test_tiny_codestream_that_claims_65500_squared_never_reaches_the_decoder(write, monkeypatch):
    monkeypatch.setattr(imagecodecs, "jpeg8_decode", lambda *a, **k: pytest.fail("decoded"))
    with pytest.raises(DataError, match="65500 rows × 65500 columns"):
        read_picture(write(DICOM["jpeg_claims_65500"].content))


def test_damaged_htj2k_is_an_error_and_not_what_memory_held(dicom, capfd):
    noise = np.random.default_rng(0).integers(0, 4096, (64, 64), dtype=np.uint16)
    frame = bytearray(imagecodecs.htj2k_encode(noise, reversible=True))
    frame[frame.index(b"\xff\x93") + 2] ^= 0xFF
    with pytest.raises(DataError, match="cannot be decoded as"):
        render(dicom(noise, BitsStored=12, frame=bytes(frame), syntax=uid.HTJ2KLossless))
    assert capfd.readouterr().err == ""


def test_a_deflated_file_may_have_as_many_bytes_as_the_limit(monkeypatch):
    content = Path(get_testdata_file("image_dfl.dcm")).read_bytes()
    monkeypatch.setattr(parse, "MAX_INFLATED", 262_682)
    assert parse.parse(content).Rows == 512
    monkeypatch.setattr(parse, "MAX_INFLATED", 1000)
    with pytest.raises(DataError, match="inflates to more than 1000 bytes"):
        parse.parse(content)
