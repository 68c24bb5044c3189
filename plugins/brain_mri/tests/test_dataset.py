"""The data set: layouts, groups, folds, slices, and what is wrong in real folders."""

import csv
import logging
import os
import shutil
from collections import defaultdict
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from medkit_brain_mri.dataset import brain_mri
from monai.transforms import Resized
from PIL import Image
from torch.utils.data import DataLoader

import medkit
from medkit.compose import SafeCompose
from medkit.errors import ConfigError, DataError

SECTIONS = ("training", "validation", "test")
LPS_AFFINE = np.diag([-2.0, -3.0, 5.0, 1.0])


def picture(seed: int, size=(40, 50)) -> np.ndarray:
    """Return smooth noise (40,50) uint8, unlike that of any other seed."""
    noise = np.random.default_rng(seed).integers(0, 255, (6, 6), dtype=np.uint8)
    return np.asarray(Image.fromarray(noise).resize(size[::-1], Image.Resampling.BICUBIC))


def save(path: Path, seed: int, mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(picture(seed)).convert(mode)
    image.save(path, "PNG" if path.suffix == ".png" else "JPEG")


@pytest.fixture
def public(tmp_path):
    """Twelve images of each class, named as in the public set, and everything again in the nested folder."""
    root = tmp_path / "set"
    names = ["Y1.jpg", "Y10.JPG", "Y2.jpeg", "Y 3.png", "y4.png"]
    for n in range(12):
        save(
            root / "yes" / (names[n] if n < 5 else f"Y{n + 20}.jpg"), n, "RGBA" if n == 3 else "P" if n == 4 else "RGB"
        )
        save(root / "no" / (f"{n} no.jpg" if n else "no 0.jpeg"), 100 + n)
    (root / "yes" / "Thumbs.db").write_bytes(b"x")
    (root / "no" / ".DS_Store").write_bytes(b"x")
    shutil.copytree(root, tmp_path / "copy")
    shutil.move(tmp_path / "copy", root / "brain_tumor_dataset")
    return root


def test_public_layout_counts_each_file_once(public):
    samples = medkit.dataset("brain_mri", "all", str(public))
    assert len(samples) == 24
    labels = medkit.labels(samples)
    assert labels.dtype == np.float32
    assert labels.sum(0).tolist() == [12, 12]
    assert (labels.sum(1) == 1).all()
    for sample in samples:
        assert sample["label"][1] == (Path(sample["image"]).parent.name == "yes")
        assert Path(sample["image"]).is_absolute()
        assert (sample["slice"], sample["plane"], sample["synthetic"]) == (-1, "", False)
    shown = [Path(sample["image"]).name for sample in samples if sample["label"][1]]
    assert shown.index("Y2.jpeg") < shown.index("Y10.JPG")


def test_nested_folder_alone_is_enough_and_a_file_only_there_counts(public):
    save(public / "brain_tumor_dataset" / "yes" / "Y99.jpg", 99)
    save(public / "brain_tumor_dataset" / "yes" / "Y2.jpeg", 98)  # the same name, another picture
    assert len(brain_mri(str(public), "all")) == 26
    shutil.rmtree(public / "yes")
    shutil.rmtree(public / "no")
    assert len(brain_mri(str(public), "all")) == 25


def test_folder_names_may_have_any_case(public):
    shutil.rmtree(public / "brain_tumor_dataset")
    (public / "yes").rename(public / "Yes")
    (public / "no").rename(public / "NO")
    assert medkit.labels(brain_mri(str(public), "all")).sum(0).tolist() == [12, 12]


def test_every_mode_is_read_as_the_same_grey(public):
    load = medkit.transform("load_slice")
    expected = {"Y 3.png": 3, "y4.png": 4, "Y1.jpg": 0}
    for name, seed in expected.items():
        out = load({"image": str(public / "yes" / name), "file": str(public / "yes" / name)})
        assert out["image"].shape == (1, 40, 50)
        np.testing.assert_allclose(out["image"][0], picture(seed) / 255, atol=0.04 if name.endswith("jpg") else 0.012)
        assert out["file"] == str(public / "yes" / name)


def test_sixteen_bits_are_scaled_by_what_they_can_hold(tmp_path):
    Image.fromarray(np.full((4, 5), 32768, np.uint16)).save(tmp_path / "a.png")
    out = medkit.transform("load_slice", channels=3)({"image": str(tmp_path / "a.png")})
    assert out["image"].shape == (3, 4, 5)
    assert float(out["image"].mean()) == pytest.approx(0.5, abs=1e-4)


def test_look_alikes_stay_on_one_side_and_every_image_is_tested_once(public):
    shutil.rmtree(public / "brain_tumor_dataset")
    shutil.copy(public / "yes" / "Y1.jpg", public / "yes" / "Y77.jpg")
    Image.open(public / "no" / "3 no.jpg").save(public / "no" / "N 78.JPG", "JPEG", quality=40)
    tested = []
    for fold in range(5):
        groups, files = {}, []
        for section in SECTIONS:
            samples = brain_mri(str(public), section, fold=fold)
            groups[section] = {sample["patient_id"] for sample in samples}
            files += [sample["image"] for sample in samples]
        assert not groups["training"] & groups["test"]
        assert not groups["validation"] & (groups["training"] | groups["test"])
        assert len(files) == len(set(files)) == 26
        tested += [sample["image"] for sample in brain_mri(str(public), "test", fold=fold)]
    assert len(tested) == len(set(tested)) == 26
    of = {Path(s["image"]).name: s["patient_id"] for s in brain_mri(str(public), "all")}
    assert of["Y1.jpg"] == of["Y77.jpg"] != of["Y2.jpeg"]
    assert of["3 no.jpg"] == of["N 78.JPG"]
    assert of["Y1.jpg"].startswith("group-")


def test_planted_duplicates_are_found_and_few_strangers_joined(tmp_path):
    folder = tmp_path / "phantoms"
    folder.mkdir()
    medkit.dataset("phantom_mri", "all", str(folder), images=110, size=128, duplicates=0.35, seed=5, quiet=True)
    group = {Path(s["image"]).relative_to(folder).as_posix(): s["patient_id"] for s in brain_mri(str(folder), "all")}
    with (folder / "planted_duplicates.csv").open() as file:
        planted = list(csv.DictReader(file))
    assert len(planted) == 38
    assert np.mean([group[row["copy"]] == group[row["original"]] for row in planted]) >= 0.95
    patients = defaultdict(set)
    with (folder / "images.csv").open() as file:
        for row in csv.DictReader(file):
            patients[group[row["image"]]].add(row["patient_id"])
    assert sum(len(joined) for joined in patients.values() if len(joined) > 1) <= 6

    def shared(split):
        sections = [brain_mri(str(folder), section, split=split) for section in ("training", "test")]
        files = [{Path(s["image"]).relative_to(folder).as_posix() for s in section} for section in sections]
        return sum(any({row["copy"], row["original"]} <= {a, b} for a in files[0] for b in files[1]) for row in planted)

    assert shared("random") >= 5
    assert shared("grouped") <= 2


def test_a_method_that_only_remembers_gains_from_random_folds(tmp_path):
    medkit.dataset("phantom_mri", "all", str(tmp_path), images=150, size=64, duplicates=0.4, quiet=True)
    load, score = medkit.transform("load_slice"), {}
    for split in ("random", "grouped"):
        right = []
        for fold in range(5):
            parts = [brain_mri(str(tmp_path), s, fold=fold, split=split) for s in ("training", "test")]
            known, new = (
                np.stack([load({"image": s["image"]})["image"].numpy()[0, ::2, ::2].ravel() for s in part])
                for part in parts
            )
            nearest = ((new[:, None] - known) ** 2).sum(2).argmin(1)
            right += (medkit.labels(parts[0])[nearest, 1] == medkit.labels(parts[1])[:, 1]).tolist()
        score[split] = np.mean(right)
    assert score["random"] > score["grouped"] + 0.08


def test_folds_are_fixed_in_a_file(public, tmp_path):
    table = tmp_path / "folds.csv"
    first = brain_mri(str(public), "test", folds_csv=str(table), tables_dir=str(tmp_path / "written"))
    assert len(table.read_text().splitlines()) == 25
    assert (tmp_path / "written" / "look_alikes.csv").is_file()
    assert (tmp_path / "written" / "folds.csv").read_bytes() == table.read_bytes()
    again = brain_mri(str(public), "test", folds_csv=str(table), seed=9)
    assert [s["image"] for s in again] == [s["image"] for s in first]
    other = brain_mri(str(public), "test", seed=9)
    assert [s["image"] for s in other] != [s["image"] for s in first]
    with pytest.raises(DataError, match="5 folds, 4 were asked for"):
        brain_mri(str(public), "test", folds_csv=str(table), folds=4)
    (public / "yes" / "Y1.jpg").unlink()
    (public / "brain_tumor_dataset" / "yes" / "Y1.jpg").unlink()
    with pytest.raises(DataError, match="made for other images"):
        brain_mri(str(public), "test", folds_csv=str(table))


def test_file_that_is_no_image_is_listed_and_becomes_a_record(public, caplog):
    (public / "no" / "notes.txt").write_text("a tumour?")
    (public / "no" / "cut.jpg").write_bytes((public / "no" / "1 no.jpg").read_bytes()[:300])
    with caplog.at_level(logging.WARNING):
        samples = brain_mri(str(public), "all")
    assert len(samples) == 26
    assert "notes.txt" in caplog.text
    assert "cut.jpg" in caplog.text
    compose = SafeCompose([medkit.transform("load_slice")], (40, 50), 2)
    records = {Path(s["image"]).name: compose(s) for s in samples}
    assert records["notes.txt"]["status"] == records["cut.jpg"]["status"] == "error"
    assert "no image" in records["notes.txt"]["reason"]
    assert sum(record["status"] == "ok" for record in records.values()) == 24


@pytest.fixture
def hospital(public, head, write_series, write_itk):
    """The public images with volumes beside them: NIfTI twice, MetaImage, and DICOM series of two patients."""
    shutil.rmtree(public / "brain_tumor_dataset")
    nib.save(nib.Nifti1Image(head, LPS_AFFINE), public / "yes" / "sub 1.nii.gz")
    shutil.copy(public / "yes" / "sub 1.nii.gz", public / "yes" / "sub 1 again.nii.gz")
    (public / "yes" / "sub 1.json").write_text("{}")
    write_itk(public / "no" / "b.mhd", head[:, ::-1])
    write_series(public / "no" / "exam", head[::-1], key="a", prefix="A", patient="SECRET 7")
    write_series(public / "no" / "exam", head * 2, key="b", prefix="B", patient="SECRET 7")
    write_series(public / "yes" / "other", head * 3, "coronal", key="c", patient="8")
    return public


def test_volumes_become_slices_with_their_volumes_label_and_group(hospital, caplog):
    with caplog.at_level(logging.WARNING):
        samples = [s for s in brain_mri(str(hospital), "all", slices="all") if s["slice"] >= 0]
    by_file = defaultdict(list)
    for sample in samples:
        by_file[Path(sample["image"]).relative_to(hospital).parts[:2]].append(sample)
    assert len({s["image"] for s in samples}) == 6
    assert {len({s["patient_id"] for s in group}) for group in by_file.values()} == {1}
    groups = {key: group[0]["patient_id"] for key, group in by_file.items()}
    assert groups["yes", "sub 1.nii.gz"] == groups["yes", "sub 1 again.nii.gz"]
    assert len(set(groups.values())) == 4
    assert len({s["image"] for s in by_file["no", "exam"]}) == 2
    assert all(s["label"][1] == (key[0] == "yes") for key, group in by_file.items() for s in group)
    assert not [s for s in samples if "SECRET" in str(s)]
    assert "SECRET" not in caplog.text
    flat = {s["patient_id"] for s in brain_mri(str(hospital), "all") if s["slice"] < 0}
    assert not flat & set(groups.values())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"slices": "all"}, list(range(1, 11))),
        ({"slices": "middle", "slice_count": 3}, [4, 5, 6]),
        ({"slices": "middle", "slice_count": 99}, list(range(1, 11))),
        ({"slices": "every", "slice_step": 4}, [1, 5, 9]),
    ],
)
def test_slices_can_be_chosen(options, expected, hospital):
    samples = [s for s in brain_mri(str(hospital), "all", **options) if s["image"].endswith("sub 1.nii.gz")]
    found = [s["slice"] for s in samples]
    assert set(found) <= set(range(12))
    assert found == expected


def test_slices_and_bitmaps_go_through_one_loader_and_can_be_told_apart(hospital, head):
    samples = brain_mri(str(hospital), "all", plane="coronal", slice_count=2)
    compose = SafeCompose([medkit.transform("load_slice"), Resized("image", (32, 32))], (32, 32), 2)
    batches = list(DataLoader([compose(s) for s in samples], batch_size=len(samples)))
    assert batches[0]["image"].shape == (len(samples), 1, 32, 32)
    assert set(batches[0]["status"]) == {"ok"}
    assert len(set(batches[0]["file"])) == len(samples) == 24 + 12
    reader = medkit.transform("slice_reader")
    load = medkit.transform("load_slice")
    for sample in samples:
        if sample["slice"] >= 0:
            assert sample["plane"] == "coronal"
            out = load({**sample, "file": sample["image"]})
            pixels, meta = reader.get_data(reader.read(out["file"]))
            np.testing.assert_array_equal(pixels, out["image"].numpy())
            assert meta["source"]["spacing_mm"] == pytest.approx([5, 2])
            assert meta["source"]["spacing_tag"] in ("pixdim", "ElementSpacing", "PixelSpacing")


def test_a_volume_is_never_divided_not_even_at_random(hospital):
    for split in ("grouped", "random"):
        places = defaultdict(set)
        for section in SECTIONS:
            for sample in brain_mri(str(hospital), section, split=split):
                places[sample["image"]].add(section)
        assert {len(sections) for sections in places.values()} == {1}


def test_volumes_of_one_folder_are_one_patient_where_asked(public, head):
    for n, name in enumerate(("p1/t1.nii", "p1/t2.nii", "p2/t1.nii")):
        (public / "yes" / name).parent.mkdir(exist_ok=True)
        nib.save(nib.Nifti1Image((head * (n + 1)).astype(np.int16), LPS_AFFINE), public / "yes" / name)
    for patients, expected in (("id", 3), ("volume", 3), ("folder", 2)):
        samples = [s for s in brain_mri(str(public), "all", patients=patients) if s["slice"] >= 0]
        assert len({s["patient_id"] for s in samples}) == expected


def test_one_patient_id_for_everyone_is_said_and_can_be_ignored(public, head, write_series, caplog):
    for n in range(6):
        write_series(public / "yes" / f"exam {n}", head[:, :, : 6 + n], key=f"k{n}", patient="ANONYMOUS")
    counts = []
    for patients in ("id", "volume"):
        with caplog.at_level(logging.WARNING):
            samples = [s for s in brain_mri(str(public), "all", patients=patients) if s["slice"] >= 0]
        counts.append(len({s["patient_id"] for s in samples}))
        assert ("6 of 6 volumes are one patient" in caplog.text) is (patients == "id")
        caplog.clear()
    assert counts == [1, 6]


def test_volume_that_cannot_be_read_stays_as_a_record(public, caplog):
    (public / "yes" / "bad.nii.gz").write_bytes(b"\x1f\x8bnonsense")
    with caplog.at_level(logging.WARNING):
        (sample,) = [s for s in brain_mri(str(public), "all") if s["slice"] >= 0]
    assert "bad.nii.gz" in caplog.text
    record = SafeCompose([medkit.transform("load_slice")], (40, 50), 2)(sample)
    assert record["status"] == "error"
    assert "cannot be read" in record["reason"]


def test_empty_or_missing_class_is_one_clear_line(public):
    shutil.rmtree(public / "brain_tumor_dataset")
    shutil.rmtree(public / "no")
    with pytest.raises(DataError, match="has no folder no; it holds yes"):
        brain_mri(str(public), "all")
    (public / "no").mkdir()
    with pytest.raises(DataError, match='the class "no" is empty'):
        brain_mri(str(public), "all")
    (public / "no" / "Thumbs.db").write_bytes(b"x")
    with pytest.raises(DataError, match='the class "no" is empty'):
        brain_mri(str(public), "all")


def test_groups_that_swallow_the_set_are_said(public, caplog):
    with caplog.at_level(logging.WARNING):
        brain_mri(str(public), "all", look_alike_threshold=400, split="random")
    assert "look_alike_threshold 400 joins too much" in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"section": "train"}, "section"),
        ({"slices": "midle"}, 'Did you mean "middle"'),
        ({"plane": "axal"}, 'Did you mean "axial"'),
        ({"slice_count": 0}, "at least 1"),
        ({"split": "patient"}, "split"),
        ({"fold": 5}, "fold 5"),
        ({"folds": 2}, "at least 3"),
    ],
)
def test_wrong_option_is_one_clear_line(options, message, public):
    with pytest.raises(ConfigError, match=message) as caught:
        brain_mri(**{"dataset_dir": str(public), "section": "test", **options})
    assert "\n" not in str(caught.value)


def test_the_public_set_itself():
    folder = Path(os.environ.get("MEDKIT_DATA", Path(__file__).parents[4] / "shared" / "data")) / "brain_mri"
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is missing (set MEDKIT_DATA)")
    samples = brain_mri(str(folder), "all")
    assert medkit.labels(samples).sum(0).min() > 0
    compose = SafeCompose([medkit.transform("load_slice")], (1, 1), 2)
    assert {compose(sample)["status"] for sample in samples[::5]} == {"ok"}
