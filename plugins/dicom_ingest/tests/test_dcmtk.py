"""dcmtk as oracle: at most one grey level apart in any channel, or an exception that `dcmtk` explains."""

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import get_frame
from pydicom.uid import ExplicitVRLittleEndian

from . import dcmtk, shipped
from .cases import all_cases
from .levels import DELIBERATE, FRAMES, apart, shown_by_medkit
from .synthetic import to_bytes

pytestmark = pytest.mark.skipif(not dcmtk.INSTALLED, reason="dcmtk is not installed")

CASES = all_cases()
IMAGES = [path for path in shipped.files() if not shipped.no_image(path)]
REAL = ("highdicom_dx_mono1_explicit_small.dcm", "nih_dx_mono2_implicit.dcm")


def judge(name, path, folder):
    """Assert that both show the same, or that ``name`` is one of the exceptions, and no exception without need."""
    ours = shown_by_medkit(path.read_bytes())
    theirs = dcmtk.rendered(path, shipped.read(path), min(len(ours), FRAMES), folder)
    assert (not theirs) == bool(dcmtk.reason(dcmtk.REFUSED, name))
    if theirs:
        difference = max(apart(a, np.asarray(b)) for a, b in zip(ours, theirs, strict=True))
        expected = name in DELIBERATE or bool(dcmtk.reason(dcmtk.EXPLAINED, name))
        assert (difference > 1.5) == expected, f"{difference} levels"


@pytest.mark.parametrize("name", CASES)
def test_synthesised_files_differ_by_one_level_at_most(name, tmp_path):
    path = tmp_path / "case.dcm"
    path.write_bytes(to_bytes(CASES[name].dataset))
    judge(name, path, tmp_path)


@pytest.mark.parametrize("path", IMAGES, ids=shipped.called)
def test_pydicoms_files_differ_by_one_level_at_most(path, tmp_path):
    judge(path.name, path, tmp_path)


@pytest.mark.parametrize("table", [dcmtk.EXPLAINED, dcmtk.REFUSED])
def test_every_exception_is_one_of_a_case_or_file(table):
    names = [*CASES, *(path.name for path in IMAGES)]
    for why, patterns in table.items():
        for pattern in patterns:
            assert any(dcmtk.reason({why: (pattern,)}, name) for name in names), pattern


@pytest.mark.parametrize("name", REAL)
def test_real_files_differ_by_one_level_at_most(name, data_dir, tmp_path):
    judge(name, data_dir / "dicom" / name, tmp_path)


def test_real_jpeg_2000_file_differs_by_one_level_at_most(data_dir, tmp_path):
    path = data_dir / "dicom" / "RG1_J2KI_chest_pa_mono1_15bit.dcm"
    ours = shown_by_medkit(path.read_bytes())
    dataset = dcmread(path)
    decoded = imagecodecs.jpeg2k_decode(get_frame(dataset.PixelData, 0, number_of_frames=1))
    dataset.PixelData = np.clip(decoded, 0, 2**15 - 1).astype("<u2").tobytes()  # dcmtk has no JPEG 2000
    dataset["PixelData"].VR = "OW"
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    native = tmp_path / "native.dcm"
    native.write_bytes(to_bytes(dataset))
    (theirs,) = dcmtk.rendered(native, dataset, 1, tmp_path)
    assert apart(ours[0], theirs) <= 1
