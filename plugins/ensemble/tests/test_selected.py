"""Some of the findings: labels and boxes of these alone, in the order asked for."""

import numpy as np
import pytest

import medkit
from medkit.errors import ConfigError

FINDINGS = ["Mass", "Nodule", "Hernia"]
SAMPLES = [
    {"image": "a.png", "label": np.array([1, 0, np.nan], np.float32), "boxes": np.array([[0, 1, 2, 3, 4]], np.float32)},
    {"image": "b.png", "label": np.array([0, 1, 1], np.float32), "boxes": np.array([[2, 5, 6, 7, 8], [1, 1, 1, 2, 2]])},
    {"image": "c.png"},
]


def select(tmp_path, *selected):
    options = {"section": "training", "dataset_dir": str(tmp_path), "data": SAMPLES, "findings": FINDINGS}
    return medkit.dataset("selected_findings", selected=list(selected), **options)


def test_labels_and_boxes_are_those_of_the_selected_findings(tmp_path):
    first, second, third = select(tmp_path, "Hernia", "Mass")
    np.testing.assert_array_equal(first["label"], [np.nan, 1])
    np.testing.assert_array_equal(first["boxes"], [[1, 1, 2, 3, 4]])
    np.testing.assert_array_equal(second["label"], [1, 0])
    np.testing.assert_array_equal(second["boxes"], [[0, 5, 6, 7, 8]])
    assert third == {"image": "c.png"}
    assert SAMPLES[0]["label"].shape == (3,)


@pytest.mark.parametrize(
    ("selected", "message"), [(["Hernla"], "Did you mean"), (["Mass", "Mass"], "each once"), ([], "one")]
)
def test_what_cannot_be_selected_is_named(tmp_path, selected, message):
    with pytest.raises(ConfigError, match=message):
        select(tmp_path, *selected)
