"""`medkit ingest` as its user sees it: what is written, what a second run does, and what a broken one leaves."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from medkit_dicom_ingest.dicom.contrast import Voi
from medkit_dicom_ingest.dicom.rendering import render
from medkit_dicom_ingest.ingest.one_file import resized
from medkit_dicom_ingest.ingest.state import position
from medkit_dicom_ingest.ingest.walk import files_below
from medkit_dicom_ingest.reader import LoadBitmapd, read_picture
from PIL import Image
from pydicom import dcmread

import medkit
from medkit import contracts as c
from medkit.compose import SafeCompose
from medkit.errors import ConfigError, DataError
from medkit.files import sha256

from .ingesting import request, rows, run
from .synthetic import make_dicom, to_bytes

RAMP = np.linspace(0, 4095, 30 * 20, dtype=np.uint16).reshape(30, 20)
COMMAND = [sys.executable, "-c", "import sys; from medkit.cli import main; sys.exit(main())", "ingest"]


def dx(number: int = 0, **tags) -> bytes:
    """Return a DX file, another for each number."""
    tags = {"BurnedInAnnotation": "NO", "ViewPosition": "PA", "BodyPartExamined": "CHEST", "PatientAge": "047Y", **tags}
    return to_bytes(make_dicom((RAMP + number).clip(0, 4095), BitsStored=12, SOPInstanceUID=f"1.2.{number}", **tags))


def png(number: int = 0, shape: tuple[int, ...] = (12, 16)) -> bytes:
    buffer = BytesIO()
    Image.fromarray(np.random.default_rng(number).integers(0, 256, shape, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def source(tmp_path) -> Path:
    """Give a folder with three DX files, a bitmap, a report, a text and a truncated file."""
    folder = tmp_path / "in"
    files = {"2.dcm": dx(2), "10.dcm": dx(10), "sub/1.dcm": dx(1), "a picture (1).PNG": png(), "notes.txt": b"hello\n",
             "cut.dcm": dx(3)[:-500], "report.dcm": report()}  # fmt: skip
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def report() -> bytes:
    dataset = make_dicom(RAMP)
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(dataset, keyword)
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    return to_bytes(dataset)


def command(*words, **more) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, check=False, **more)


def content(output: Path) -> dict[str, str]:
    """Return the hash of every file in OUTPUT but the record of the run."""
    files = [path for path in output.rglob("*") if path.is_file() and ".ingest" not in path.parts]
    return {path.relative_to(output).as_posix(): sha256(path) for path in files}


def test_a_folder_becomes_images_a_manifest_and_reasons(source, tmp_path):
    out = tmp_path / "out"
    found = run(source, out)
    assert found.files == {"done": 4, "skipped": 2, "failed": 1}
    table = rows(out)
    assert [row["source"] for row in table] == ["2.dcm", "10.dcm", "a picture (1).PNG", "sub/1.dcm"]
    for row in table:
        assert row["source_sha256"] == sha256(source / row["source"])
        assert re.fullmatch(rf"images/{row['source_sha256'][:2]}/{row['source_sha256']}\.png", row["output"])
        assert row["output_sha256"] == sha256(out / row["output"])
    first = table[0]
    expected = {"format": "DICOM", "modality": "DX", "view_position": "PA", "body_part": "CHEST", "age_band": "40-49",
                "rows": "30", "columns": "20", "bits_stored": "12", "photometric_interpretation": "MONOCHROME2",
                "window": "full range", "frame": "0", "frames": "1", "scale_x": "1.0",
                "sop_class": "Digital X-Ray Image Storage - For Presentation"}  # fmt: skip
    assert {name: first[name] for name in expected} == expected
    reasons = {row["source"]: (row["status"], row["code"]) for row in rows(out, "failures.csv")}
    assert reasons == {"notes.txt": ("skipped", "not_an_image"), "cut.dcm": ("failed", "truncated"),
                       "report.dcm": ("skipped", "no_pixels")}  # fmt: skip
    summary = json.loads((out / "ingest.json").read_text())
    assert summary["manifest"]["sha256"] == sha256(out / "manifest.csv")
    assert summary["complete"]
    assert summary["images"] == {"released": 4, "quarantined": 0}


@pytest.mark.parametrize(("bits", "dtype"), [(8, np.uint8), (16, np.uint16)])
@pytest.mark.parametrize("voi", ["auto", "minmax", "2000/1000"])
def test_the_pixels_are_those_of_the_renderer(tmp_path, bits, dtype, voi):
    (tmp_path / "a.dcm").write_bytes(dx(5, WindowCenter=1000, WindowWidth=900))
    run(tmp_path / "a.dcm", tmp_path / "out", bits=bits, voi=voi)
    (row,) = rows(tmp_path / "out")
    written = imagecodecs.png_decode((tmp_path / "out" / row["output"]).read_bytes())
    expected = render(dcmread(tmp_path / "a.dcm"), Voi.parse(voi), dtype).pixels
    np.testing.assert_array_equal(written, expected)
    assert written.dtype == dtype


def test_colour_stays_colour_unless_grey_is_asked_for(tmp_path):
    (tmp_path / "a.png").write_bytes(png(1, (9, 7, 3)))
    for grey, shape in ((False, (9, 7, 3)), (True, (9, 7))):
        run(tmp_path / "a.png", tmp_path / f"{grey}", grey=grey)
        (row,) = rows(tmp_path / f"{grey}")
        assert imagecodecs.png_decode((tmp_path / f"{grey}" / row["output"]).read_bytes()).shape == shape
        assert row["colour"] == "True"


def test_frames_become_images_with_their_index(tmp_path):
    frames = np.arange(3 * 8 * 6, dtype=np.uint8).reshape(3, 8, 6)
    dataset = make_dicom(frames[0], NumberOfFrames=3, BurnedInAnnotation="NO")
    dataset.PixelData = frames.tobytes()
    (tmp_path / "a.dcm").write_bytes(to_bytes(dataset))
    run(tmp_path / "a.dcm", tmp_path / "out")
    table = rows(tmp_path / "out")
    assert [row["frame"] for row in table] == ["0", "1", "2"]
    for row, frame in zip(table, frames, strict=True):
        np.testing.assert_array_equal(imagecodecs.png_decode((tmp_path / "out" / row["output"]).read_bytes()), frame)


@pytest.mark.parametrize(("chosen", "shape"), [
    ({"longest_side": 15}, (15, 10)), ({"longest_side": 100}, (30, 20)), ({"size": (7, 9)}, (7, 9)),
    ({"size": (60, 50)}, (60, 50)),
])  # fmt: skip
def test_a_resized_image_still_knows_its_frame_and_its_facts(tmp_path, chosen, shape):
    (tmp_path / "a.dcm").write_bytes(dx(5))
    run(tmp_path / "a.dcm", tmp_path / "out", **chosen)
    (row,) = rows(tmp_path / "out")
    assert (int(row["output_rows"]), int(row["output_columns"])) == shape
    assert float(row["scale_y"]) * shape[0] == 30
    assert float(row["scale_x"]) * shape[1] == 20
    path = str(tmp_path / "out" / row["output"])
    source = read_picture(path).source
    assert (source.rows, source.columns, source.view_position, source.age_band) == (30, 20, "PA", "40-49")
    sample = SafeCompose([LoadBitmapd()], spatial_size=shape, classes=1)({c.IMAGE: path})
    assert list(sample[c.FRAME_SIZE]) == [30, 20]
    corner = sample[c.FRAME_AFFINE] @ [shape[1], shape[0], 1]
    np.testing.assert_allclose(corner[:2], [20, 30])


def test_reduction_is_the_mean_over_the_area():
    pixels = np.random.default_rng(0).integers(0, 65536, (40, 60), np.uint16)
    expected = pixels.reshape(20, 2, 20, 3).mean(axis=(1, 3))
    assert np.abs(resized(pixels, None, (20, 20)) - expected).max() <= 1


def test_a_second_run_does_only_what_is_new_or_has_changed(source, tmp_path):
    out = tmp_path / "out"
    run(source, out)
    before = content(out)
    times = {path: path.stat().st_mtime_ns for path in (out / "images").rglob("*.png")}
    os.utime(source / "2.dcm")
    assert run(source, out).files == {"unchanged": 4, "skipped": 2, "failed": 1}
    assert content(out) == before
    (source / "2.dcm").write_bytes(dx(22))
    (source / "new.dcm").write_bytes(dx(23))
    (source / "cut.dcm").write_bytes(dx(3))
    assert run(source, out).files == {"done": 3, "unchanged": 3, "skipped": 2}
    after = content(out)
    old = next(path for path in times if sha256_of(dx(2)) in path.name)
    assert not old.exists()
    assert all(path.stat().st_mtime_ns == made for path, made in times.items() if path != old)
    run(source, tmp_path / "fresh")
    assert after == content(tmp_path / "fresh")


def sha256_of(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


def test_two_files_of_one_content_share_an_image_until_the_last_goes(tmp_path):
    for name in ("a.dcm", "b.dcm"):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(dx(1))
    out = tmp_path / "out"
    run(tmp_path / "in", out)
    image = out / rows(out)[0]["output"]
    assert [row["output"] for row in rows(out)] == [image.relative_to(out).as_posix()] * 2
    (tmp_path / "in" / "a.dcm").write_bytes(dx(2))
    run(tmp_path / "in", out)
    assert image.is_file()
    (tmp_path / "in" / "b.dcm").write_bytes(dx(2))
    run(tmp_path / "in", out)
    assert not image.exists()
    assert len([*(out / "images").rglob("*.png")]) == 1


@pytest.mark.parametrize("harm", ["remove", "cut"])
def test_a_lost_or_damaged_image_is_made_again(source, tmp_path, harm):
    out = tmp_path / "out"
    run(source, out)
    before = content(out)
    image = out / rows(out)[0]["output"]
    image.unlink() if harm == "remove" else image.write_bytes(image.read_bytes()[:50])
    assert run(source, out).files["done"] == 1
    assert content(out) == before


def test_what_is_gone_or_unreadable_keeps_its_images(source, tmp_path):
    out = tmp_path / "out"
    run(source, out)
    before = {row["source"]: row for row in rows(out)}
    (source / "2.dcm").unlink()
    (source / "10.dcm").unlink()
    (source / "10.dcm").symlink_to(source / "sub" / "1.dcm")
    found = run(source, out)
    assert (found.gone, found.outputs) == (1, 4)
    assert {row["source"]: row for row in rows(out)} == before
    assert all((out / row["output"]).is_file() for row in before.values())


def test_other_options_and_foreign_folders_are_refused(source, tmp_path):
    out = tmp_path / "out"
    run(source, out)
    before = content(out)
    with pytest.raises(ConfigError, match=r"made with other options \(bits 8, now 16\)"):
        run(source, out, bits=16)
    with pytest.raises(ConfigError, match=r"another secret of the patient keys"):
        run(source, out, secret_file=tmp_path / "other")
    assert content(out) == before
    with pytest.raises(ConfigError, match=r"not empty and was not made by medkit ingest"):
        run(source, source)
    with pytest.raises(DataError, match=r"does not exist"):
        run(tmp_path / "none", tmp_path / "out2")
    assert run(source, out, bits=16, resume=False).files["done"] == 4
    assert len(content(out)) == len(before)


def test_what_was_ingested_is_not_ingested_again(source):
    run(source, source / "out")
    again = run(source, source / "out")
    assert again.outputs == 4
    assert run(source, source / "out2").outputs == 4


def test_likely_text_is_set_aside_and_released(tmp_path):
    why = {
        "sc.dcm": ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "secondary capture"),
        "us.dcm": ({"Modality": "US"}, "ultrasound"),
        "yes.dcm": ({"BurnedInAnnotation": "YES"}, "BurnedInAnnotation YES"),
        "absent.dcm": ({"BurnedInAnnotation": None}, "BurnedInAnnotation absent"),
        "no.dcm": ({}, ""),
    }
    (tmp_path / "in").mkdir()
    for number, (name, (tags, _)) in enumerate(why.items()):
        (tmp_path / "in" / name).write_bytes(dx(number, **tags))
    overlay = dcmread(BytesIO(dx(9)))
    overlay.add_new((0x6002, 0x0010), "US", 8)
    (tmp_path / "in" / "overlay.dcm").write_bytes(to_bytes(overlay))
    out = tmp_path / "out"
    assert run(tmp_path / "in", out).quarantined == 5
    table = {row["source"]: row for row in rows(out)}
    assert {name: row["burned_in_risk"] for name, row in table.items()} == {
        **{name: reason for name, (_, reason) in why.items()}, "overlay.dcm": "overlay"}  # fmt: skip
    assert {row["output"].split("/")[0] for row in table.values() if row["burned_in_risk"]} == {"quarantine"}
    assert stat.S_IMODE((out / "quarantine").stat().st_mode) == 0o700
    released = run(tmp_path / "in", out, allow_burned_in=True)
    assert (released.quarantined, released.files) == (0, {"done": 5, "unchanged": 1})
    assert not [*(out / "quarantine").rglob("*.png")]
    assert len([*(out / "images").rglob("*.png")]) == 6


def test_parquet_holds_what_csv_holds(source, tmp_path):
    import pyarrow.parquet as pq

    (source / os.fsdecode(b"caf\xe9.dcm")).write_bytes(dx(30))
    run(source, tmp_path / "out")
    run(source, tmp_path / "out", parquet=True)
    assert not (tmp_path / "out" / "manifest.csv").exists()
    table = pq.read_table(tmp_path / "out" / "manifest.parquet").to_pylist()
    run(source, tmp_path / "out")
    as_text = [{name: "" if value is None else str(value) for name, value in row.items()} for row in table]
    odd = [row.pop("source") for row in as_text if "caf" in row["source"]]
    expected = rows(tmp_path / "out")
    assert odd == ["caf\\xe9.dcm"]
    assert [row.pop("source") for row in expected if "caf" in row["source"]] == [os.fsdecode(b"caf\xe9.dcm")]
    assert as_text == expected


def test_nothing_but_regular_files_is_opened(tmp_path):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "good.dcm").write_bytes(dx())
    os.mkfifo(tmp_path / "in" / "pipe")
    (tmp_path / "in" / "link.dcm").symlink_to(tmp_path / "in" / "good.dcm")
    (tmp_path / "in" / "broken").symlink_to("nowhere")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in", target_is_directory=True)
    found = run(tmp_path / "in", tmp_path / "out", seconds=10)
    assert found.files == {"done": 1, "skipped": 4}
    assert {row["code"] for row in rows(tmp_path / "out", "failures.csv")} == {"not_regular"}


def test_names_sort_as_people_count():
    names = ["a/10.dcm", "a/9.dcm", "a/010.dcm", "A/9.dcm", "b", "a.dcm", "a/9/x", "10", "9", "100"]
    assert sorted(names, key=position) == ["9", "10", "100", "a/9/x", "A/9.dcm", "a/9.dcm", "a/010.dcm", "a/10.dcm",
                                           "a.dcm", "b"]  # fmt: skip


@pytest.mark.slow
def test_the_command_tells_by_its_exit_code_and_one_line(source, tmp_path):
    some = command(source, tmp_path / "out", "--secret-file", tmp_path / ".s", "--workers", 2)
    assert (some.returncode, some.stderr) == (3, "")
    assert "4 files read, 0 done before, 2 skipped, 1 failed: 4 images in" in some.stdout
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "a.txt").write_text("text")
    assert command(tmp_path / "only", tmp_path / "o2", "--secret-file", tmp_path / ".s").returncode == 2
    assert command(source / "2.dcm", tmp_path / "o3", "--secret-file", tmp_path / ".s").returncode == 0
    for words, told in (
        ([tmp_path / "none", tmp_path / "o4"], "does not exist"),
        ([source, source / "2.dcm"], "is a file: give the path of a folder"),
        ([source, tmp_path / "o4", "--voi", "brain"], 'VOI "brain" is not understood'),
        ([source, tmp_path / "o4", "--size", "12"], "is not WIDTHxHEIGHT"),
        ([source, tmp_path / "o4", "--size", "8x8", "--longest-side", "9"], "take one"),
        ([source, tmp_path / "o4", "--bit", "8"], "--bits"),
        ([source], "OUTPUT"),
    ):
        refused = command(*words)
        assert refused.returncode == 2
        assert told in refused.stderr
        assert "Traceback" not in refused.stderr
        assert len(refused.stderr.splitlines()) <= 4
        assert not (tmp_path / "o4").exists()


def many(folder: Path, count: int) -> Path:
    """Return a folder of small files, one in ten of them bad."""
    folder.mkdir()
    for number in range(count):
        data = dx(number, PatientID=str(number // 3)) if number % 4 else png(number, (64, 64))
        (folder / f"{number}.dcm").write_bytes(data[:-200] if number % 10 == 7 else data)
    return folder


def started(*words) -> subprocess.Popen[str]:
    return subprocess.Popen([*COMMAND, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            start_new_session=True)  # fmt: skip


def images(output: Path) -> int:
    return len([*output.glob("images/*/*.png")])


def wait_for(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("whole_group", [False, True])
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(tmp_path, whole_group):
    folder, more = many(tmp_path / "in", 240), ("--secret-file", tmp_path / ".s", "--workers", 2)
    command(folder, tmp_path / "whole", *more)
    out = tmp_path / "out"
    for share in (1, 60, 140):
        with started(folder, out, *more) as process:
            wait_for(lambda limit=share: images(out) >= limit or process.poll() is not None)
            os.killpg(process.pid, signal.SIGKILL) if whole_group else process.kill()
        wait_for(lambda pid=process.pid: not alive(pid), 10)
    assert command(folder, out, *more).returncode == 3
    assert content(out) == content(tmp_path / "whole")


def alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    states = subprocess.run(["ps", "-o", "stat=", "-g", str(group)], capture_output=True, text=True, check=False).stdout
    return any(not state.startswith("Z") for state in states.split())


@pytest.mark.slow
def test_ctrl_c_leaves_a_manifest_of_what_is_done(tmp_path):
    folder, out, more = many(tmp_path / "in", 240), tmp_path / "out", ("--secret-file", tmp_path / ".s")
    with started(folder, out, *more) as process:
        wait_for(lambda: images(out) >= 20)
        os.killpg(process.pid, signal.SIGINT)
        told, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "stopped early, interrupted: the same command goes on from here" in told
    assert "Traceback" not in errors
    done = rows(out)
    assert 0 < len(done) < 240
    assert all(sha256(out / row["output"]) == row["output_sha256"] for row in done)
    assert not json.loads((out / "ingest.json").read_text())["complete"]
    kept = {path: path.stat().st_mtime_ns for path in out.glob("images/*/*.png")}
    command(folder, out, *more)
    assert sum(path.stat().st_mtime_ns == made for path, made in kept.items()) >= len(done)
    command(folder, tmp_path / "whole", *more)
    assert content(out) == content(tmp_path / "whole")


@pytest.mark.slow
def test_a_full_disk_stops_the_run_and_loses_nothing(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(60):
        (folder / f"{number}.png").write_bytes(png(number, (300, 300)))
    disk = tmp_path / "disk"
    disk.mkdir()
    small = shlex_join(*COMMAND, folder, disk / "out", "--secret-file", tmp_path / ".s", "--workers", 1)
    keep = f"cp -a {disk}/out {tmp_path}/kept"
    script = f"mount -t tmpfs -o size=3m none {disk} && {{ {small}; echo rc $?; {keep}; }}"
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, check=False)
    if "rc" not in done.stdout:
        pytest.skip(f"no small disk can be made here: {done.stderr.strip()[-100:]}")
    assert "the disk is full" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    shutil.copytree(tmp_path / "kept", disk / "out")
    assert command(folder, disk / "out", "--secret-file", tmp_path / ".s").returncode == 0
    run(folder, tmp_path / "whole", secret_file=tmp_path / ".s")
    assert content(disk / "out") == content(tmp_path / "whole")


def shlex_join(*words) -> str:
    import shlex

    return shlex.join(map(str, words))


def test_one_run_at_a_time_writes_to_a_folder(source, tmp_path):
    out = tmp_path / "out"
    run(source, out)
    from medkit_dicom_ingest.ingest.state import State
    from medkit_dicom_ingest.ingest.walk import OURS

    state = State(out / OURS)
    try:
        with pytest.raises(ConfigError, match=r"another medkit ingest is writing"):
            run(source, out)
    finally:
        state.close()
    assert request(source, out).output == out


def test_what_was_ingested_is_a_data_set(tmp_path):
    (tmp_path / "in").mkdir()
    for number, tags in enumerate([{"PatientID": "7"}, {"PatientID": "7"}, {"BurnedInAnnotation": "YES"}]):
        (tmp_path / "in" / f"{number}.dcm").write_bytes(dx(number, **tags))
    run(tmp_path / "in", tmp_path / "out")
    samples = medkit.dataset("ingested", section="all", dataset_dir=str(tmp_path / "out"))
    assert len(samples) == 2
    assert samples[0][c.PATIENT] == samples[1][c.PATIENT] != ""
    assert all(Path(sample[c.IMAGE]).is_file() for sample in samples)
    assert len(medkit.dataset("ingested", section="all", dataset_dir=str(tmp_path / "out"), quarantined=True)) == 3
    run(tmp_path / "in", tmp_path / "out", parquet=True)
    assert medkit.dataset("ingested", section="all", dataset_dir=str(tmp_path / "out")) == samples
    with pytest.raises(DataError, match=r"has no manifest with images"):
        medkit.dataset("ingested", section="all", dataset_dir=str(tmp_path / "in"))


def test_volumes_with_equal_headers_and_other_voxels_are_other_images(tmp_path):
    header = b"ObjectType = Image\nNDims = 3\nDimSize = 4 3 2\nElementType = MET_UCHAR\nElementDataFile = image.raw\n"
    for name, value in (("p1", 10), ("p2", 200)):
        (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in" / name / "image.mhd").write_bytes(header)
        (tmp_path / "in" / name / "image.raw").write_bytes(bytes([value]) * 24)

    def shown() -> list[int]:
        table = rows(tmp_path / "out")
        return [int(imagecodecs.png_decode((tmp_path / "out" / row["output"]).read_bytes())[0, 0]) for row in table]

    run(tmp_path / "in", tmp_path / "out")
    assert shown() == [10, 10, 200, 200]
    (tmp_path / "in" / "p1" / "image.raw").write_bytes(bytes([77]) * 24)
    assert run(tmp_path / "in", tmp_path / "out").files == {"done": 1, "unchanged": 1, "skipped": 2}
    assert shown() == [77, 77, 200, 200]


def test_content_that_moves_to_another_name_keeps_its_image(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(40):
        (tmp_path / "in" / f"{number}.dcm").write_bytes(dx(number))
    run(tmp_path / "in", tmp_path / "out", workers=2)
    for number in range(40):
        (tmp_path / "in" / f"{number}.dcm").write_bytes(dx(number + 1))
    run(tmp_path / "in", tmp_path / "out", workers=2)
    table = rows(tmp_path / "out")
    assert all(sha256(tmp_path / "out" / row["output"]) == row["output_sha256"] for row in table)
    assert len([*(tmp_path / "out" / "images").rglob("*.png")]) == len(table) == 40


def test_a_closed_folder_is_one_line_and_the_others_are_read(source, tmp_path, monkeypatch):
    def scandir(path):
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", str(path))
        return os_scandir(path)

    os_scandir = os.scandir
    monkeypatch.setattr("medkit_dicom_ingest.ingest.walk.os.scandir", scandir)
    assert {"sub", "2.dcm", "10.dcm"} <= {*files_below(source)}


def test_what_medkit_ingest_has_made_is_no_source(source, tmp_path):
    run(source, tmp_path / "out")
    for place in (tmp_path / "out", tmp_path / "out" / "quarantine"):
        with pytest.raises(DataError, match=r"was made by medkit ingest"):
            run(place, tmp_path / "out2")


def test_a_mistaken_release_is_taken_back(tmp_path):
    (tmp_path / "us.dcm").write_bytes(dx(Modality="US"))
    for allowed, folder in ((True, "images"), (False, "quarantine"), (True, "images")):
        run(tmp_path / "us.dcm", tmp_path / "out", allow_burned_in=allowed)
        (row,) = rows(tmp_path / "out")
        assert row["output"].startswith(folder)
        assert len([*(tmp_path / "out").rglob("*.png")]) == 1


def test_a_run_that_was_killed_at_once_and_one_started_over_go_on(source, tmp_path):
    out = tmp_path / "out"
    (out / ".ingest").mkdir(parents=True)
    assert run(source, out).outputs == 4
    (out / "images" / "notes.txt").write_text("mine")
    (out / ".ingest" / "state.sqlite").write_bytes(b"no database" * 500)
    with pytest.raises(ConfigError, match=r"is damaged .*--no-resume starts over"):
        run(source, out)
    assert run(source, out, resume=False).outputs == 4
    assert (out / "images" / "notes.txt").read_text() == "mine"


def test_an_output_that_takes_nothing_stops_the_run(source, tmp_path):
    out = tmp_path / "out"
    run(source, out)
    shutil.rmtree(out / "images")
    (out / "images").write_text("in the way")
    found = run(source, out)
    assert found.stopped.startswith("OUTPUT cannot be written to")
    assert found.failed <= 1
    (out / "images").unlink()
    assert run(source, out).stopped == ""


@pytest.mark.slow
def test_one_lost_frame_of_thousands_is_made_again(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (1500, 4, 4), np.uint8)
    dataset = make_dicom(frames[0], NumberOfFrames=1500, BurnedInAnnotation="NO")
    dataset.PixelData = frames.tobytes()
    (tmp_path / "a.dcm").write_bytes(to_bytes(dataset))
    run(tmp_path / "a.dcm", tmp_path / "out")
    before = content(tmp_path / "out")
    lost = tmp_path / "out" / rows(tmp_path / "out")[700]["output"]
    lost.unlink()
    assert run(tmp_path / "a.dcm", tmp_path / "out").files == {"done": 1}
    assert content(tmp_path / "out") == before
