import collections
import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from medkit_chest_xray.dataset import chest_xray, split_table
from medkit_chest_xray.findings import CHESTXRAY8, CHESTXRAY14

import medkit
from medkit.errors import ConfigError, DataError

HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
ROWS = {  # image: findings, patient, official list
    "00000001_000.png": ("Cardiomegaly", "1", "train_val"),
    "00000001_001.png": ("Cardiomegaly|Emphysema", "1", "train_val"),
    "00000002_000.png": ("No Finding", "2", "train_val"),
    "00000003_000.png": ("Edema", "3", "train_val"),
    "00000004_000.png": ("Infiltration|Pleural_Thickening", "4", "test"),
    "00000005_000.png": ("Mass", "5", "test"),
}
BOXES = "Image Index,Finding Label,Bbox [x,y,w,h],,,\n00000004_000.png,Infiltrate,225.5,547,86.25,79\n"


@pytest.fixture
def nih(tmp_path):
    """A small copy of NIH's layout, with its images as empty files: nothing here opens them."""
    lines = [
        HEADER,
        *(f"{image},{names},0,{who},58,M,PA,2682,2749,0.14,0.14" for image, (names, who, _) in ROWS.items()),
    ]
    (tmp_path / "Data_Entry_2017_v2020.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "BBox_List_2017.csv").write_text(BOXES)
    for section in ("train_val", "test"):
        there = [image for image, row in ROWS.items() if row[2] == section]
        (tmp_path / f"{section}_list.txt").write_text("\n".join(there) + "\n")
    (tmp_path / "images").mkdir()
    for image in ROWS:
        (tmp_path / "images" / image).touch()
    return tmp_path


def names(samples):
    return [Path(sample["image"]).name for sample in samples]


def test_component_is_found_by_name_and_gives_whole_samples(nih):
    sample = medkit.dataset("chest_xray", "test", str(nih))[0]
    assert sample["image"] == str(nih / "images" / "00000004_000.png")
    assert sample["label"].dtype == np.float32
    assert dict(zip(CHESTXRAY8, sample["label"]))["Infiltration"] == 1
    assert sample["label"].sum() == 1
    assert sample["patient_id"] == "4"
    assert sample["synthetic"] is False
    assert sample["frame_size"] == (1024, 1024)


def test_box_of_infiltrate_becomes_corners_of_infiltration(nih):
    boxed, plain = chest_xray(str(nih), "test")
    np.testing.assert_array_equal(boxed["boxes"], [[3, 225.5, 547, 311.75, 626]])
    assert boxed["boxes"].dtype == np.float32
    assert "boxes" not in plain


def test_box_of_a_finding_that_is_not_asked_for_leaves_no_key(nih):
    assert all("boxes" not in sample for sample in chest_xray(str(nih), "test", findings=["Mass", "Nodule"]))


def test_fourteen_findings_and_subsets_keep_the_order_asked_for(nih):
    (sample, *_) = chest_xray(str(nih), "test", findings=CHESTXRAY14)
    assert sample["label"].sum() == 2
    (sample, *_) = chest_xray(str(nih), "test", findings=["pleural thickening", "Mass"])
    np.testing.assert_array_equal(sample["label"], [1, 0])


def test_official_test_list_is_kept_and_patients_stay_together(nih):
    assert names(chest_xray(str(nih), "test")) == ["00000004_000.png", "00000005_000.png"]
    for seed in range(20):
        place = collections.defaultdict(set)
        for _, patient, section in split_table(str(nih), validation_fraction=0.5, split_seed=seed).rows:
            place[patient].add(section)
        assert all(len(sections) == 1 for sections in place.values())


def test_split_is_the_same_each_time_and_another_with_another_seed(nih):
    first = split_table(str(nih), validation_fraction=0.5)
    assert first == split_table(str(nih), validation_fraction=0.5)
    others = {split_table(str(nih), validation_fraction=0.5, split_seed=seed).fingerprint for seed in range(10)}
    assert len(others) > 1


def test_split_does_not_depend_on_which_images_are_there(nih):
    before = split_table(str(nih))
    (nih / "images" / "00000002_000.png").unlink()
    assert split_table(str(nih)) == before


def test_part_of_the_images_is_enough_unless_all_are_required(nih):
    (nih / "images" / "00000005_000.png").unlink()
    assert names(chest_xray(str(nih), "test")) == ["00000004_000.png"]
    with pytest.raises(DataError, match=r"1 of 2 images .* not there: 00000005_000.png.*skip"):
        chest_xray(str(nih), "test", missing="error")


def test_no_image_at_all_is_an_error_that_says_where_they_belong(nih):
    for image in (nih / "images").iterdir():
        image.unlink()
    with pytest.raises(DataError, match=r"6 of 6 images .* Put the images into"):
        chest_xray(str(nih), "all")


def test_numbered_image_folders_are_read_and_an_image_in_two_is_an_error(nih):
    for number, image in enumerate(list(ROWS)[:3], start=1):
        (nih / f"images_{number:03}" / "images").mkdir(parents=True)
        (nih / "images" / image).rename(nih / f"images_{number:03}" / "images" / image)
    assert len(chest_xray(str(nih), "all")) == 6
    (nih / "images" / "00000001_000.png").touch()
    with pytest.raises(DataError, match=r"00000001_000.png is in .*keep one"):
        chest_xray(str(nih), "all")


def test_images_with_other_findings_only_are_negative_or_dropped(nih):
    kept = chest_xray(str(nih), "all", other_findings="negative")
    dropped = chest_xray(str(nih), "all", other_findings="drop")
    assert set(names(kept)) - set(names(dropped)) == {"00000003_000.png"}
    assert kept[3]["label"].sum() == 0
    assert "00000002_000.png" in names(dropped)


def test_limit_spreads_over_the_section(nih):
    assert names(chest_xray(str(nih), "all", limit=3)) == list(ROWS)[::2]
    assert len(chest_xray(str(nih), "all", limit=99)) == 6


def test_gzip_table_and_older_name_give_the_same(nih):
    before = chest_xray(str(nih), "all")
    table = nih / "Data_Entry_2017_v2020.csv"
    (nih / "Data_Entry_2017_v2020.csv.gz").write_bytes(gzip.compress(table.read_bytes()))
    text = table.read_text()
    table.unlink()
    np.testing.assert_equal(chest_xray(str(nih), "all"), before)
    (nih / "Data_Entry_2017_v2020.csv.gz").unlink()
    (nih / "Data_Entry_2017.csv").write_text("".join(line + ",\n" for line in text.splitlines()))
    np.testing.assert_equal(chest_xray(str(nih), "all"), before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"findings": ["Efusion"]}, 'finding "Efusion" is unknown here. Did you mean "Effusion"'),
        ({"findings": "Mass"}, "findings must be a list"),
        ({"findings": ["Mass", "mass"]}, "names one finding twice"),
        ({"section": "trainning"}, 'Did you mean "training"'),
        ({"other_findings": "ignore"}, "Choices: negative, drop"),
        ({"limit": 0}, "limit must be at least 1"),
        ({"validation_fraction": 1.0}, "validation_fraction must be"),
    ],
)
def test_wrong_options_are_named(nih, options, message):
    with pytest.raises(ConfigError, match=message):
        chest_xray(str(nih), **{"section": "training", **options})


def test_wrong_tables_are_named(nih):
    table = nih / "Data_Entry_2017_v2020.csv"
    good = table.read_text()
    table.write_text(good.replace("Mass", "Maas"))
    with pytest.raises(DataError, match=r'row 7: unknown label "Maas". Did you mean "Mass"'):
        chest_xray(str(nih), "all")
    table.write_text(good.replace("Finding Labels", "Findings"))
    with pytest.raises(DataError, match=r'no column "Finding Labels". Did you mean "Findings"\? Columns: Image Index'):
        chest_xray(str(nih), "all")
    table.write_text(good + good.splitlines()[-1] + "\n")
    with pytest.raises(DataError, match=r"00000005_000.png is in the table twice, .* row 8"):
        chest_xray(str(nih), "all")
    table.write_text(good.replace(",5,58", ",1,58"))
    with pytest.raises(DataError, match=r"patient of 00000005_000.png .* two sections, train_val and test"):
        chest_xray(str(nih), "all")
    table.write_text(good + "short,row\n")
    with pytest.raises(DataError, match="row 8 has 2 fields where the header has 11"):
        chest_xray(str(nih), "all")
    table.write_text(good + good.splitlines()[-1].replace("00000005", "00000009") + "\n")
    with pytest.raises(DataError, match=r"in neither train_val_list.txt nor test_list.txt, first 00000009_000.png"):
        chest_xray(str(nih), "all")
    table.write_text("")
    with pytest.raises(DataError, match="is empty"):
        chest_xray(str(nih), "all")


def test_missing_list_and_empty_section_say_what_to_do(nih):
    with pytest.raises(DataError, match=r'section "validation" .* is empty .*change split_seed'):
        chest_xray(str(nih), "validation", validation_fraction=0.0)
    (nih / "test_list.txt").unlink()
    with pytest.raises(DataError, match=r"test_list.txt is missing"):
        chest_xray(str(nih), "test")


@pytest.fixture(scope="module")
def real():
    folder = Path(os.environ.get("MEDKIT_DATA", Path(__file__).parents[4] / "shared" / "data")) / "nih_chestxray14"
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is missing (set MEDKIT_DATA)")
    return folder


def test_real_tables_have_their_published_sizes(real):
    split = split_table(str(real))
    sections = collections.Counter(section for _, _, section in split.rows)
    assert len(split.rows) == 112_120
    assert sections["test"] == 25_596
    assert sections["training"] + sections["validation"] == 86_524
    assert sections["validation"] / 86_524 == pytest.approx(0.1, abs=0.01)
    by_patient = {}
    for _, patient, section in split.rows:
        assert by_patient.setdefault(patient, section) == section
    assert len(by_patient) == 30_805


def test_real_images_are_found_with_boxes_inside_the_frame_and_findings_that_are_labelled(real):
    samples = chest_xray(str(real), "all", findings=CHESTXRAY14)
    assert len(samples) == len(list((real / "images").iterdir()))
    boxed = [sample for sample in samples if "boxes" in sample]
    assert boxed
    for sample in boxed:
        assert (sample["label"][sample["boxes"][:, 0].astype(int)] == 1).all()
        assert (sample["boxes"][:, 1:] >= 0).all()
        assert (sample["boxes"][:, 1:] <= 1024).all()
    test_images = {sample["image"] for sample in chest_xray(str(real), "test")}
    assert all(sample["image"] in test_images for sample in boxed)
