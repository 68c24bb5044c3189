import numpy as np
import pytest
from PIL import Image

import medkit
from medkit.errors import DataError
from medkit.testing import DatasetConformance

FILES = {"training": ["cat/2.png", "cat/1.png", "dog/3.png"], "validation": ["cat/4.png", "dog/5.png"]}
FILES["test"] = FILES["validation"]


def write_images(folder):
    for section, names in FILES.items():
        for name in names:
            path = folder / section / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((5, 7), 128, np.uint8)).save(path)


class TestContract(DatasetConformance):
    component = "class_folders"

    def make_dataset_dir(self, folder):
        write_images(folder)


def test_images_come_by_class_then_by_name(tmp_path):
    write_images(tmp_path)
    (tmp_path / "training" / ".cache").mkdir()
    samples = medkit.dataset("class_folders", "training", str(tmp_path))
    names = [sample["patient_id"] for sample in samples]
    assert names == ["training/cat/1.png", "training/cat/2.png", "training/dog/3.png"]
    np.testing.assert_array_equal([sample["label"] for sample in samples], [[1, 0], [1, 0], [0, 1]])


def test_a_class_without_images_is_named(tmp_path):
    write_images(tmp_path)
    (tmp_path / "test" / "dog" / "5.png").unlink()
    with pytest.raises(DataError, match=r"test/dog holds no image"):
        medkit.dataset("class_folders", "test", str(tmp_path))
