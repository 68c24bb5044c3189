"""One bright square in a non-square image, followed from DICOM to boxes.csv and back to millimetres."""

import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import torch
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

import medkit
from medkit import cli
from medkit.files import sha256, write_json
from medkit.tables import read_csv

BUNDLE = Path(__file__).parent.parent / "bundles" / "chest_gradcam"
ROWS, COLUMNS = 300, 420
SQUARE = (220, 60, 310, 150)  # x_min, y_min, x_max, y_max
FINDINGS = ["Mass", "Nodule"]

BRIGHTNESS = """
import torch
from medkit import Component, hookimpl

@hookimpl
def medkit_networks():
    return [Component("brightness", "probe_hooks:Brightness")]

class Brightness(torch.nn.Module):
    '''The first finding is brightness, the second its absence; maps at a quarter of the input.'''

    def __init__(self, in_channels, out_channels, spatial_dims=2):
        super().__init__()
        self.features = torch.nn.Sequential(torch.nn.AvgPool2d(4), torch.nn.Conv2d(1, 1, 1, bias=False))
        self.head = torch.nn.Linear(1, out_channels)

    def forward(self, images):
        return self.head(torch.flatten(torch.nn.functional.adaptive_avg_pool2d(self.features(images), 1), 1))
"""


def write_dicom(path: Path, inverted: bool) -> None:
    """Write a 12-bit DX with one bright square; as MONOCHROME1 it is stored dark."""
    pixels = np.full((ROWS, COLUMNS), 200, np.uint16)
    x_min, y_min, x_max, y_max = SQUARE
    pixels[y_min:y_max, x_min:x_max] = 4000
    image = pydicom.Dataset()
    image.SOPClassUID, image.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", generate_uid(entropy_srcs=[path.name])
    image.Modality, image.BodyPartExamined, image.ViewPosition = "DX", "CHEST", "PA"
    image.Rows, image.Columns = ROWS, COLUMNS
    image.SamplesPerPixel, image.BitsAllocated, image.BitsStored, image.HighBit = 1, 16, 12, 11
    image.PixelRepresentation = 0
    image.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    image.ImagerPixelSpacing = [0.2, 0.2]
    image.PixelData = (4095 - pixels if inverted else pixels).astype("<u2").tobytes()
    image.file_meta = pydicom.dataset.FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.save_as(path, enforce_file_format=True)


@pytest.mark.parametrize("inverted", [False, True], ids=["MONOCHROME2", "MONOCHROME1"])
def test_a_bright_square_keeps_its_place(tmp_path, monkeypatch, make_plugin, inverted):
    make_plugin("probe", BRIGHTNESS)
    inbox, model = tmp_path / "inbox", tmp_path / "models" / "model.pt"
    inbox.mkdir()
    model.parent.mkdir()
    write_dicom(inbox / "square.dcm", inverted)

    network = medkit.network("brightness", in_channels=1, out_channels=2)
    head = {"head.weight": torch.tensor([[50.0], [-50.0]]), "head.bias": torch.tensor([-1.0, 1.0])}
    network.load_state_dict({"features.1.weight": torch.ones(1, 1, 1, 1), **head})
    torch.save(network.state_dict(), model)
    names = {"operating_points": "threshold_search", "boxes": "heatmap_boxes"}
    parts = {key: medkit.postprocessor(name, findings=FINDINGS).state_dict() for key, name in names.items()}
    write_json(
        model.with_name("operating_points.json"),
        {"format": 1, "checkpoint_sha256": sha256(model), "parts": parts},
    )
    command = ["medkit", "run", BUNDLE, "--quiet", "--stage", "inference", "--input", inbox, "--output_dir", tmp_path]
    changes = {
        "model_dir": tmp_path,
        "findings": FINDINGS,
        "network_def": {"_target_": "medkit.network", "component": "brightness", "in_channels": 1, "out_channels": 2},
        "device": "cpu",
    }
    words = [str(word) for pair in changes.items() for word in (f"--{pair[0]}", pair[1])]
    monkeypatch.setattr(sys, "argv", [*map(str, command), *words])
    cli.main()

    (box,) = read_csv(tmp_path / "boxes.csv")
    assert box["finding"] == "Mass"
    found = np.array([float(box[key]) for key in ("x_min", "y_min", "x_max", "y_max")])
    np.testing.assert_allclose(found, SQUARE, atol=12)  # a map cell is 13 × 9 pixels
    assert (float(box["frame_columns"]), float(box["frame_rows"])) == (COLUMNS, ROWS)
    assert float(box["width_mm"]) == pytest.approx((found[2] - found[0]) * 0.2, abs=0.06)
    assert box["spacing_tag"] == "ImagerPixelSpacing"
