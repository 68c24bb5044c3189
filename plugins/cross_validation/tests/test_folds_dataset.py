"""Every image tested once, patients kept together, rare findings spread, one division for all stages."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.bundle import ConfigParser

import medkit
from medkit.errors import ConfigError, DataError
from medkit.tables import read_csv

FINDINGS = ["Mass", "Edema", "Hernia"]
SECTIONS = ("training", "validation", "test")


def samples(images=120, seed=0, root="/data/nih"):
    """Return images of patients with one to three each; Hernia is rare."""
    random = np.random.default_rng(seed)
    labels = (random.random((images, 3)) < [0.4, 0.2, 0.08]).astype(np.float32)
    patients = np.repeat(np.arange(images), random.integers(1, 4, images))[:images]
    return [
        {"image": f"{root}/images_{n % 2}/{n}.png", "label": labels[n], "patient_id": f"p{patients[n]}"}
        for n in range(images)
    ]


def section(folder, name, data, **options):
    return medkit.dataset("folds", name, str(folder), data=data, **options)


def images(chosen):
    return [sample["image"] for sample in chosen]


def test_every_image_is_tested_once_and_sections_share_no_patient(tmp_path):
    data = samples()
    tested = []
    for fold in range(4):
        parts = {name: section(tmp_path, name, data, fold=fold, folds=4) for name in SECTIONS}
        assert sorted(name for part in parts.values() for name in images(part)) == sorted(images(data))
        patients = [
            sample["patient_id"] for part in parts.values() for sample in {s["patient_id"]: s for s in part}.values()
        ]
        assert len(patients) == len(set(patients))
        assert all(sample is data[images(data).index(sample["image"])] for sample in parts["test"])
        tested += images(parts["test"])
    assert sorted(tested) == sorted(images(data))
    assert images(section(tmp_path, "all", data, folds=4)) == images(data)


def test_an_image_counts_as_its_rarest_finding_and_these_are_spread_evenly(tmp_path):
    data = samples(images=400)
    section(tmp_path, "test", data, findings=FINDINGS)
    rows = {row["image"]: row for row in read_csv(tmp_path / "folds.csv")}
    totals = np.sum([sample["label"] for sample in data], axis=0)
    for sample in data:
        shown = [(totals[k], name) for k, name in enumerate(FINDINGS) if sample["label"][k] == 1]
        row = rows[sample["image"].removeprefix("/data/nih/")]
        assert row["class"] == (min(shown)[1] if shown else "no finding")
    hernias = Counter(row["fold"] for row in rows.values() if row["class"] == "Hernia")
    assert max(hernias.values()) - min(hernias.values()) <= 3
    assert len(hernias) == 5


def test_the_file_is_written_once_and_holds_wherever_the_images_lie(tmp_path):
    data = samples()
    first = images(section(tmp_path, "test", data, fold=1))
    written = (tmp_path / "folds.csv").read_bytes()
    assert images(section(tmp_path, "test", data, fold=1, seed=7)) == first
    moved = images(section(tmp_path, "test", samples(root="/mnt/copy"), fold=1))
    assert [name.removeprefix("/mnt/copy") for name in moved] == [name.removeprefix("/data/nih") for name in first]
    assert (tmp_path / "folds.csv").read_bytes() == written
    assert images(section(tmp_path, "test", data, fold=1, seed=7, file="other.csv")) != first


def test_unknown_labels_are_no_finding_and_images_without_patient_stand_alone(tmp_path):
    data = samples()
    for sample in data[:30]:
        sample["label"] = np.full(3, np.nan, np.float32)
    del data[0]["label"]
    data[1]["patient_id"] = ""
    del data[2]["patient_id"]
    section(tmp_path, "test", data)
    rows = read_csv(tmp_path / "folds.csv")
    assert {row["class"] for row in rows[:30]} == {"no finding"}
    assert [row["group"] for row in rows[1:3]] == ["images_1/1.png", "images_0/2.png"]


def test_a_finding_of_fewer_patients_than_folds_is_named_in_the_log(tmp_path, caplog):
    data = samples()
    for n, sample in enumerate(data):
        sample["label"][2] = n in (5, 50)
    section(tmp_path, "test", data, findings=FINDINGS)
    assert "some folds lack findings of fewer than 5 patients: Hernia (2)" in caplog.text


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 6))
def test_a_patient_is_in_one_fold_whatever_the_data(tmp_path_factory, seed, folds):
    data, folder = samples(80, seed), tmp_path_factory.mktemp("folds")
    section(folder, "all", data, folds=folds, seed=seed)
    rows = read_csv(folder / "folds.csv")
    assert len({row["group"] for row in rows}) == len({(row["group"], row["fold"]) for row in rows})
    assert {row["fold"] for row in rows} == {str(fold) for fold in range(folds)}


def test_a_bundle_divides_phantoms_by_folds(tmp_path, monkeypatch):
    """As the README writes it: the fallback's samples, by reference."""
    config = {
        "output_dir": str(tmp_path),
        "dataset_dir": None,
        "fold": 1,
        "all_samples": {
            "_target_": "medkit.dataset",
            "component": "chest_xray",
            "section": "all",
            "dataset_dir": "@dataset_dir",
            "fallback": "phantom",
            "work_dir": "@output_dir",
        },
        "data": {
            "_target_": "medkit.dataset",
            "component": "folds",
            "section": "test",
            "data": "@all_samples",
            "fold": "@fold",
            "dataset_dir": "@output_dir",
        },
    }
    real = medkit.build.build
    monkeypatch.setattr(
        "medkit.build.build", lambda kind, name, options: real(kind, name, options) if name == "folds" else samples()
    )
    chosen = ConfigParser(config).get_parsed_content("data")
    assert images(chosen) == images(section(tmp_path, "test", samples(), fold=1))


def test_a_file_of_another_division_is_refused(tmp_path):
    data = samples()
    section(tmp_path, "test", data)
    with pytest.raises(DataError, match="holds 5 folds, 4 were asked for"):
        section(tmp_path, "test", data, folds=4)
    with pytest.raises(DataError, match="1 are gone"):
        section(tmp_path, "test", data[:-1])
    changed = [*data[:-1], {**data[-1], "patient_id": "someone else"}]
    with pytest.raises(DataError, match="made for other patients"):
        section(tmp_path, "test", changed)


@pytest.mark.parametrize(
    ("data", "options", "error", "message"),
    [
        ([], {}, DataError, "data is empty"),
        (samples()[:3], {}, DataError, "cannot be divided into 5 folds"),
        ([*samples(), samples()[0]], {}, DataError, "1 images are named twice"),
        (samples(), {"findings": ["Mass"]}, DataError, "1 findings were named, samples have 3 labels"),
        ([*samples(), {"image": "/data/nih/x.png", "label": [1.0]}], {}, DataError, "different numbers of labels"),
        (samples(), {"folds": 2}, ConfigError, "at least 3"),
        (samples(), {"fold": 5}, ConfigError, "give 0 to 4"),
        (samples(), {"seed": -1}, ConfigError, "seed -1"),
    ],
)
def test_what_cannot_be_divided_is_named(tmp_path, data, options, error, message):
    with pytest.raises(error, match=message):
        section(tmp_path, "test", data, **options)


def test_an_unknown_section_is_named(tmp_path):
    with pytest.raises(ConfigError, match='Did you mean "training"'):
        section(tmp_path, "trainin", samples())
