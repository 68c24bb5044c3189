"""`medkit expand` and `offline_expansion`: what lies in the folder, and what is left of a run that is killed."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from medkit_augmentation.command import expand
from medkit_augmentation.names import stems
from PIL import Image

import medkit
from medkit.errors import ConfigError, DataError
from medkit.tables import read_csv, write_csv

FINDINGS = ["Mass", "Nodule"]
BOX = (20, 12, 40, 30)
PLACES = {"a": "training", "b": "training", "c": "training", "v": "validation", "t": "test"}


@pytest.fixture
def folder(tmp_path):
    """A data set of five pictures with one bright box each, of which `b` and `v` show nothing."""
    return make(tmp_path / "data")


def make(folder, boxes=True):
    (folder / "images").mkdir(parents=True)
    x_min, y_min, x_max, y_max = BOX
    rows = []
    for number, (name, section) in enumerate(PLACES.items()):
        pixels = np.linspace(30 + number, 80, 48 * 64).reshape(48, 64).astype(np.uint8)
        shown = name not in "bv"
        if shown:
            pixels[y_min:y_max, x_min:x_max] = 250
        Image.fromarray(pixels).save(folder / "images" / f"{name}.png")
        marks = {"Mass": int(shown), "Nodule": ""}
        rows.append({"image": f"{name}.png", "patient_id": f"P{number}", "section": section, **marks})
    write_csv(folder / "labels.csv", ["image", "patient_id", "section", *FINDINGS], rows)
    corners = dict(zip(("x_min", "y_min", "x_max", "y_max"), BOX))
    drawn = [{"image": f"{name}.png", "finding": "Mass", **corners} for name in PLACES if name not in "bv"]
    if boxes:
        write_csv(folder / "boxes.csv", ["image", "finding", *corners], drawn)
    return folder


def command(*words):
    expand.main([*map(str, words), "--findings", "Mass,Nodule", "--quiet", "--workers", "0"], standalone_mode=False)


def samples(folder, section, component="chest_xray"):
    return medkit.dataset(component, section, str(folder), findings=FINDINGS)


def expansion(data, output, **options):
    given = {"data": data, "findings": FINDINGS, "output_dir": str(output), "copies": 2, "quiet": True, **options}
    return medkit.handler("offline_expansion", **given)


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def pixels(path):
    with Image.open(path) as image:
        assert (image.format, image.mode) == ("PNG", "L")
        return np.asarray(image)


def test_the_folder_holds_originals_and_copies_and_is_read_by_chest_xray(folder, tmp_path, capsys):
    output = tmp_path / "out"
    command(folder, output, "--copies", 4)
    assert "5 originals and 12 copies" in capsys.readouterr().out
    before, after = samples(folder, "training"), samples(output, "training")
    assert len(after) == 3 * 5
    for number, sample in enumerate(after):
        original, copy = before[number // 5], number % 5
        assert Path(sample["image"]).name == Path(original["image"]).stem + (f"_{copy}.png" if copy else ".png")
        assert sample["patient_id"] == original["patient_id"]
        np.testing.assert_array_equal(sample["label"], original["label"])
        same = np.array_equal(pixels(sample["image"]), pixels(original["image"]))
        assert same == (copy == 0)
    for section in ("validation", "test"):
        (there,), (here,) = samples(folder, section), samples(output, section)
        np.testing.assert_array_equal(pixels(here["image"]), pixels(there["image"]))
        np.testing.assert_array_equal(here["boxes"], there["boxes"])
    rows = read_csv(output / "labels.csv")
    assert {row["source"] for row in rows} == {"", "images/a.png", "images/b.png", "images/c.png"}
    assert {row["synthetic"] for row in rows} == {"0"}
    assert not read_csv(output / "problems.csv")


def test_boxes_move_with_their_copies(folder, tmp_path):
    command(folder, tmp_path / "out", "--copies", 8, "--size", "128x72")
    found = 0
    for sample in samples(tmp_path / "out", "training"):
        image = pixels(sample["image"])
        assert image.shape == (72, 128)
        rows, columns = np.nonzero(image > 145)
        assert len(sample["boxes"]) == bool(len(rows))
        for index, *edges in sample["boxes"]:
            expected = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
            np.testing.assert_allclose(edges, expected, atol=2.5)
            assert index == 0
            found += 1
    assert found == 18


def test_a_box_that_leaves_the_image_is_cut_and_then_gone(folder, tmp_path):
    (sample,) = samples(folder, "test")
    for left, expected in ((30, [[0, 2, 2, 20]]), (45, [])):
        crop = medkit.transform("centre_crop", keys="image", spatial_size=(28, 4))  # columns 30…34, rows 10…38
        moved = {**sample, "boxes": np.array([[0, left - 8, 12, left + 2, 30]], np.float32)}
        output = tmp_path / f"out{left}"
        expansion([moved], output, copies=1, transforms=[crop]).run()
        boxes = [row for row in read_csv(output / "boxes.csv") if row["image"].endswith("_1.png")]
        assert [[float(row[k]) for k in ("x_min", "y_min", "x_max", "y_max")] for row in boxes] == expected


def test_boxes_that_only_some_were_looked_at_for_stay_so(folder, tmp_path):
    first, second, *_ = samples(folder, "training")
    del second["boxes"]
    expansion([first, second], tmp_path / "out").run()
    one, _, _, two, *_ = medkit.dataset("chest_xray", "training", str(tmp_path / "out"), findings=FINDINGS)
    assert "boxes" not in two
    scale = np.array([1024 / 64, 1024 / 48] * 2)
    np.testing.assert_allclose(one["boxes"][0, 1:], BOX * scale, rtol=1e-6)
    assert one["frame_size"] == (1024, 1024)


def test_without_boxes_there_is_no_table_of_them(tmp_path):
    command(make(tmp_path / "data", boxes=False), tmp_path / "out", "--copies", 1)
    assert not (tmp_path / "out" / "boxes.csv").exists()
    assert all("boxes" not in sample for sample in samples(tmp_path / "out", "all"))


def test_the_same_bytes_with_any_number_of_processes_and_others_with_another_seed(folder, tmp_path):
    data = samples(folder, "training")
    for name, options in {"one": {}, "two": {"workers": 2}, "other": {"seed": 1}}.items():
        expansion(data, tmp_path / name, **options).run()
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    one, other = pixels(tmp_path / "one/images/a_1.png"), pixels(tmp_path / "other/images/a_1.png")
    assert not np.array_equal(one, other)
    expansion(data[1:], tmp_path / "fewer").run()
    assert (tmp_path / "fewer/images/c_2.png").read_bytes() == (tmp_path / "one/images/c_2.png").read_bytes()


def test_a_killed_run_goes_on_to_the_same_bytes(folder, tmp_path, monkeypatch):
    data = samples(folder, "training")
    expansion(data, tmp_path / "whole").run()
    output = tmp_path / "killed"
    child = os.fork()
    if not child:
        save, count = Image.Image.save, [0]

        def until_killed(image, path, *words, **options):
            save(image, path, *words, **options)
            count[0] += 1
            if count[0] == 5:
                path.write_bytes(path.read_bytes()[:50])
                os.kill(os.getpid(), signal.SIGKILL)

        monkeypatch.setattr(Image.Image, "save", until_killed)
        expansion(data, output).run()
        os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert not (output / "labels.csv").exists()
    done = {path: path.stat().st_mtime_ns for path in output.glob("images/[!.]*")}
    assert len(done) == 4
    assert len(list(output.glob("images/.*"))) == 1  # half-written
    expansion(data, output).run()
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert contents(output) == contents(tmp_path / "whole")


def test_a_finished_run_reads_nothing_again(folder, tmp_path):
    data = samples(folder, "training")
    first = expansion(data, tmp_path / "out").run()
    there = contents(tmp_path / "out")
    for sample in data:
        Path(sample["image"]).unlink()
    assert expansion(data, tmp_path / "out").run() == first
    assert contents(tmp_path / "out") == there


def test_an_image_that_was_replaced_is_done_again_and_no_other(folder, tmp_path):
    data = samples(folder, "training")
    expansion(data, tmp_path / "out").run()
    before = contents(tmp_path / "out")
    Image.fromarray(np.zeros((48, 64), np.uint8)).save(data[1]["image"])
    expansion(data, tmp_path / "out").run()
    after = contents(tmp_path / "out")
    assert {name for name in after if after[name] != before[name]} == {f"images/b{k}.png" for k in ("", "_1", "_2")}


def test_an_unreadable_image_is_listed_and_taken_up_once_it_is_mended(folder, tmp_path, capsys):
    broken = folder / "images" / "b.png"
    good = broken.read_bytes()
    broken.write_bytes(good[:40])
    command(folder, tmp_path / "out", "--copies", 1)
    assert "1 images could not be read" in capsys.readouterr().out
    (row,) = read_csv(tmp_path / "out" / "problems.csv")
    assert (row["file"], row["stage"], row["status"]) == (str(broken), "expand", "error")
    assert len(row["reason"].splitlines()) == 1
    assert len(samples(tmp_path / "out", "training")) == 4
    broken.write_bytes(good)
    command(folder, tmp_path / "out", "--copies", 1)
    command(folder, tmp_path / "new", "--copies", 1)
    assert contents(tmp_path / "out") == contents(tmp_path / "new")


def test_nothing_readable_is_an_error(folder, tmp_path):
    data = samples(folder, "training")
    for sample in data:
        Path(sample["image"]).write_bytes(b"")
    with pytest.raises(DataError, match=r"none of 3 files could be read; the first, .*a\.png: "):
        expansion(data, tmp_path / "out").run()
    assert not (tmp_path / "out" / "labels.csv").exists()


def test_other_options_data_or_contents_are_refused(folder, tmp_path):
    data = samples(folder, "training")
    expansion(data, tmp_path / "out").run()
    there = contents(tmp_path / "out")
    still = [medkit.transform("random_affine", keys="image", rotation=0)]
    for options, says in (
        ({"copies": 3}, "copies 2, now 3"),
        ({"seed": 1}, "seed 0, now 1"),
        ({"size": (8, 8)}, "size None, now"),
        ({"transforms": still}, "transforms "),
        ({"data": data[1:]}, "data "),
    ):
        with pytest.raises(ConfigError, match=f"was made of other data or options .{says}") as caught:
            expansion(**{"data": data, "output": tmp_path / "out", **options}).run()
        assert "\n" not in str(caught.value)
    default = [medkit.transform("random_affine", keys="image")]
    expansion(data, tmp_path / "out", transforms=default).run()
    assert contents(tmp_path / "out") == there
    with pytest.raises(ConfigError, match="is not empty and holds no expansion"):
        expansion(data, folder).run()


def test_phantoms_stay_synthetic(tmp_path):
    words = ("--dataset", "phantom", "--dataset#images", 60, "--dataset#quiet", "true", "--copies", 1, "--size", "9x8")
    command(tmp_path / "phantoms", tmp_path / "out", *words)
    rows = read_csv(tmp_path / "out" / "labels.csv")
    phantoms = {name: medkit.build.build("dataset", "phantom", options(tmp_path, name)) for name in ("training", "all")}
    assert len(rows) == len(phantoms["all"]) + len(phantoms["training"])
    assert {row["synthetic"] for row in rows} == {"1"}
    assert json.loads((tmp_path / "out" / "expansion.json").read_text())["synthetic"] is True
    with Image.open(tmp_path / "out" / rows[1]["image"]) as image:
        assert json.loads(image.info["medkit expand"])["synthetic"] is True
        assert image.size == (9, 8)
    labels = [sample["label"] for sample in samples(tmp_path / "out", "training")[::2]]
    np.testing.assert_array_equal(labels, [sample["label"] for sample in phantoms["training"]])


def test_images_that_say_synthetic_themselves_stay_so(tmp_path):
    samples_of = {"dataset_dir": str(tmp_path / "phantoms"), "findings": FINDINGS, "images": 60, "quiet": True}
    medkit.build.build("dataset", "phantom", {"section": "all", **samples_of})  # its table has no column synthetic
    command(tmp_path / "phantoms", tmp_path / "once", "--copies", 1, "--size", "9x8")
    table = tmp_path / "once" / "labels.csv"
    rows = read_csv(table)
    assert {row.pop("synthetic") for row in rows} == {"1"}
    (table.parent / "boxes.csv").unlink()
    write_csv(table, list(rows[0]), [row for row in rows if not row["source"]])
    command(tmp_path / "once", tmp_path / "twice", "--copies", 1)
    assert {row["synthetic"] for row in read_csv(tmp_path / "twice" / "labels.csv")} == {"1"}
    assert json.loads((tmp_path / "twice" / "expansion.json").read_text())["synthetic"] is True


def options(tmp_path, section):
    return {"dataset_dir": str(tmp_path / "phantoms"), "section": section, "findings": FINDINGS, "images": 60}


def test_names(folder, tmp_path):
    assert stems(["/d/1.2.840.1", "/d/1.2.840.2", "/d/x.DCM"]) == ["1.2.840.1", "1.2.840.2", "x"]
    assert stems(["/d/p1/view.jpg", "/d/p2/s/view.jpg"]) == ["p1_view", "p2_s_view"]
    (sample,) = samples(folder, "test")
    for clash in ("t_2.jpg", "T.dcm"):
        with pytest.raises(DataError, match=r"would be made of both .*t.*: rename or remove one"):
            expansion([sample, {**sample, "image": f"/d/{clash}"}], tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"label": np.array([1.0])}, "a label of 1 findings, 2 are named"),
        ({"label": np.array([0.3, 1.0])}, "is not of 1, 0 and NaN alone"),
    ],
)
def test_labels_that_no_table_can_say(folder, tmp_path, change, says):
    (sample,) = samples(folder, "test")
    with pytest.raises(DataError, match=says):
        expansion([{**sample, **change}], tmp_path / "out")


def test_bad_words(folder, tmp_path):
    with pytest.raises(ConfigError, match=r'no option "--copeis"\. Did you mean "copies"'):
        command(folder, tmp_path / "out", "--copeis", 3)
    with pytest.raises(ConfigError, match="copies ≥ 1"):
        expansion([], tmp_path / "out", copies=0)
    with pytest.raises(ConfigError, match='section "training" is in data and in others'):
        expansion([], tmp_path / "out", others={"training": []})
    with pytest.raises(DataError, match="none of 0 files"):
        expansion([], tmp_path / "out").run()


def test_a_data_set_without_other_sections_is_expanded(folder, tmp_path):
    rows = [row for row in read_csv(folder / "labels.csv") if row["section"] == "training"]
    write_csv(folder / "labels.csv", list(rows[0]), rows)
    (folder / "boxes.csv").unlink()
    command(folder, tmp_path / "out", "--copies", 1)
    assert len(samples(tmp_path / "out", "all")) == 6
    with pytest.raises(DataError, match='section "test"'):
        command(folder, tmp_path / "other", "--section", "test")
