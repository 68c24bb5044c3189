"""What is written: the public layout, planted duplicates, volumes, and a folder that is whole or not there."""

import csv
import hashlib
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from medkit_phantom_mri import folder as folder_module
from medkit_phantom_mri.copies import KINDS, plan
from medkit_phantom_mri.dataset import phantom_mri
from medkit_phantom_mri.volumes import draw_volume, write_volumes
from PIL import Image

import medkit
from medkit import made_once
from medkit.errors import ConfigError, DataError

OPTIONS = {"images": 80, "size": 64, "duplicates": 0.4, "quiet": True}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("phantoms") / "phantom_mri"
    phantom_mri(str(path), "all", **OPTIONS)
    return path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def grey(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").convert("L"), float)


def digest(path: Path) -> str:
    names = sorted(p for p in path.rglob("*") if p.is_file())
    return hashlib.sha256(b"".join(str(p.relative_to(path)).encode() + p.read_bytes() for p in names)).hexdigest()


def test_samples_are_as_the_contract_asks(made):
    samples = medkit.dataset("phantom_mri", "all", str(made), **OPTIONS)
    assert len(samples) == 80
    for sample in samples:
        assert Path(sample["image"]).is_file()
        assert Path(sample["image"]).is_absolute()
        assert sample["label"].dtype == np.float32
        assert sample["label"].tolist() == ([0, 1] if Path(sample["image"]).parent.name == "yes" else [1, 0])
        assert sample["synthetic"] is True
    assert 0.5 < medkit.labels(samples)[:, 1].mean() < 0.7


def test_fallback_of_another_data_set_builds_it(tmp_path):
    samples = medkit.dataset(
        "brain_mri", "test", fallback="phantom_mri", work_dir=str(tmp_path), fallback_options={**OPTIONS, "images": 40}
    )
    assert {sample["label"][1] for sample in samples} == {0, 1}
    assert (tmp_path / "phantom_mri" / "planted_duplicates.csv").is_file()


def test_grouped_sections_share_no_patient_and_random_ones_do(made):
    for split, shared in (("grouped", False), ("random", True)):
        sections = [phantom_mri(str(made), s, split=split, **OPTIONS) for s in ("training", "validation", "test")]
        assert sum(map(len, sections)) == 80
        patients = [{sample["patient_id"] for sample in section} for section in sections]
        assert bool(patients[0] & patients[2]) is shared


def test_layout_mixes_modes_extensions_and_names_as_the_public_set_does(tmp_path):
    samples = phantom_mri(str(tmp_path / "p"), "all", images=150, size=32, quiet=True)
    paths = [Path(sample["image"]) for sample in samples]
    assert {path.suffix for path in paths} == {".jpg", ".JPG", ".jpeg", ".png"}
    modes = set()
    for path in paths:
        with Image.open(path) as image:
            modes.add(image.mode)
    assert modes == {"RGB", "L", "RGBA", "P"}
    assert any(" " in path.name for path in paths)
    assert {path.parent.name for path in paths} == {"yes", "no"}
    assert len(rows(tmp_path / "p" / "planted_duplicates.csv")) == 45


def test_planted_duplicates_are_what_the_file_says(made):
    planted = rows(made / "planted_duplicates.csv")
    assert len(planted) == 32
    assert {row["kind"] for row in planted} == set(KINDS)
    patient = {row["image"]: row["patient_id"] for row in rows(made / "images.csv")}
    assert len(set(patient.values())) == 80 - 32
    for row in planted:
        copy, original = made / row["copy"], made / row["original"]
        assert (copy.read_bytes() == original.read_bytes()) == (row["kind"] == "exact")
        assert patient[row["copy"]] == patient[row["original"]]
        one, other = grey(copy), grey(original)
        assert one.shape == other.shape
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.7
    unlike = {row["image"] for row in rows(made / "images.csv")} - {row["copy"] for row in planted}
    assert len({(made / name).read_bytes() for name in unlike}) == 48


@pytest.mark.parametrize(("images", "share"), [(250, 0.3), (41, 0.0), (100, 0.6)])
def test_number_of_copies_is_known_beforehand(images, share):
    items = plan(np.random.default_rng(1), images, share, 0.5)
    assert len(items) == images
    assert sum(item.original is not None for item in items) == round(images * share)


def test_everything_says_synthetic(made):
    for row in rows(made / "images.csv"):
        assert b"SYNTHETIC" in (made / row["image"]).read_bytes()
    assert '"synthetic": true' in (made / "phantom_mri.json").read_text()


def test_same_options_give_the_same_bytes_and_another_seed_others(made, tmp_path):
    phantom_mri(str(tmp_path / "again"), "all", **OPTIONS)
    phantom_mri(str(tmp_path / "other"), "all", seed=1, **OPTIONS)
    assert digest(made) == digest(tmp_path / "again") != digest(tmp_path / "other")


def test_interrupted_build_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(path, *_):
        raise KeyboardInterrupt

    monkeypatch.setattr(folder_module, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        phantom_mri(str(tmp_path / "p"), "all", **OPTIONS)
    assert not list(tmp_path.iterdir())


def test_of_two_builders_the_first_to_finish_wins(made, tmp_path, monkeypatch):
    def overtaken(partial, *_):
        (partial / "slower.txt").write_text("half of it")
        shutil.copytree(made, tmp_path / "p")

    monkeypatch.setattr(folder_module, "_build", overtaken)
    assert len(phantom_mri(str(tmp_path / "p"), "all", **OPTIONS)) == 80
    assert [path.name for path in tmp_path.iterdir()] == ["p"]


def test_folder_of_other_options_or_contents_is_an_error(made, tmp_path):
    with pytest.raises(DataError, match="seed 0 instead of 3"):
        phantom_mri(str(made), "test", seed=3, **OPTIONS)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="holds no phantoms"):
        phantom_mri(str(tmp_path), "test", **OPTIONS)
    shutil.copytree(made, tmp_path / "p")
    Path(phantom_mri(str(tmp_path / "p"), "all", **OPTIONS)[3]["image"]).write_bytes(b"")
    made_once._contents_once.cache_clear()
    with pytest.raises(DataError, match="changed"):
        phantom_mri(str(tmp_path / "p"), "all", **OPTIONS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"section": "tst"}, 'Did you mean "test"'),
        ({"images": 3}, "images ≥ 40"),
        ({"duplicates": 0.9}, "duplicates 0…0.6"),
        ({"size": 8}, "size 32…1024"),
        ({"split": "none"}, "grouped or random"),
    ],
)
def test_wrong_option_is_one_clear_line(options, message, tmp_path):
    with pytest.raises(ConfigError, match=message) as caught:
        phantom_mri(**{"dataset_dir": str(tmp_path / "p"), "section": "all", **OPTIONS, **options})
    assert "\n" not in str(caught.value)


def test_volumes_hold_what_was_drawn_in_their_own_order(tmp_path):
    for place in ("yes", "no"):
        (tmp_path / place).mkdir()
    write_volumes(tmp_path, 8, 0)
    files = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())
    assert [name for name in files if "IM" not in name] == [
        "no/SYNTHETIC volume 002.nii",
        "no/SYNTHETIC volume 004.mha",
        "no/SYNTHETIC volume 008.nii.gz",
        "yes/SYNTHETIC volume 001.nii",
        "yes/SYNTHETIC volume 003.mha",
        "yes/SYNTHETIC volume 007.nii.gz",
    ]
    for number, name in ((0, "yes/SYNTHETIC volume 001.nii"), (7, "no/SYNTHETIC volume 008.nii.gz")):
        canonical = nib.as_closest_canonical(nib.load(tmp_path / name))
        drawn = draw_volume(0, number, number % 2 == 0)
        np.testing.assert_array_equal(np.asarray(canonical.dataobj)[::-1, ::-1], drawn)
        assert canonical.header.get_zooms() == pytest.approx((2.5, 2.5, 7.0))
    series = [pydicom.dcmread(p) for p in (tmp_path / "yes" / "SYNTHETIC volume 005").iterdir()]
    series.sort(key=lambda file: file.ImagePositionPatient[2])
    drawn = draw_volume(0, 4, True)
    assert len({file.SeriesInstanceUID for file in series}) == 1
    for index, file in enumerate(series):
        assert file.Modality == "MR"
        assert "SYNTHETIC" in str(file.PatientName)
        np.testing.assert_array_equal(file.pixel_array, drawn[:, :, index].T)
