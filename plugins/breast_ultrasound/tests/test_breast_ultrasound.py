"""BUSI's layout: what is read, what is refused or listed, who shares a section."""

import csv
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from medkit_breast_ultrasound.dataset import THRESHOLD, breast_ultrasound
from medkit_breast_ultrasound.layout import CLASSES
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from scipy.ndimage import gaussian_filter

import medkit
from medkit.errors import ConfigError, DataError
from medkit.lookalikes import look_alikes

BUSI = Path(os.environ.get("MEDKIT_DATA", Path(__file__).parents[4] / "shared" / "data")) / "busi"
SECTIONS = ("training", "validation", "test")
SHAPE = (40, 60)


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def texture(seed):
    rng = np.random.default_rng(seed)
    layers = sum(s * gaussian_filter(rng.standard_normal(SHAPE), s) for s in (1, 3, 6))
    return np.uint8(255 * (layers - layers.min()) / np.ptp(layers))


@pytest.fixture
def busi(tmp_path):
    """Eight images a class in BUSI's layout, of which benign (1), malignant (1) and benign (12) are one picture."""
    root = tmp_path / "data" / "Dataset_BUSI_with_GT"
    for k, kind in enumerate(CLASSES):
        for n in (1, 2, 3, 4, 5, 6, 10, 12):
            twin = (kind, n) in (("malignant", 1), ("benign", 12))
            write(root / kind / f"{kind} ({n}).png", texture(1 if twin else 100 * k + n))
            mask = np.zeros(SHAPE, np.uint8)
            mask[10:20, 10:30] = 255 * (kind != "normal")
            write(root / kind / f"{kind} ({n})_mask.png", mask)
    second = np.zeros(SHAPE, np.uint8)
    second[30:35, 40:50] = 255
    write(root / "benign" / "benign (3)_mask_1.png", second)
    (root / "benign" / ".DS_Store").touch()
    (root / "benign" / "._benign (1).png").touch()
    (root / "benign" / "notes.txt").touch()
    return root


def names(samples):
    return [Path(sample["image"]).name for sample in samples]


def test_component_gives_whole_samples_in_natural_order(busi):
    samples = medkit.dataset("breast_ultrasound", "all", str(busi))
    assert names(samples)[:9] == [*(f"benign ({n}).png" for n in (1, 2, 3, 4, 5, 6, 10, 12)), "malignant (1).png"]
    np.testing.assert_array_equal(medkit.labels(samples), np.eye(3, dtype=np.float32).repeat(8, axis=0))
    assert samples[0]["label"].dtype == np.float32
    assert samples[0]["image"] == str(busi / "benign" / "benign (1).png")
    assert [Path(p).name for p in samples[2]["mask"]] == ["benign (3)_mask.png", "benign (3)_mask_1.png"]
    assert all(sample["synthetic"] is False for sample in samples)


def test_parent_folder_upper_case_and_another_name_are_found(busi):
    expected = names(breast_ultrasound(str(busi), "all"))
    assert names(breast_ultrasound(str(busi.parent), "all")) == expected
    moved = busi.rename(busi.parent / "my ultrasound")
    (moved / "benign").rename(moved / "Benign")
    for path in (moved / "normal").glob("normal (2)*"):
        path.rename(path.with_suffix(".PNG"))
    assert len(breast_ultrasound(str(moved.parent), "all")) == 24


def test_twins_share_a_patient_and_a_section_whatever_their_class(busi):
    for fold in range(4):
        parts = {s: breast_ultrasound(str(busi), s, folds=4, fold=fold) for s in SECTIONS}
        assert sum(map(len, parts.values())) == 24
        patients = [{sample["patient_id"] for sample in part} for part in parts.values()]
        assert len(set.union(*patients)) == sum(map(len, patients)) == 22
        twins = ("benign (1).png", "malignant (1).png", "benign (12).png")
        assert sum(bool(set(twins) & set(names(part))) for part in parts.values()) == 1
        for part in parts.values():
            assert (medkit.labels(part).sum(0) > 0).all()


def test_random_split_may_part_twins(busi):
    apart = 0
    for seed in range(5):
        sections = [breast_ultrasound(str(busi), s, split="random", seed=seed) for s in SECTIONS]
        patients = [{sample["patient_id"] for sample in part} for part in sections]
        apart += len(set.union(*patients)) < sum(map(len, patients))
    assert apart >= 3


def test_tables_say_who_is_where_and_why(busi, tmp_path):
    out = tmp_path / "out"
    before = sorted((p, p.stat().st_mtime_ns) for p in busi.rglob("*"))
    breast_ultrasound(str(busi), "test", tables_dir=str(out))
    assert sorted((p, p.stat().st_mtime_ns) for p in busi.rglob("*")) == before
    with (out / "look_alikes.csv").open() as file:
        pairs = list(csv.DictReader(file))
    assert {(pair["path_a"], pair["path_b"]) for pair in pairs} == {
        ("benign/benign (1).png", "benign/benign (12).png"),
        ("benign/benign (1).png", "malignant/malignant (1).png"),
        ("benign/benign (12).png", "malignant/malignant (1).png"),
    }
    assert {(pair["distance"], pair["same_bytes"]) for pair in pairs} == {("0", "1")}
    assert (out / "left_out.csv").read_text() == "file,problem\n"
    with pytest.raises(ConfigError, match="never written to"):
        breast_ultrasound(str(busi), "test", tables_dir=str(busi / "out"))


def test_folds_file_is_written_once_and_then_decides(busi, tmp_path):
    path = str(tmp_path / "folds.csv")
    first = names(breast_ultrasound(str(busi), "test", folds_csv=path))
    assert names(breast_ultrasound(str(busi), "test", folds_csv=path, seed=9)) == first
    rows = Path(path).read_text().splitlines()
    Path(path).write_text("\n".join([rows[0], *(row.replace(",0,grouped", ",4,grouped") for row in rows[1:])]))
    with pytest.raises(DataError, match="without a gap"):
        breast_ultrasound(str(busi), "test", folds_csv=path)
    Path(path).write_text("\n".join(rows))
    with pytest.raises(DataError, match="has 5 folds, 4 were asked for"):
        breast_ultrasound(str(busi), "test", folds_csv=path, folds=4)
    for gone in (busi / "normal").glob("normal (2)*"):
        gone.unlink()
    with pytest.raises(DataError, match=r"1 are gone \(normal/normal \(2\).png\)"):
        breast_ultrasound(str(busi), "all", folds_csv=path)
    assert len(breast_ultrasound(str(busi), "all", folds_csv=path, missing="list")) == 23


def test_one_division_by_ratio(busi):
    options = {"test_fraction": 0.25, "validation_fraction": 0.25}
    sizes = [len(breast_ultrasound(str(busi), section, **options)) for section in SECTIONS]
    assert sum(sizes) == 24
    assert min(sizes) >= 3
    with pytest.raises(ConfigError, match="fold 0 only"):
        breast_ultrasound(str(busi), "test", fold=1, **options)


def test_tumour_or_not(busi):
    labels = medkit.labels(breast_ultrasound(str(busi), "all", task="tumour"))
    np.testing.assert_array_equal(labels, np.float32([[1, 0]] * 16 + [[0, 1]] * 8))


def spoil(busi, how):
    if how == "other size":
        write(busi / "benign" / "benign (2)_mask.png", np.zeros((40, 61), np.uint8))
    elif how == "image without a mask":
        (busi / "benign" / "benign (2)_mask.png").unlink()
    elif how == "mask without an image":
        (busi / "benign" / "benign (2).png").unlink()
    elif how == "same name":
        write(busi / "benign" / "benign (2).jpg", texture(2))


@pytest.mark.parametrize(
    ("how", "message", "listed", "kept"),
    [
        ("other size", r"benign \(2\)_mask.png is 61×40 pixels, the image 60×40", "benign/benign (2).png", 23),
        ("image without a mask", "image without a mask", "benign/benign (2).png", 24),
        ("mask without an image", "mask without an image", "benign/benign (2)_mask.png", 23),
        ("same name", "has the same name", "benign/benign (2).jpg", 23),
    ],
)
def test_what_does_not_match_is_an_error_or_listed(busi, tmp_path, how, message, listed, kept):
    spoil(busi, how)
    with pytest.raises(DataError, match=f"{message}.*missing=list") as caught:
        breast_ultrasound(str(busi), "all")
    assert "\n" not in str(caught.value)
    samples = breast_ultrasound(str(busi), "all", missing="list", tables_dir=str(tmp_path / "out"))
    assert len(samples) == 23
    assert "benign (2).png" not in names(samples)
    with (tmp_path / "out" / "left_out.csv").open() as file:
        assert [row["file"] for row in csv.DictReader(file)] == [listed]
    assert len(breast_ultrasound(str(busi), "all", missing="keep")) == kept


def test_image_without_mask_is_kept_for_classification_only(busi):
    spoil(busi, "image without a mask")
    (busi / "normal" / "normal (5)_mask.png").unlink()
    kept = {Path(s["image"]).name: s for s in breast_ultrasound(str(busi), "all", missing="keep")}
    assert "mask" not in kept["benign (2).png"]
    assert kept["normal (5).png"]["mask"] == []
    for options in ({"missing": "keep", "task": "segmentation"}, {"missing": "list"}):
        samples = breast_ultrasound(str(busi), "all", **options)
        assert len(samples) == 23
        assert all("mask" in sample for sample in samples)


def test_empty_class_is_an_error_or_listed(busi):
    shutil.rmtree(busi / "normal")
    (busi / "normal").mkdir()
    with pytest.raises(DataError, match="normal: no image of this class"):
        breast_ultrasound(str(busi), "all")
    samples = breast_ultrasound(str(busi), "test", missing="list")
    np.testing.assert_array_equal(medkit.labels(samples)[:, 2], 0)


def test_class_with_too_few_images_for_the_folds_is_listed(busi):
    for n in (3, 4, 5, 6, 10, 12):
        for path in (busi / "normal").glob(f"normal ({n})*"):
            path.unlink()
    with pytest.raises(DataError, match=r"some sections lack a class: normal \(2 groups\)"):
        breast_ultrasound(str(busi), "all")
    assert len(breast_ultrasound(str(busi), "all", missing="list")) == 18


def test_broken_image_stays_one_sample_of_its_own(busi, caplog):
    (busi / "benign" / "benign (2).png").write_bytes(b"not an image")
    samples = breast_ultrasound(str(busi), "all")
    assert len(samples) == 24
    assert len({sample["patient_id"] for sample in samples}) == 22
    assert "benign (2).png cannot be read" in caplog.text


def test_file_that_says_synthetic_is_synthetic(busi):
    text = PngInfo()
    text.add_text("Comment", "SYNTHETIC phantom image, not a patient")
    Image.fromarray(texture(2)).save(busi / "benign" / "benign (2).png", pnginfo=text)
    synthetic = [Path(s["image"]).name for s in breast_ultrasound(str(busi), "all") if s["synthetic"]]
    assert synthetic == ["benign (2).png"]


def test_limit_is_spread_over_the_classes(busi):
    samples = breast_ultrasound(str(busi), "all", limit=6)
    np.testing.assert_array_equal(medkit.labels(samples).sum(0), [2, 2, 2])


def test_folders_without_classes_say_what_they_hold(busi, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="it holds nothing"):
        breast_ultrasound(str(tmp_path / "empty"), "all")
    with pytest.raises(DataError, match="is not a folder"):
        breast_ultrasound(str(tmp_path / "nowhere"), "all")
    for copy in ("a", "b"):
        shutil.copytree(busi, tmp_path / "two" / copy)
    with pytest.raises(DataError, match=r"several data sets \(a, b\)"):
        breast_ultrasound(str(tmp_path / "two"), "all")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"section": "train"}, 'Did you mean "training"'),
        ({"task": "tumor"}, 'Did you mean "tumour"'),
        ({"missing": "skip"}, "Choices: error, list, keep"),
        ({"split": "patient"}, "give grouped or random"),
        ({"fold": 5}, "give 0 to 4"),
        ({"folds": 2}, "at least 3"),
        ({"limit": 0}, "limit must be at least 1"),
        ({"look_alike_threshold": -1}, "threshold -1"),
    ],
)
def test_wrong_option_is_one_clear_line(busi, options, message):
    with pytest.raises(ConfigError, match=message) as caught:
        breast_ultrasound(**{"dataset_dir": str(busi), "section": "all", **options})
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not BUSI.is_dir(), reason=f"no BUSI at {BUSI}")
def test_real_set_is_divided_without_a_twin_on_both_sides():
    samples = breast_ultrasound(str(BUSI), "all")
    assert sum(len(sample["mask"]) > 1 for sample in samples) >= 10
    assert all(sample["mask"] for sample in samples)
    tested = []
    for fold in range(5):
        parts = {s: breast_ultrasound(str(BUSI), s, fold=fold) for s in SECTIONS}
        patients = [{sample["patient_id"] for sample in part} for part in parts.values()]
        assert len(set.union(*patients)) == sum(map(len, patients))
        tested += names(parts["test"])
        share = medkit.labels(parts["test"]).mean(0)
        np.testing.assert_allclose(share, medkit.labels(samples).mean(0), atol=0.05)
    assert sorted(tested) == sorted(names(samples))


@pytest.mark.skipif(not BUSI.is_dir(), reason=f"no BUSI at {BUSI}")
def test_threshold_lies_in_the_gap_of_real_ultrasound():
    paths = sorted(path for path in BUSI.rglob("*.png") if "_mask" not in path.name)
    at = {threshold: look_alikes(paths, threshold) for threshold in (THRESHOLD - 1, THRESHOLD, 164)}
    assert len({len(groups.pairs) for groups in at.values()}) == 1
    names = [path.stem for path in paths]
    pairs = {(names[p.first], names[p.second]) for p in at[THRESHOLD].pairs}
    assert len(paths) != 362 or len(pairs) == 107
    if {"benign (433)", "malignant (145)"} <= set(names):  # one picture under two diagnoses
        assert ("benign (433)", "malignant (145)") in pairs
    assert np.bincount(at[THRESHOLD].group).max() < 12
