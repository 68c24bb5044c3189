"""dcmtk as oracle: at most one grey level apart, or an exception that is explained here."""

import shutil
import subprocess
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom.data
import pytest
from medkit_dicom_ingest.reader import Picture, read_picture
from medkit_dicom_ingest.rendering import Rendered, render
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import get_frame
from pydicom.uid import ExplicitVRLittleEndian

from medkit.errors import DataError

FILES = Path(pydicom.data.__file__).parent / "test_files"
EXPLAINED = {
    "liver_1frame.dcm": "dcmtk shows the highest value of 1-bit data as 127",
    "liver_expb_1frame.dcm": "dcmtk shows the highest value of 1-bit data as 127",
    "rtdose_expb.dcm": "dcmtk swaps 32-bit big-endian samples as pairs of 16 bits",
    "rtdose_expb_1frame.dcm": "dcmtk swaps 32-bit big-endian samples as pairs of 16 bits",
}
TOOLS = ("dcm2pnm", "dcmj2pnm", "dcml2pnm")
LOCAL = sorted(p for p in FILES.rglob("*") if p.is_file() and "TINY_ALPHA" not in p.parts and p.suffix in (".dcm", ""))

pytestmark = pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason="dcmtk is not installed")


def dcmtk(path: str, window: str, folder: Path) -> np.ndarray | None:
    """Return dcmtk's 8-bit grey levels, or None where it cannot read the file."""
    choice = ["+Wl", "1"] if window == "VOI LUT" else ["+Wi", "1"] if window.startswith("window") else ["-W"]
    out = folder / "dcmtk.png"
    for tool in TOOLS:
        done = subprocess.run([tool, "-O", *choice, "+F", "1", "+on", path, out], capture_output=True, check=False)
        if done.returncode == 0 and out.is_file():
            shown = np.asarray(Image.open(out)).astype(np.float64)
            return np.rint(shown if shown.ndim == 2 else shown[..., :3] @ [0.299, 0.587, 0.114])
    return None


def levels_apart(shown: np.ndarray, picture: Picture | Rendered) -> float:
    """Return the largest difference in 8-bit grey levels; dcmtk rounds down, inverted or not."""
    return np.abs(shown - np.rint(picture.pixels * 255.0)).max()


@pytest.mark.parametrize("path", LOCAL, ids=lambda path: path.name)
def test_pydicoms_files_differ_by_one_grey_level_at_most(path, tmp_path):
    try:
        picture = read_picture(path)
    except DataError as error:
        pytest.skip(f"no image: {error}")
    shown = dcmtk(str(path), picture.source.window, tmp_path)
    if shown is None:
        pytest.skip("dcmtk does not read this transfer syntax")
    difference = levels_apart(shown, picture)
    assert (difference > 1) == (path.name in EXPLAINED), f"{difference} levels"


def test_real_files_differ_by_one_grey_level_at_most(data_dir, tmp_path):
    for name in ("highdicom_dx_mono1_explicit_small.dcm", "nih_dx_mono2_implicit.dcm"):
        picture = read_picture(data_dir / "dicom" / name)
        shown = dcmtk(str(data_dir / "dicom" / name), picture.source.window, tmp_path)
        assert levels_apart(shown, picture) <= 1


def test_real_jpeg_2000_file_differs_by_one_grey_level_at_most(data_dir, write, tmp_path):
    dataset = dcmread(data_dir / "dicom" / "RG1_J2KI_chest_pa_mono1_15bit.dcm")
    picture = render(dataset)
    decoded = imagecodecs.jpeg2k_decode(get_frame(dataset.PixelData, 0, number_of_frames=1))
    dataset.PixelData = np.clip(decoded, 0, 2**15 - 1).astype("<u2").tobytes()  # dcmtk has no JPEG 2000
    dataset["PixelData"].VR = "OW"
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    assert levels_apart(dcmtk(write(dataset), picture.window, tmp_path), picture) <= 1


RAMP = np.linspace(0, 4095, 20 * 31, dtype=np.uint16).reshape(20, 31)
SIGNED = np.linspace(-2048, 2047, 20 * 31, dtype=np.int16).reshape(20, 31)
RULES = {
    "plain": (RAMP, {}),
    "window": (RAMP, {"WindowCenter": 1500, "WindowWidth": 900}),
    "sigmoid": (RAMP, {"WindowCenter": 1500, "WindowWidth": 900, "VOILUTFunction": "SIGMOID"}),
    "wide exact": (RAMP, {"WindowCenter": 2000, "WindowWidth": 3000, "VOILUTFunction": "LINEAR_EXACT"}),
    "signed": (SIGNED, {"WindowCenter": 40, "WindowWidth": 1400}),
    "signed plain": (SIGNED, {}),
    "high bit": (RAMP, {"HighBit": 15, "WindowCenter": 1500, "WindowWidth": 900}),
    "rescale": (RAMP, {"RescaleSlope": "2", "RescaleIntercept": "-1024", "WindowCenter": 900, "WindowWidth": 3000}),
    "VOI LUT": (RAMP, {"VOILUTSequence": ([i * i // 4096 for i in range(4096)], 0, 12)}),
    "VOI LUT of 8 bits": (RAMP, {"VOILUTSequence": ([i // 16 for i in range(4096)], 0, 8)}),
    "modality LUT": (RAMP, {"ModalityLUTSequence": ([4095 - i for i in range(4096)], 0, 12)}),
}


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("shape", ["", "IDENTITY", "INVERSE"])
@pytest.mark.parametrize("rule", RULES)
def test_synthesised_rules_differ_by_one_grey_level_at_most(dicom, lut, write, tmp_path, rule, shape, photometric):
    stored, tags = RULES[rule]
    tags = {key: [lut(*value)] if key.endswith("Sequence") else value for key, value in tags.items()}
    if shape:
        tags["PresentationLUTShape"] = shape
    if "ModalityLUTSequence" in tags:
        tags["ModalityLUTSequence"][0].ModalityLUTType = "US"
    path = write(dicom(stored, BitsStored=12, PhotometricInterpretation=photometric, **tags))
    picture = read_picture(path)
    shown = dcmtk(path, picture.source.window, tmp_path)
    assert levels_apart(shown, picture) <= 1
