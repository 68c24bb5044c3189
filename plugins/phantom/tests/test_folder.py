"""What is written: the folder, its tables, and the files in it."""

import csv
import hashlib
import shutil
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from medkit_phantom import folder as folder_module
from medkit_phantom.dataset import phantom
from medkit_phantom.files import KINDS, Facts, write_image
from medkit_phantom.findings import FINDINGS

import medkit
from medkit import made_once
from medkit.errors import ConfigError, DataError

IMAGES = 60
FACTS = Facts("1", "PHANTOM-0-000001", 52, "F", "PA", 1.3)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("phantoms") / "phantom"
    phantom(str(path), "all", images=IMAGES, quiet=True)
    return path


def read(path: Path) -> np.ndarray:
    """Return display values (H,W) 0…1, by the standard's own formulas (PS3.3 C.11.2, C.7.6.3.1.2)."""
    if path.suffix == ".png":
        return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., 0] / 255
    file = pydicom.dcmread(path)
    stored = file.pixel_array.astype(float)
    if "VOILUTSequence" in file:
        item = file.VOILUTSequence[0]
        entries, first, bits = item.LUTDescriptor
        table = np.frombuffer(item.LUTData, "<u2").astype(float)
        assert len(table) == entries
        shown = table[(stored - first).astype(int)] / (2**bits - 1)
    else:
        shown = np.clip((stored - (file.WindowCenter - 0.5)) / (file.WindowWidth - 1) + 0.5, 0, 1)
    return 1 - shown if file.PhotometricInterpretation == "MONOCHROME1" else shown


def digest(path: Path) -> str:
    names = sorted(p for p in path.rglob("*") if p.is_file())
    return hashlib.sha256(b"".join(str(p.relative_to(path)).encode() + p.read_bytes() for p in names)).hexdigest()


def test_samples_have_what_the_contract_asks(made):
    samples = medkit.dataset("phantom", "all", str(made), images=IMAGES, quiet=True)
    assert len(samples) == IMAGES
    for sample in samples:
        assert Path(sample["image"]).is_file()
        assert Path(sample["image"]).is_absolute()
        assert sample["label"].shape == (8,)
        assert sample["label"].dtype == np.float32
        assert sample["boxes"].shape == (sample["label"].sum(), 5)
        assert set(sample["boxes"][:, 0]) == set(np.flatnonzero(sample["label"]))
        assert sample["synthetic"] is True
    assert np.shape(medkit.labels(samples)) == (IMAGES, 8)


def test_sections_share_no_patient_and_make_up_all(made):
    sections = [phantom(str(made), s, images=IMAGES, quiet=True) for s in ("training", "validation", "test")]
    patients = [{sample["patient_id"] for sample in section} for section in sections]
    assert sum(map(len, sections)) == IMAGES
    assert len(set.union(*patients)) == sum(map(len, patients)) < IMAGES
    inbox = phantom(str(made), "inbox", images=IMAGES, quiet=True)
    assert not {sample["patient_id"] for sample in inbox} & set.union(*patients)


def test_tables_are_plain_csv_of_the_files_beside_them(made):
    with (made / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["image", "patient_id", "section", *FINDINGS]
    assert sorted(row["image"] for row in rows) == sorted(f"images/{p.name}" for p in (made / "images").iterdir())
    assert {row[name] for row in rows for name in FINDINGS} == {"0", "1"}
    with (made / "boxes.csv").open() as file:
        for row in csv.DictReader(file):
            rows_, columns = read(made / row["image"]).shape
            assert 0 <= float(row["x_min"]) < float(row["x_max"]) <= columns
            assert 0 <= float(row["y_min"]) < float(row["y_max"]) <= rows_


def test_same_options_give_the_same_bytes_and_another_seed_others(made, tmp_path):
    phantom(str(tmp_path / "again"), "all", images=IMAGES, quiet=True)
    phantom(str(tmp_path / "other"), "all", images=IMAGES, seed=1, quiet=True)
    assert digest(made) == digest(tmp_path / "again") != digest(tmp_path / "other")


def test_findings_can_be_fewer_and_in_another_order(tmp_path):
    samples = phantom(str(tmp_path / "p"), "all", findings=["Nodule", "Effusion"], images=IMAGES, quiet=True)
    assert all(sample["label"].shape == (2,) for sample in samples)
    again = phantom(str(tmp_path / "p"), "all", findings=["Effusion", "Nodule"], images=IMAGES, quiet=True)
    np.testing.assert_array_equal(medkit.labels(samples), medkit.labels(again)[:, ::-1])


def test_inbox_holds_images_that_the_model_is_not_for(made):
    samples = phantom(str(made), "inbox", images=IMAGES, quiet=True)
    files = [pydicom.dcmread(s["image"]) for s in samples if s["image"].endswith(".dcm")]
    assert len(samples) == 24
    assert sum("label" not in sample for sample in samples) == 5
    assert [file.ViewPosition for file in files].count("LL") == 1
    assert {file.BodyPartExamined for file in files} == {"CHEST", "HAND", "ABDOMEN"}
    assert sorted(file.PatientAge for file in files)[0] == "004Y"
    pictures = [cv2.imread(s["image"]) for s in samples if s["image"].endswith(".png") and "label" not in s]
    assert len(pictures) == 1
    assert np.ptp(pictures[0].astype(int), axis=2).mean() > 20


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_shows_the_same_picture(kind, tmp_path):
    pixels = np.linspace(0, 1, 90 * 70, dtype=np.float32).reshape(90, 70)
    path = tmp_path / ("a.png" if kind.startswith("png") else "a.dcm")
    write_image(path, pixels, kind, FACTS, np.random.default_rng(0))
    np.testing.assert_allclose(read(path), pixels, atol=0.003)


def test_dicom_files_are_valid_and_say_synthetic(tmp_path):
    seen = set()
    for kind in (kind for kind in KINDS if not kind.startswith("png")):
        write_image(tmp_path / "a.dcm", np.zeros((64, 48), np.float32), kind, FACTS, np.random.default_rng(1))
        file = pydicom.dcmread(tmp_path / "a.dcm")
        assert (file.Rows, file.Columns, file.BitsStored, file.BitsAllocated) == (64, 48, 12, 16)
        assert "SYNTHETIC" in str(file.PatientName)
        assert "SYNTHETIC" in file.ImageComments
        assert file.PatientAge == "052Y"
        assert ("PixelSpacing" in file) != ("ImagerPixelSpacing" in file)
        seen.add((file.Modality, file.PhotometricInterpretation, "VOILUTSequence" in file))
    assert {modality for modality, _, _ in seen} == {"CR", "DX"}
    assert {(photometric, lut) for _, photometric, lut in seen} == {
        (f"MONOCHROME{n}", lut) for n in (1, 2) for lut in (True, False)
    }


def test_set_mixes_dicom_with_rgb_and_rgba_png(made):
    samples = phantom(str(made), "all", images=IMAGES, quiet=True)
    channels = [cv2.imread(s["image"], cv2.IMREAD_UNCHANGED).shape[2] for s in samples if s["image"].endswith("png")]
    assert {3, 4} == set(channels)
    assert 0.15 < len(channels) / IMAGES < 0.55
    assert all(b"SYNTHETIC" in Path(s["image"]).read_bytes() for s in samples)


def test_interrupted_build_leaves_nothing_and_can_be_repeated(tmp_path, monkeypatch):
    write = folder_module.write_image

    def interrupted(path, *rest):
        if "00007" in path.name:
            raise KeyboardInterrupt
        write(path, *rest)

    monkeypatch.setattr(folder_module, "write_image", interrupted)
    with pytest.raises(KeyboardInterrupt):
        phantom(str(tmp_path / "p"), "all", images=IMAGES, quiet=True)
    assert not list(tmp_path.iterdir())
    monkeypatch.undo()
    assert len(phantom(str(tmp_path / "p"), "all", images=IMAGES, quiet=True)) == IMAGES


def test_of_two_builders_the_first_to_finish_wins(made, tmp_path, monkeypatch):
    def overtaken(partial, *_):
        (partial / "slower.txt").write_text("half of it")
        shutil.copytree(made, tmp_path / "p")

    monkeypatch.setattr(folder_module, "_build", overtaken)
    assert len(phantom(str(tmp_path / "p"), "all", images=IMAGES, quiet=True)) == IMAGES
    assert [path.name for path in tmp_path.iterdir()] == ["p"]


def test_folder_of_other_options_is_an_error_that_names_them(made):
    with pytest.raises(DataError, match="seed 0 instead of 3"):
        phantom(str(made), "test", images=IMAGES, seed=3, quiet=True)


def test_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="holds no phantoms"):
        phantom(str(tmp_path), "test", images=IMAGES, quiet=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_changed_file_is_found(made, tmp_path):
    shutil.copytree(made, tmp_path / "p")
    samples = phantom(str(tmp_path / "p"), "all", images=IMAGES, quiet=True)
    Path(samples[3]["image"]).write_bytes(b"")
    made_once._contents_once.cache_clear()
    with pytest.raises(DataError, match="changed"):
        phantom(str(tmp_path / "p"), "all", images=IMAGES, quiet=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"findings": ["Nodul"]}, 'Did you mean "Nodule"'),
        ({"findings": []}, "at least one"),
        ({"findings": ["Mass", "Mass"]}, "each once"),
        ({"images": 3}, "images ≥ 60"),
        ({"section": "train"}, 'no section "train"'),
    ],
)
def test_wrong_option_is_one_clear_line(options, message, tmp_path):
    with pytest.raises(ConfigError, match=message) as caught:
        phantom(**{"dataset_dir": str(tmp_path / "p"), "section": "all", "quiet": True, **options})
    assert "\n" not in str(caught.value)
