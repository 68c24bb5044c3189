"""What is written: Kaggle's layout, once, whole or not at all."""

import csv
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from medkit_phantom_cells import folder as folder_module
from medkit_phantom_cells.dataset import phantom_cells
from medkit_phantom_cells.plan import class_counts
from PIL import Image

import medkit
from medkit import made_once
from medkit.errors import ConfigError, DataError

SMALL = {"images": 56, "size": 64, "minimum": 2, "quiet": True}
SECTIONS = ("training", "validation", "test")
CHANNELS = ("red", "green", "blue", "yellow")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("phantoms") / "phantom_cells"
    phantom_cells(str(path), "all", **SMALL)
    return path


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def digest(path):
    names = sorted(p for p in path.rglob("*") if p.is_file())
    return hashlib.sha256(b"".join(str(p.relative_to(path)).encode() + p.read_bytes() for p in names)).hexdigest()


def test_layout_is_kaggles_and_every_file_says_synthetic(made):
    table = rows(made / "train.csv")
    assert list(table[0]) == ["Id", "Target"]
    wanted = sorted(f"{row['Id']}_{channel}.png" for row in table for channel in CHANNELS)
    assert sorted(path.name for path in (made / "train").iterdir()) == wanted
    for path in (made / "train").iterdir():
        with Image.open(path) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "L", (64, 64))
            assert image.text["Comment"].startswith("SYNTHETIC")
    assert json.loads((made / "phantom_cells.json").read_text())["synthetic"] is True


def test_targets_are_in_no_order_and_have_the_planned_counts(made):
    targets = [[int(k) for k in row["Target"].split()] for row in rows(made / "train.csv")]
    counts = np.bincount(np.concatenate(targets), minlength=28)
    np.testing.assert_array_equal(counts, class_counts(56, 2))
    assert all(len(set(target)) == len(target) for target in targets)
    assert any(target != sorted(target) for target in targets)
    assert any(target == sorted(target) and len(target) > 1 for target in targets)


def test_samples_have_what_the_contract_asks_and_agree_with_the_table(made):
    samples = phantom_cells(str(made), "all", **SMALL)
    targets = {row["Id"]: row["Target"].split() for row in rows(made / "train.csv")}
    assert [sample["patient_id"] for sample in samples] == list(targets)
    for sample in samples:
        assert sample["image"] == str(made / "train" / f"{sample['patient_id']}_green.png")
        assert Path(sample["image"]).is_file()
        assert sample["label"].dtype == np.float32
        assert sample["label"].shape == (28,)
        assert set(np.flatnonzero(sample["label"])) == set(map(int, targets[sample["patient_id"]]))
        assert sample["synthetic"] is True


def test_sections_are_those_of_the_file_and_share_nothing(made):
    of_file = {row["Id"]: row["section"] for row in rows(made / "sections.csv")}
    for section in SECTIONS:
        samples = medkit.dataset("phantom_cells", section, str(made), **SMALL)
        assert {sample["patient_id"] for sample in samples} == {n for n, s in of_file.items() if s == section}
    assert set(of_file.values()) == set(SECTIONS)


def test_channels_differ_and_show_something(made):
    for row in rows(made / "train.csv")[:10]:
        planes = []
        for channel in CHANNELS:
            with Image.open(made / "train" / f"{row['Id']}_{channel}.png") as image:
                planes.append(np.asarray(image, float))
        assert min(np.ptp(plane) for plane in planes) > 40
        alike = np.corrcoef([plane.ravel() for plane in planes])
        assert alike[np.triu_indices(4, 1)].max() < 0.95


def test_same_options_give_the_same_bytes_and_another_seed_others(made, tmp_path):
    smaller = {**SMALL, "images": 28, "minimum": 1}
    for name, seed in (("one", 0), ("again", 0), ("other", 1)):
        phantom_cells(str(tmp_path / name), "all", seed=seed, **smaller)
    assert digest(tmp_path / "one") == digest(tmp_path / "again") != digest(tmp_path / "other")


def test_interrupted_build_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(path, pixels):
        raise KeyboardInterrupt

    monkeypatch.setattr(folder_module, "_save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        phantom_cells(str(tmp_path / "p"), "all", **SMALL)
    assert not list(tmp_path.iterdir())


def test_folder_of_other_options_or_contents_is_an_error(made, tmp_path):
    with pytest.raises(DataError, match="seed 0 instead of 3"):
        phantom_cells(str(made), "test", seed=3, **SMALL)
    with pytest.raises(DataError, match="minimum 2 instead of 1"):
        phantom_cells(str(made), "test", **{**SMALL, "minimum": 1})
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="holds no phantoms"):
        phantom_cells(str(tmp_path), "test", **SMALL)
    shutil.copytree(made, tmp_path / "p")
    Path(phantom_cells(str(tmp_path / "p"), "all", **SMALL)[3]["image"]).write_bytes(b"")
    made_once._contents_once.cache_clear()
    with pytest.raises(DataError, match="changed"):
        phantom_cells(str(tmp_path / "p"), "all", **SMALL)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"section": "tst"}, 'Did you mean "test"'),
        ({"images": 55}, "need images ≥ 56, got 55"),
        ({"minimum": 0}, "minimum ≥ 1"),
        ({"evaluated": 1}, "images ≥ 280"),
        ({"limit": 0}, "limit must be at least 1"),
        ({"size": 32}, "size 64 to 1024"),
        ({"seed": -1}, "seed ≥ 0"),
    ],
)
def test_wrong_option_is_one_clear_line(options, message, tmp_path):
    with pytest.raises(ConfigError, match=message) as caught:
        phantom_cells(**{"dataset_dir": str(tmp_path / "p"), "section": "all", **SMALL, **options})
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
