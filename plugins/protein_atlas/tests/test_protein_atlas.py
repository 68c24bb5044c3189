"""Kaggle's layout: what is read, what is refused, left out, or kept for the transform to say."""

import logging
from pathlib import Path

import numpy as np
import pytest
from medkit_protein_atlas.classes import CLASSES
from medkit_protein_atlas.dataset import protein_atlas, split_table
from medkit_protein_atlas.folder import protein_atlas_folder

import medkit
from medkit.errors import ConfigError, DataError

COLOURS = ("red", "green", "blue", "yellow")
SECTIONS = ("training", "validation", "test")


def put(folder, *ids, suffix=".png", colours=COLOURS):
    folder.mkdir(parents=True, exist_ok=True)
    for name in ids:
        for colour in colours:
            (folder / f"{name}_{colour}{suffix}").touch()


@pytest.fixture
def atlas(tmp_path):
    """Three images: classes 16 and 0, 7, and 27."""
    (tmp_path / "train.csv").write_text("Id,Target\nb-1,16 0\na-2,7\nc-3,27\n")
    put(tmp_path / "train", "b-1", "a-2", "c-3")
    (tmp_path / "train" / "notes.txt").touch()
    return tmp_path


def test_component_gives_whole_samples_in_the_order_of_the_table(atlas):
    samples = medkit.dataset("protein_atlas", "all", str(atlas))
    assert [sample["patient_id"] for sample in samples] == ["b-1", "a-2", "c-3"]
    assert samples[0]["image"] == str(atlas.resolve() / "train" / "b-1_green.png")
    labels = medkit.labels(samples)
    assert labels.shape == (3, 28)
    assert labels.dtype == np.float32
    assert [np.flatnonzero(row).tolist() for row in labels] == [[0, 16], [7], [27]]
    assert [sample["synthetic"] for sample in samples] == [False] * 3


def test_names_are_kaggles():
    assert len(set(CLASSES)) == len(CLASSES) == 28
    known = {0: "Nucleoplasm", 7: "Golgi apparatus", 14: "Microtubules", 23: "Mitochondria", 27: "Rods & rings"}
    assert {k: CLASSES[k] for k in known} == known


@pytest.mark.parametrize("layout", ["table above", "table beside", "flat"])
def test_images_and_table_are_found_where_people_put_them(atlas, layout):
    given = atlas / "train"
    if layout == "table beside":
        (atlas / "train.csv").rename(given / "train.csv")
    elif layout == "flat":
        for file in given.iterdir():
            file.rename(atlas / file.name)
        given.rmdir()
        given = atlas
    samples = protein_atlas(str(given), "all")
    assert [Path(sample["image"]).name for sample in samples] == [f"{n}_green.png" for n in ("b-1", "a-2", "c-3")]
    assert all(Path(sample["image"]).is_file() for sample in samples)


def test_each_image_may_be_of_its_own_format_and_the_whole_one_of_two_counts(tmp_path):
    (tmp_path / "train.csv").write_text("Id,Target\na,0\nb,1\nc,2\nd,3\n")
    put(tmp_path, "a", suffix=".tif")
    put(tmp_path, "b", suffix=".JPG")
    put(tmp_path, "c", suffix=".jpeg")
    put(tmp_path, "c", suffix=".png", colours=("green",))
    put(tmp_path, "d", suffix=".tiff")
    put(tmp_path, "d", suffix=".png")
    images = [Path(sample["image"]).name for sample in protein_atlas(str(tmp_path), "all")]
    assert images == ["a_green.tif", "b_green.JPG", "c_green.jpeg", "d_green.png"]


def test_a_table_saved_by_a_spreadsheet_program_and_a_column_synthetic(atlas):
    table = "Id,Target,synthetic\r\nb-1, 0  16 ,1\r\n\r\na-2,7,0\r\nc-3,27,\r\n"
    (atlas / "train.csv").write_bytes(table.encode("utf-8-sig"))
    samples = protein_atlas(str(atlas), "all")
    assert [sample["synthetic"] for sample in samples] == [True, False, False]
    assert np.flatnonzero(samples[0]["label"]).tolist() == [0, 16]


def test_some_classes_in_any_order_and_the_names_of_another_set(atlas):
    chosen = protein_atlas(str(atlas), "all", classes=["Rods & rings", "Nucleoplasm"])
    assert [sample["label"].tolist() for sample in chosen] == [[0, 1], [0, 0], [1, 0]]
    (atlas / "train.csv").write_text("Id,Target\nb-1,1 0\na-2,1\nc-3,0\n")
    other = protein_atlas(str(atlas), "all", table_classes=["alive", "dead"])
    assert [sample["label"].tolist() for sample in other] == [[1, 1], [0, 1], [1, 0]]
    with pytest.raises(DataError, match=r'row 2: b-1 has the target "1", which is no class: 0 to 0$'):
        protein_atlas(str(atlas), "all", table_classes=["alive"])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("Id,Target\na,0\nb,1\na,2\n", "row 4: a is in the table twice, first in row 2"),
        ("Id,Target\na,0\nb,3 28\n", 'row 3: b has the target "28", which is no class: 0 to 27'),
        ("Id,Target\na,-1\n", 'row 2: a has the target "-1"'),
        ("Id,Target\na,Cytosol\n", 'row 2: a has the target "Cytosol"'),
        ("Id,Target\na,0\nb,\n", "row 3: b has an empty target"),
        ("Id,Target\na\n", "row 2: a has an empty target"),
        ("Id,Target\n ,0\n", "row 2 has no Id"),
        ("Id,Predicted\na,0\n", 'no column "Target"; its columns: Id, Predicted'),
        ("Id,Target\n", "has no rows"),
        ("", "has no rows"),
    ],
)
def test_a_table_that_is_wrong_is_one_line(atlas, table, message):
    (atlas / "train.csv").write_text(table)
    with pytest.raises(DataError, match=message) as caught:
        protein_atlas(str(atlas), "all")
    assert "\n" not in str(caught.value)


def test_no_table_no_images_no_folder(atlas):
    (atlas / "train.csv").rename(atlas / "labels.csv")
    with pytest.raises(DataError, match=r"has no train\.csv, nor is there one above it; it holds labels\.csv, train$"):
        protein_atlas(str(atlas), "all")
    (atlas / "labels.csv").rename(atlas / "train.csv")
    for file in (atlas / "train").iterdir():
        file.unlink()
    with pytest.raises(DataError, match=r"train has no image: files such as ID_green\.png"):
        protein_atlas(str(atlas), "all")
    with pytest.raises(DataError, match="is not a folder"):
        protein_atlas(str(atlas / "nowhere"), "all")


@pytest.mark.parametrize("colour", COLOURS)
def test_an_image_that_lacks_a_colour_stays_is_left_out_or_an_error(atlas, caplog, colour):
    (atlas / "train" / f"a-2_{colour}.png").unlink()
    assert [s["patient_id"] for s in protein_atlas(str(atlas), "all")] == ["b-1", "a-2", "c-3"]
    with caplog.at_level(logging.WARNING):
        assert [s["patient_id"] for s in protein_atlas(str(atlas), "all", missing="skip")] == ["b-1", "c-3"]
    assert f'1 of 3 images in section "all" of train.csv lack files, first a-2_{colour}.png' in caplog.text
    with pytest.raises(DataError, match=rf"first a-2_{colour}\.png\. Add them.*missing=skip"):
        protein_atlas(str(atlas), "all", missing="error")


def test_an_image_without_any_file_is_left_out_unless_that_is_an_error(atlas, caplog):
    for colour in COLOURS:
        (atlas / "train" / f"b-1_{colour}.png").unlink()
    with caplog.at_level(logging.INFO):
        assert [s["patient_id"] for s in protein_atlas(str(atlas), "all")] == ["a-2", "c-3"]
    assert "b-1_red.png" in caplog.text
    with pytest.raises(DataError, match=r"first b-1_red\.png"):
        protein_atlas(str(atlas), "all", missing="error")
    (atlas / "train.csv").write_text("Id,Target\nb-1,16 0\n")
    with pytest.raises(DataError, match=r"1 of 1 images .*Put the images into train/"):
        protein_atlas(str(atlas), "all")


def test_sections_are_those_of_the_split_table_whatever_is_there_and_asked_for(tmp_path):
    ids = [f"id-{n:03d}" for n in range(60)]
    rows = [f"{name},{n % 3} {3 + n % 2}" for n, name in enumerate(ids)]
    (tmp_path / "train.csv").write_text("\n".join(["Id,Target", *rows]))
    put(tmp_path / "train", *ids[:40])
    options = {"validation_fraction": 0.2, "test_fraction": 0.3, "split_seed": 5}
    place = dict(split_table(str(tmp_path), **options).rows)
    assert list(place) == ids
    found = []
    for section in SECTIONS:
        samples = protein_atlas(str(tmp_path), section, **options, classes=["Nucleoli"])
        assert {place[sample["patient_id"]] for sample in samples} == {section}
        found += [sample["patient_id"] for sample in samples]
    assert sorted(found) == ids[:40]
    assert len(protein_atlas(str(tmp_path), "all", limit=7)) == 7
    with pytest.raises(DataError, match=r'section "test" of .*train\.csv is empty'):
        protein_atlas(str(tmp_path), "test", test_fraction=0)


def test_new_images_are_one_sample_each_without_a_table(atlas):
    (atlas / "train.csv").unlink()
    (atlas / "train" / "a-2_green.png").unlink()
    put(atlas / "train", "d", suffix=".tif")
    samples = medkit.dataset("protein_atlas_folder", "all", str(atlas / "train"))
    assert [Path(sample["image"]).name for sample in samples] == [
        *("a-2_green.png", "b-1_green.png", "c-3_green.png", "d_green.tif")
    ]
    assert [sample["patient_id"] for sample in samples] == ["a-2", "b-1", "c-3", "d"]
    assert not any("label" in sample for sample in samples)
    with pytest.raises(DataError, match="is not a folder"):
        protein_atlas_folder(str(atlas / "nowhere"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"section": "train"}, 'section "train" is unknown'),
        ({"missing": "skipp"}, 'missing "skipp" is unknown. Did you mean "skip"'),
        ({"limit": 0}, "limit must be at least 1"),
        ({"classes": ["Nucleolus"]}, 'class "Nucleolus" is unknown. Did you mean "Nucleoli"'),
        ({"classes": "Nucleoli"}, "classes must be a list"),
        ({"classes": []}, "classes must be a list"),
        ({"table_classes": ["a", "a"]}, "table_classes must be a list of different names"),
    ],
)
def test_options_that_are_wrong(atlas, options, message):
    with pytest.raises(ConfigError, match=message):
        protein_atlas(str(atlas), **({"section": "all"} | options))
