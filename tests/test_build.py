"""Parts are built by name, and a wrong option is named."""

import numpy as np
import pytest

import medkit
from medkit.build import build
from medkit.errors import ConfigError, PluginError

PLUGIN = """
from medkit import Component, hookimpl

@hookimpl
def medkit_datasets():
    return [Component("listing", "probe_hooks:listing"), Component("made", "probe_hooks:made")]

@hookimpl
def medkit_losses():
    return [Component("absent", "probe_hooks:nothing_here")]

def listing(dataset_dir, section, *, findings=()):
    return [{"image": dataset_dir, "section": section, "findings": findings}]

def made(dataset_dir, section, *, images=3):
    return [{"image": dataset_dir, "section": section}] * images
"""


def test_a_misspelt_option_is_answered_with_the_right_one(make_plugin):
    make_plugin("probe", PLUGIN)
    with pytest.raises(ConfigError, match=r'dataset "listing" has no option "findngs". Did you mean "findings"'):
        build("dataset", "listing", {"dataset_dir": "x", "section": "test", "findngs": []})


def test_a_missing_option_is_named(make_plugin):
    make_plugin("probe", PLUGIN)
    with pytest.raises(ConfigError, match=r"missing a required argument: 'section'"):
        build("dataset", "listing", {"dataset_dir": "x"})


def test_a_target_that_is_not_there_names_the_component(make_plugin):
    make_plugin("probe", PLUGIN)
    with pytest.raises(PluginError, match=r'component "absent" .* cannot be imported'):
        medkit.loss("absent")


def test_a_data_set_without_a_folder_falls_back_under_the_work_folder(make_plugin, tmp_path):
    make_plugin("probe", PLUGIN)
    samples = medkit.dataset("listing", "test", fallback="made", fallback_options={"images": 2}, work_dir=str(tmp_path))
    assert samples == [{"image": str(tmp_path / "made"), "section": "test"}] * 2
    options = {"section": "inbox"}
    inbox = medkit.dataset("listing", "test", fallback="made", fallback_options=options, work_dir=str(tmp_path))
    assert inbox[0]["section"] == "inbox"


def test_a_data_set_with_a_folder_takes_it(make_plugin, tmp_path):
    make_plugin("probe", PLUGIN)
    (sample,) = medkit.dataset("listing", "test", dataset_dir=str(tmp_path), fallback="made", findings=["a"])
    assert sample == {"image": str(tmp_path), "section": "test", "findings": ["a"]}


def test_a_data_set_that_is_no_folder_is_an_error(make_plugin, tmp_path):
    make_plugin("probe", PLUGIN)
    with pytest.raises(ConfigError, match=r"is not a folder"):
        medkit.dataset("listing", "test", dataset_dir=str(tmp_path / "none"))
    with pytest.raises(ConfigError, match=r"add --dataset_dir FOLDER"):
        medkit.dataset("listing", "test")


def test_labels_are_a_matrix_in_which_unknown_is_nan():
    matrix = medkit.labels([{"label": [1, 0]}, {"image": "x"}, {"label": np.array([0, np.nan])}])
    np.testing.assert_array_equal(matrix, np.array([[1, 0], [np.nan, np.nan], [0, np.nan]], np.float32))
