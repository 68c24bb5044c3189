import logging
from pathlib import Path

import numpy as np
import pytest
from medkit_chest_xray.dataset import chest_xray, split_table
from medkit_chest_xray.tables import read_boxes

from medkit.errors import ConfigError, DataError

MASS = {"findings": ["Mass", "Effusion"]}


def make(folder, table, files=("a.png", "b.dcm", "sub/c"), boxes=None):
    (folder / "labels.csv").write_text(table)
    if boxes is not None:
        (folder / "boxes.csv").write_text(boxes)
    for name in files:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(name)
    return str(folder)


def test_finding_columns_with_blanks_as_unknown(tmp_path):
    folder = make(tmp_path, "image,Mass,effusion,age\na.png,1,0,40\nb.dcm,,1.0,\nsub/c,0,nan,\n")
    samples = chest_xray(folder, "all", **MASS)
    np.testing.assert_array_equal([s["label"] for s in samples], np.float32([[1, 0], [np.nan, 1], [0, np.nan]]))
    assert [Path(s["image"]).name for s in samples] == ["a.png", "b.dcm", "c"]
    assert all("boxes" not in s and "frame_size" not in s for s in samples)


def test_one_column_of_names_and_images_in_a_folder_of_their_own(tmp_path):
    files = ("images/a.png", "images/b.png", "images/c.png")
    folder = make(tmp_path, "Image Index,Finding Labels\na.png,Mass|Effusion\nb.png,No Finding\nc.png,\n", files)
    samples = chest_xray(folder, "all", **MASS)
    np.testing.assert_array_equal([s["label"] for s in samples], np.float32([[1, 1], [0, 0], [np.nan] * 2]))
    assert samples[0]["image"] == str(tmp_path / "images" / "a.png")


def test_findings_beyond_nih_are_welcome_where_the_table_has_them(tmp_path):
    folder = make(tmp_path, "image,labels\na.png,Tuberculosis|Mass\nb.dcm,No Finding\nsub/c,Mass\n")
    samples = chest_xray(folder, "all", findings=["Tuberculosis"], other_findings="drop")
    assert [s["label"].tolist() for s in samples] == [[1.0], [0.0]]


def test_a_table_saved_by_a_spreadsheet_program_reads_the_same(tmp_path):
    (tmp_path / "table.csv").write_bytes("image,Mass,Effusion\r\na.png,1,0\r\n\r\n".encode("utf-8-sig"))
    make(tmp_path, "", ["a.png"])
    (sample,) = chest_xray(str(tmp_path), "all", labels_csv="table.csv", **MASS)
    assert sample["label"].tolist() == [1.0, 0.0]


def test_boxes_in_original_pixels_and_none_for_images_without_rows(tmp_path):
    boxes = (
        "image,finding,x_min,y_min,x_max,y_max\na.png,Effusion,1,2,30.5,40\na.png,Mass,0,0,5,6\nb.dcm,Hernia,0,0,1,1\n"
    )
    folder = make(tmp_path, "image,Mass,Effusion\na.png,1,1\nb.dcm,0,0\nsub/c,0,1\n", boxes=boxes)
    first, second, third = chest_xray(folder, "all", **MASS)
    np.testing.assert_array_equal(first["boxes"], [[1, 1, 2, 30.5, 40], [0, 0, 0, 5, 6]])
    assert second["boxes"].shape == third["boxes"].shape == (0, 5)


def test_nih_boxes_beside_a_table_of_ones_own_keep_their_frame(tmp_path):
    (tmp_path / "BBox_List_2017.csv").write_text(
        "Image Index,Finding Label,Bbox [x,y,w,h],,,\na.png,Mass,1,2,3,4,,,\nelsewhere.png,Mass,1,2,3,4\n"
    )
    first, second, _ = chest_xray(
        make(tmp_path, "image,Mass,Effusion\na.png,1,1\nb.dcm,0,0\nsub/c,0,1\n"), "all", **MASS
    )
    np.testing.assert_array_equal(first["boxes"], [[0, 1, 2, 4, 6]])
    assert "boxes" not in second
    assert second["frame_size"] == (1024, 1024)


def test_given_sections_are_kept_and_train_val_is_divided_by_patient(tmp_path):
    rows = [f"{n}.png,{n // 3},{n % 2},0,{'test' if n < 30 else 'train_val'}" for n in range(120)]
    table = "\n".join(["image,patient_id,Mass,Effusion,section", *rows])
    folder = make(tmp_path, table, [f"{n}.png" for n in range(120)])
    assert len(chest_xray(folder, "test", **MASS)) == 30
    train, val = (chest_xray(folder, s, validation_fraction=0.3, **MASS) for s in ("training", "validation"))
    assert len(train) + len(val) == 90
    assert val
    assert not {s["patient_id"] for s in train} & {s["patient_id"] for s in val}


def test_identical_files_without_patient_ids_stay_on_one_side(tmp_path):
    names = [f"{n}.png" for n in range(60)]
    folder = make(tmp_path, "\n".join(["image,Mass,Effusion", *(f"{n},0,1" for n in names)]), names)
    for n in range(1, 60, 2):
        (tmp_path / f"{n}.png").write_bytes((tmp_path / f"{n - 1}.png").read_bytes())
    place = {image: section for image, _, section in split_table(folder, validation_fraction=0.3, **MASS).rows}
    assert set(place.values()) == {"training", "validation", "test"}
    assert all(place[f"{n}.png"] == place[f"{n - 1}.png"] for n in range(1, 60, 2))


def test_a_patient_stays_where_he_is_when_the_data_set_grows(tmp_path):
    names = [f"{n:03}.png" for n in range(60)]
    small = make(tmp_path, "\n".join(["image,Mass,Effusion", *(f"{n},0,1" for n in names[:30])]), names)
    before = split_table(small, **MASS).rows
    make(tmp_path, "\n".join(["image,Mass,Effusion", *(f"{n},0,1" for n in names)]), [])
    assert split_table(small, **MASS).rows[:30] == before


def test_missing_images_are_an_error_or_a_listed_warning(tmp_path, caplog):
    folder = make(tmp_path, "image,Mass,Effusion\na.png,1,1\nb.dcm,0,0\nsub/c,0,1\nsub/d,0,1\n")
    with pytest.raises(DataError, match=r"1 of 4 images .* labels.csv are not there: sub/d\."):
        chest_xray(folder, "all", **MASS)
    with caplog.at_level(logging.WARNING):
        assert len(chest_xray(folder, "all", missing="skip", **MASS)) == 3
    assert "sub/d" in caplog.text


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("image,Mass\na.png,1\n", r'finding "Effusion" is unknown here.* Known: Mass'),
        ("picture,Mass,Effusion\na.png,1,0\n", r'no column "image"'),
        ("image,Mass,Effusion\na.png,yes,0\n", r'row 2, column "Mass": "yes" is not 1'),
        ("image,Mass,Effusion\n,1,0\n", "row 2 names no image"),
        ("image,Mass,Effusion\n", "header and no rows"),
        ("image,Mass,Mass\na.png,1,0\n", 'two columns "Mass"'),
        ("image,labels\na.png,Mass|Efusion\n", r'unknown label "Efusion". Did you mean "Effusion"'),
        ("image,labels\na.png,No Finding|Mass\n", "says both"),
        ("image,Mass,Effusion,section\na.png,1,0,tset\n", r'"tset" is no section. Did you mean "test"'),
        (
            "image,Mass,Effusion,section,patient_id\na.png,1,0,test,x\nb.dcm,1,0,train,x\n",
            "two sections, test and train",
        ),
        ("image,Mass,Effusion\na.png,1,0\na.png,1,0\n", "twice"),
    ],
)
def test_wrong_label_tables_are_named(tmp_path, table, message):
    with pytest.raises(DataError, match=message):
        chest_xray(make(tmp_path, table), "all", **MASS)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("z.png,Mass,0,0,1,1", "boxes for z.png, which is not in labels.csv"),
        ("a.png,Mas,0,0,1,1", r'unknown finding "Mas". Did you mean "Mass"'),
        ("a.png,Mass,5,0,1,1", "row 2: the box 5, 0, 1, 1 is empty"),
        ("a.png,Mass,nan,0,1,1", "is empty"),
        ("a.png,Mass,x,0,1,1", "four numbers expected"),
    ],
)
def test_wrong_box_tables_are_named(tmp_path, row, message):
    folder = make(tmp_path, "image,Mass,Effusion\na.png,1,1\n", boxes=f"image,finding,x_min,y_min,x_max,y_max\n{row}\n")
    with pytest.raises(DataError, match=message):
        chest_xray(folder, "all", **MASS)


def test_box_table_without_rows_means_that_nothing_is_boxed(tmp_path):
    (tmp_path / "boxes.csv").write_text("image,finding,x_min,y_min,x_max,y_max\n")
    assert read_boxes(tmp_path / "boxes.csv", ["Mass"]).rows == {}


def test_folders_without_tables_say_what_they_hold(tmp_path):
    with pytest.raises(DataError, match="is empty"):
        chest_xray(str(tmp_path), "all")
    (tmp_path / "scan.dcm").touch()
    with pytest.raises(DataError, match=r"neither labels.csv nor .* it holds scan.dcm"):
        chest_xray(str(tmp_path), "all")
    with pytest.raises(DataError, match=r"has no label.csv"):
        chest_xray(str(tmp_path), "all", labels_csv="label.csv")
    with pytest.raises(DataError, match="is not a folder"):
        chest_xray(str(tmp_path / "nowhere"), "all")
    with pytest.raises(ConfigError, match="leave nothing"):
        chest_xray(
            make(tmp_path, "image,Mass,Effusion\na.png,1,1\n"),
            "all",
            test_fraction=0.5,
            validation_fraction=0.5,
            **MASS,
        )
    with pytest.raises(DataError, match="leave boxes_csv out"):
        chest_xray(str(tmp_path), "all", boxes_csv="rectangles.csv", **MASS)


def test_corrupt_gzip_table_is_one_clear_line(tmp_path):
    (tmp_path / "labels.csv.gz").write_bytes(b"\x1f\x8b not gzip")
    with pytest.raises(DataError, match=r"labels.csv.gz cannot be read"):
        chest_xray(str(tmp_path), "all", labels_csv="labels.csv.gz")


def test_a_column_says_which_images_a_program_made(tmp_path):
    folder = make(tmp_path, "image,Mass,synthetic\na.png,1,1\nb.dcm,0,0\n", ["a.png", "b.dcm"])
    samples = chest_xray(folder, "all", findings=["Mass"])
    assert [sample["synthetic"] for sample in samples] == [True, False]
