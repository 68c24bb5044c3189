"""New images without labels: every bitmap once, volumes in slices, a series once."""

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

import medkit
from medkit.errors import ConfigError, DataError


def folder(path, **options):
    return medkit.dataset("brain_mri_folder", "all", str(path), **options)


def test_bitmaps_volumes_and_series_become_cases(tmp_path, head, write_series):
    Image.fromarray(np.uint8(np.arange(64 * 64).reshape(64, 64) % 251)).save(tmp_path / "b (1).PNG")
    nib.save(nib.Nifti1Image(head, np.eye(4)), tmp_path / "a.nii.gz")
    write_series(tmp_path / "series", head)
    samples = folder(tmp_path, slice_count=3)
    names = [sample["image"].removeprefix(f"{tmp_path}/").split("/")[0] for sample in samples]
    assert names == ["a.nii.gz"] * 3 + ["b (1).PNG"] + ["series"] * 3
    assert samples[3]["slice"] == -1
    assert all("label" not in sample for sample in samples)
    load = medkit.transform("load_slice")
    assert all(load(sample)["image"].shape[0] == 1 for sample in samples)


def test_what_is_not_there_is_one_line(tmp_path):
    with pytest.raises(DataError, match="holds no file"):
        folder(tmp_path)
    with pytest.raises(ConfigError, match=r'slices "al" is unknown\. Did you mean "all"'):
        folder(tmp_path, slices="al")
