"""What is written: BUSI's layout, once, whole or not at all."""

import csv
import hashlib
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from medkit_phantom_ultrasound import folder as folder_module
from medkit_phantom_ultrasound.dataset import phantom_ultrasound
from PIL import Image

import medkit
from medkit import made_once
from medkit.errors import ConfigError, DataError
from medkit.folds import make_folds
from medkit.lookalikes import look_alikes

SMALL = {"images": 80, "size": 64, "quiet": True}
SECTIONS = ("training", "validation", "test")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("phantoms") / "phantom_ultrasound"
    phantom_ultrasound(str(path), "all", **SMALL)
    return path


def digest(path):
    names = sorted(p for p in path.rglob("*") if p.is_file())
    return hashlib.sha256(b"".join(str(p.relative_to(path)).encode() + p.read_bytes() for p in names)).hexdigest()


def opened(path):
    with Image.open(path) as image:
        image.load()
        return image


def test_samples_have_what_the_contract_asks(made):
    samples = phantom_ultrasound(str(made), "all", **SMALL)
    assert len(samples) == 80
    for sample in samples:
        assert Path(sample["image"]).is_absolute()
        assert opened(sample["image"]).size == (64, 64)
        assert sample["label"].dtype == np.float32
        assert sample["label"].sum() == 1
        assert sample["synthetic"] is True
        masks = [np.asarray(opened(path).convert("L")) for path in sample["mask"]]
        assert all(mask.shape == (64, 64) for mask in masks)
        assert bool(sum(mask.any() for mask in masks)) == (sample["label"][2] == 0)
    assert medkit.labels(samples).sum(0).tolist() == [45, 21, 14]


def test_it_is_a_fallback_of_medkit_dataset(tmp_path):
    options = {"component": "breast_ultrasound", "fallback": "phantom_ultrasound", "work_dir": str(tmp_path)}
    parts = [medkit.dataset(section=s, fallback_options={**SMALL, "fold": 2}, **options) for s in SECTIONS]
    assert sum(map(len, parts)) == 80
    patients = [{sample["patient_id"] for sample in part} for part in parts]
    assert len(set.union(*patients)) == sum(map(len, patients)) < 80
    assert all((medkit.labels(part).sum(0) > 0).all() for part in parts)
    inbox = medkit.dataset(section="inbox", fallback_options=SMALL, **options)
    assert len(inbox) == 12
    assert not {sample["patient_id"] for sample in inbox} & set.union(*patients)
    assert all("mask" not in sample for sample in inbox)
    merged = medkit.dataset(section="all", fallback_options={**SMALL, "task": "tumour"}, **options)
    assert medkit.labels(merged).sum(0).tolist() == [66, 14]


def test_layout_and_names_are_those_of_busi_and_every_file_says_synthetic(made):
    files = sorted((made / "Dataset_BUSI_with_GT").rglob("*.png"))
    for path in files:
        assert re.fullmatch(rf"{path.parent.name} \(\d+\)(_mask(_\d)?)?\.png", path.name)
    for path in made.rglob("*.png"):
        assert "SYNTHETIC" in opened(path).text["Comment"]
    assert len([p for p in files if "_mask" not in p.name]) == 80
    modes = {opened(path).mode for path in files if "_mask" in path.name}
    assert {"1", "RGB"} <= modes <= {"1", "RGB", "RGBA"}
    with (made / "patients.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["image", "patient_id", "class", "masks"]
    named = [name for row in rows for name in (row["image"], *filter(None, row["masks"].split("|")))]
    assert sorted(named) == sorted(path.relative_to(made).as_posix() for path in made.rglob("*.png"))


def test_frames_of_one_patient_are_found_by_their_looks(tmp_path):
    samples = phantom_ultrasound(str(tmp_path / "p"), "all", images=80, size=128, quiet=True)
    patients = [sample["patient_id"] for sample in samples]
    groups = look_alikes([sample["image"] for sample in samples], 160)
    found = {(p.first, p.second) for p in groups.pairs}
    twins = {(a, b) for b in range(80) for a in range(b) if patients[a] == patients[b]}
    assert len(twins) > 5
    assert found == twins


def test_same_options_give_the_same_bytes_and_another_seed_others(made, tmp_path):
    phantom_ultrasound(str(tmp_path / "again"), "all", **SMALL)
    phantom_ultrasound(str(tmp_path / "other"), "all", seed=1, **SMALL)
    assert digest(made) == digest(tmp_path / "again") != digest(tmp_path / "other")


def test_interrupted_build_leaves_nothing_and_can_be_repeated(tmp_path, monkeypatch):
    def interrupted(path, picture):
        if "malignant (7)" in path.name:
            raise KeyboardInterrupt
        picture.save(path)

    monkeypatch.setattr(folder_module, "_save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        phantom_ultrasound(str(tmp_path / "p"), "all", **SMALL)
    assert not list(tmp_path.iterdir())
    monkeypatch.undo()
    assert len(phantom_ultrasound(str(tmp_path / "p"), "all", **SMALL)) == 80


def test_of_two_builders_the_first_to_finish_wins(made, tmp_path, monkeypatch):
    def overtaken(partial, *_):
        (partial / "slower.txt").write_text("half of it")
        shutil.copytree(made, tmp_path / "p")

    monkeypatch.setattr(folder_module, "_build", overtaken)
    assert len(phantom_ultrasound(str(tmp_path / "p"), "all", **SMALL)) == 80
    assert [path.name for path in tmp_path.iterdir()] == ["p"]


def test_folder_with_something_else_is_left_alone(made, tmp_path):
    with pytest.raises(DataError, match="seed 0 instead of 3"):
        phantom_ultrasound(str(made), "test", seed=3, **SMALL)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="holds no phantoms"):
        phantom_ultrasound(str(tmp_path), "test", **SMALL)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_changed_file_is_found(made, tmp_path):
    shutil.copytree(made, tmp_path / "p")
    samples = phantom_ultrasound(str(tmp_path / "p"), "all", **SMALL)
    Path(samples[3]["image"]).write_bytes(b"")
    made_once._contents_once.cache_clear()
    with pytest.raises(DataError, match="changed"):
        phantom_ultrasound(str(tmp_path / "p"), "all", **SMALL)


@pytest.mark.parametrize("seed", range(4))
def test_smallest_set_has_every_class_in_every_section(seed):
    planned = folder_module.plan(80, seed)
    columns = [[str(getattr(item, name)) for item in planned] for name in ("name", "patient", "kind")]
    assert make_folds(*columns).count == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": 3}, "images ≥ 80"),
        ({"size": 32}, "size 64 to 1024"),
        ({"section": "train"}, 'no section "train"'),
        ({"task": "tumor"}, 'Did you mean "tumour"'),
    ],
)
def test_wrong_option_is_one_clear_line(options, message, tmp_path):
    with pytest.raises(ConfigError, match=message) as caught:
        phantom_ultrasound(**{"dataset_dir": str(tmp_path / "p"), "section": "all", **SMALL, **options})
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
