import os
from pathlib import Path

import pytest

import medkit
from medkit.errors import ConfigError, DataError


def names(samples, root):
    return [str(Path(sample["image"]).relative_to(root)) for sample in samples]


def test_every_file_in_natural_order(tmp_path):
    for name in ("b/10.dcm", "b/2.dcm", "b/2", "a1/x.PNG", "a10/x", "a2/x", "IM1", "odd.xyz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = medkit.dataset("dicom_folder", "all", str(tmp_path))
    assert names(found, tmp_path) == ["a1/x.PNG", "a2/x", "a10/x", "b/2", "b/2.dcm", "b/10.dcm", "IM1", "odd.xyz"]
    assert all(Path(sample["image"]).is_absolute() for sample in found)
    assert found == medkit.dataset("dicom_folder", "test", str(tmp_path))
    assert len(medkit.dataset("dicom_folder", "all", str(tmp_path), limit=3)) == 3
    assert names(medkit.dataset("dicom_folder", "all", str(tmp_path), recursive=False), tmp_path) == ["IM1", "odd.xyz"]


def test_hidden_files_and_loops_are_left_out_and_all_else_is_tried(tmp_path):
    for name in ("labels.csv", "notes.TXT", "report.html", ".hidden", "DICOMDIR", "Thumbs.db", "image.dcm"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "x.dcm").write_bytes(b"x")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "link.dcm").symlink_to(tmp_path / "image.dcm")
    (tmp_path / "gone.dcm").symlink_to(tmp_path / "nowhere")
    found = medkit.dataset("dicom_folder", "all", str(tmp_path))
    tried = ["gone.dcm", "image.dcm", "labels.csv", "link.dcm", "notes.TXT", "pipe", "report.html"]
    assert names(found, tmp_path) == tried


def test_empty_folder_missing_folder_and_wrong_section_are_named(tmp_path):
    with pytest.raises(DataError, match="holds no image file"):
        medkit.dataset("dicom_folder", "all", str(tmp_path))
    from medkit_dicom_ingest.folder import dicom_folder

    with pytest.raises(DataError, match="is not a folder"):
        dicom_folder(str(tmp_path / "none"))
    with pytest.raises(ConfigError, match='Did you mean "training"'):
        dicom_folder(str(tmp_path), "trainig")
