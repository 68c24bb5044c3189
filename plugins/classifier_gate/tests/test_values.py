"""Each image finds its own gate in the classifier's tables."""

import numpy as np
import pytest
import torch
from monai.data import list_data_collate
from monai.transforms import Transform

import medkit
from medkit.errors import ConfigError, DataError
from medkit.tables import write_csv

COLUMNS = ["file", "status", "probability_benign", "probability_normal"]


@pytest.fixture
def table(tmp_path):
    """Write a table of file → probability of normal and return its path."""

    def write(name="predictions.csv", **normal):
        rows = [{"file": f"/busi/{file}.png", "status": "ok", "probability_normal": p} for file, p in normal.items()]
        write_csv(tmp_path / name, COLUMNS, rows)
        return str(tmp_path / name)

    return write


def gate_of(transform, file):
    return transform({"image": f"/busi/{file}.png"})["gate"]


def test_the_gate_is_what_is_left_for_anything_but_normal(table):
    values = medkit.transform("gate_values", predictions=table(a=0.25, b=1, c="", d=0))
    assert gate_of(values, "a") == 0.75
    assert gate_of(values, "b") == 0
    assert np.isnan(gate_of(values, "c")), "not assessed"
    assert gate_of(values, "d") == 1


def test_another_class_may_be_the_negative_one(table):
    path = table(a=0.25)
    write_csv(path, ["file", "probability_no tumour"], [{"file": "/busi/a.png", "probability_no tumour": 0.9}])
    values = medkit.transform("gate_values", predictions=path, negative="no tumour")
    assert gate_of(values, "a") == pytest.approx(0.1)


def test_after_reading_the_image_is_known_by_its_file(table):
    values = medkit.transform("gate_values", predictions=table(a=0.25))
    assert values({"image": torch.zeros(1, 2, 2), "file": "/busi/a.png"})["gate"] == 0.75


def test_gates_collate_to_float32(table):
    values = medkit.transform("gate_values", predictions=table(a=0.25, b=""), missing="open")
    batch = list_data_collate([{"gate": gate_of(values, file)} for file in "abz"])
    assert batch["gate"].dtype == torch.float32
    torch.testing.assert_close(batch["gate"], torch.tensor([0.75, torch.nan, torch.nan]), equal_nan=True)


def test_several_tables_are_one_and_are_read_once(table, tmp_path):
    values = medkit.transform("gate_values", predictions=[table("0.csv", a=0.25), table("1.csv", b=0.5)])
    assert gate_of(values, "a") == 0.75
    for file in tmp_path.glob("*.csv"):
        file.unlink()
    assert gate_of(values, "b") == 0.5


def test_a_folder_stands_for_the_tables_of_its_parts(table, tmp_path):
    for part, file in (("0", "a"), ("1", "b")):
        (tmp_path / part).mkdir()
        table(f"{part}/predictions.csv", **{file: 0.25})
    values = medkit.transform("gate_values", predictions=str(tmp_path))
    assert gate_of(values, "a") == gate_of(values, "b") == 0.75


def test_images_that_moved_are_known_by_folder_and_name_if_only_one_is_called_so(tmp_path):
    files = {"/old/benign/1.png": 0.25, "/old/normal/1.png": 0.5, "/old/x/normal/2.png": 0, "/old/y/normal/2.png": 0}
    rows = [{"file": file, "status": "ok", "probability_normal": p} for file, p in files.items()]
    write_csv(tmp_path / "p.csv", COLUMNS, rows)
    values = medkit.transform("gate_values", predictions=str(tmp_path / "p.csv"))
    assert values({"image": "/new/benign/1.png"})["gate"] == 0.75
    assert values({"image": "/new/normal/1.png"})["gate"] == 0.5
    with pytest.raises(ConfigError, match=r"2\.png is not in"):
        values({"image": "/new/normal/2.png"})


def test_an_image_in_no_table_ends_the_run_and_is_no_bad_file(table):
    reading = [medkit.transform("gate_values", predictions=table(a=0.25))]
    compose = medkit.SafeCompose(reading, spatial_size=(8, 8), classes=1, masks=True)
    with pytest.raises(ConfigError, match="is not in"):
        compose({"image": "/busi/z.png"})


def test_a_cache_may_hold_what_follows():
    values = medkit.transform("gate_values", predictions=[])
    assert isinstance(values, Transform), "CacheDataset caches nothing from the first step on that is no Transform"


def test_what_is_missing_or_double_is_named(table, tmp_path):
    values = medkit.transform("gate_values", predictions=table(a=0.25))
    with pytest.raises(ConfigError, match=r"/busi/z\.png is not in .*predictions\.csv: run the stage"):
        gate_of(values, "z")
    values = medkit.transform("gate_values", predictions=[table(a=0.25), table("again.csv", b=0.1, a=0.3)])
    with pytest.raises(DataError, match=r"/busi/a\.png is in .*predictions\.csv and again in .*again\.csv"):
        gate_of(values, "b")
    values = medkit.transform("gate_values", predictions=str(tmp_path / "none.csv"), missing="open")
    with pytest.raises(DataError, match=r"none\.csv is not there: run the stage"):
        gate_of(values, "a")
    with pytest.raises(DataError, match=r'no class "norma".* Did you mean "normal".* benign, normal'):
        gate_of(medkit.transform("gate_values", predictions=table(a=0.25), negative="norma"), "a")
    with pytest.raises(ConfigError, match='missing "skip" is unknown: choose error or open'):
        medkit.transform("gate_values", predictions=[], missing="skip")


@pytest.mark.parametrize("text", ["1.2", "-0.1", "high", "inf"])
def test_what_is_no_probability_is_named(table, text):
    with pytest.raises(DataError, match=rf"gives /busi/a\.png the probability_normal {text}: expected 0 to 1"):
        gate_of(medkit.transform("gate_values", predictions=table(a=text)), "a")


def test_an_image_that_cannot_be_read_keeps_its_place_in_the_batch(table):
    def read(sample):
        if "b.png" in sample["image"]:
            raise ValueError("broken")
        return {**sample, "image": torch.zeros(1, 4, 4)}

    values = medkit.transform("gate_values", predictions=table(a=0.25, b=0.5, z=""))
    compose = medkit.SafeCompose([values, read], spatial_size=(4, 4), classes=3)
    data = [{"image": f"/busi/{file}.png"} for file in "abz"]
    batch = list_data_collate([compose(sample) for sample in data])
    assert batch["status"] == ["ok", "error", "ok"]
    torch.testing.assert_close(batch["gate"], torch.tensor([0.75, 0.5, torch.nan]), equal_nan=True)
    assert all(sample.keys() == {"image"} for sample in data), "the data set is left as it was"


def test_a_table_of_a_newer_version_is_refused(table):
    path = table(a=0.25)
    rows = [{"file": "/busi/a.png", "probability_normal": 0.25, "format": "medkit-predictions/2"}]
    write_csv(path, list(rows[0]), rows)
    with pytest.raises(DataError, match=r'predictions\.csv has the format "medkit-predictions/2", this medkit reads'):
        gate_of(medkit.transform("gate_values", predictions=path), "a")
