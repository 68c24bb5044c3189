"""Fixtures: synthesised DICOM files and the folder of real ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydicom import Dataset

from .synthetic import make_dicom, make_lut, to_bytes


@pytest.fixture(scope="session")
def dicom():
    return make_dicom


@pytest.fixture(scope="session")
def lut():
    return make_lut


@pytest.fixture(scope="session")
def as_bytes():
    return to_bytes


@pytest.fixture
def write(tmp_path):
    """Give a function that writes bytes or a data set to a file and returns its path."""

    def written(content: bytes | Dataset, name: str = "image.dcm") -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else to_bytes(content))
        return str(path)

    return written


@pytest.fixture
def data_dir() -> Path:
    """Give the folder of real data, or skip."""
    default = Path(__file__).resolve().parents[4] / "shared" / "data"
    folder = Path(os.environ.get("MEDKIT_DATA", default))
    if not (folder / "dicom").is_dir():
        pytest.skip(f"no real data: set MEDKIT_DATA (looked in {folder})")
    return folder
