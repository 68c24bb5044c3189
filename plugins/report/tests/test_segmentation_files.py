import csv
import json

import numpy as np
import pytest
from medkit_report.new_folder import NewFolder
from monai.metrics import compute_hausdorff_distance, compute_iou
from PIL import Image
from torch import as_tensor

import medkit
from medkit.errors import DataError
from medkit.masks import encode
from medkit.segmentation import segmentation_scores
from medkit.tables import read_csv

FINDINGS = ["Effusion", "Mass", "Nodule"]


def square(top, left, side):
    mask = np.zeros((32, 64), bool)
    mask[top : top + side, left : left + side] = True
    return mask


NOTHING, TRUTH, PREDICTED = square(0, 0, 0), square(4, 8, 10), square(6, 9, 12)


KNOWN = {"e": (TRUTH, 0.9), "=1+cmd": (TRUTH, 0.25), "<script>alert(1)<|script>": (NOTHING, 0.125)}


class Segment:
    """By file: a lesion found, one gated away, (unreadable), a false outline gated away, and no truth."""

    def __call__(self, sample):
        truth, gate = KNOWN.get(sample["file"].rsplit("/", 1)[-1][:-4], (None, np.nan))
        gated = NOTHING if gate < 0.5 else PREDICTED
        masks = {"predicted_mask": encode(PREDICTED), "gated_mask": encode(gated), "gate_open": not gate < 0.5}
        return {**sample, "frame_mask": "" if truth is None else encode(truth), "gate": gate, **masks}


@pytest.fixture
def write(samples, evaluator, tmp_path):
    def run(post=None, **options):
        handler = medkit.handler("segmentation_files", output_dir=str(tmp_path), findings=FINDINGS, **options)
        evaluator(samples, [handler], post=[post or Segment()]).run()
        return read_csv(tmp_path / "segmentation.csv")

    return run


def test_every_file_has_its_row_in_input_order(write, samples):
    rows = write()
    assert [row["file"] for row in rows] == [sample["image"] for sample in samples]
    assert [row["status"] for row in rows] == ["ok", "ok", "error", "ok", "ok"]
    assert [row["patient_id"] for row in rows] == ["p0", "p1", "p2", "p3", "p4"]
    assert [row["label"] for row in rows] == ["Mass", "Mass", "", "Effusion", "Effusion"]
    assert [row["gate"] for row in rows] == ["0.9", "0.25", "", "0.125", ""]
    assert [row["open"] for row in rows] == ["1", "0", "", "0", "1"]
    assert rows[2]["reason"]
    assert set(rows[2].values()) == {rows[2]["file"], "p2", "error", rows[2]["reason"], "1", "0", ""}


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy")
def test_numbers_are_those_of_the_masks(write):
    rows = write()
    assert [row["truth_pixels"] for row in rows] == ["100", "100", "", "0", ""]
    assert [row["predicted_pixels"] for row in rows] == ["144", "144", "", "144", "144"]
    assert [row["gated_pixels"] for row in rows] == ["144", "0", "", "0", "144"]
    one = [as_tensor(mask[None, None]) for mask in (PREDICTED, TRUTH)]
    assert float(rows[0]["iou"]) == pytest.approx(float(compute_iou(*one)), abs=1e-6)
    distance = compute_hausdorff_distance(*one, include_background=True, percentile=95)
    assert float(rows[0]["hd95_gated"]) == pytest.approx(float(distance), abs=1e-6)
    assert [row["iou_gated"] for row in rows][1:] == ["0.0", "", "1.0", ""]
    assert [row["hd95_gated"] for row in rows][1:] == ["", "", "0.0", ""]  # no distance where one of two is empty
    assert (rows[0]["frame_rows"], rows[0]["frame_columns"]) == ("32", "64")


def test_a_mask_is_a_picture_of_the_frame_that_never_carries_the_files_name(write, tmp_path):
    rows = write()
    assert [row["mask"] for row in rows] == [f"masks/00000{n}.png" if n != 2 else "" for n in range(5)]
    with Image.open(tmp_path / rows[0]["mask"]) as image:
        assert image.mode == "L"
        assert (np.asarray(image) == 255 * PREDICTED.astype(np.uint8)).all()
    with Image.open(tmp_path / rows[1]["mask"]) as image:
        assert not np.asarray(image).any()


def test_without_masks_those_of_an_earlier_run_go(write, tmp_path):
    write()
    assert {row["mask"] for row in write(masks=False)} == {""}
    assert not [path for path in tmp_path.iterdir() if "masks" in path.name]


def test_a_run_that_fails_leaves_the_earlier_files_alone(write, tmp_path):
    write()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(DataError, match="add classifier_gate"):
        write(post=lambda sample: sample)
    assert {path: path.read_bytes() for path in before} == before


def test_an_assessed_file_without_a_mask_is_an_error_of_its_own(write):
    rows = write(post=lambda sample: {**Segment()(sample), "predicted_mask": "", "gated_mask": ""})
    assert [row["status"] for row in rows] == ["error"] * 5
    assert rows[0]["reason"] == "the network gave no mask"


def test_metrics_are_those_of_the_rows(write, samples, evaluator, tmp_path):
    rows = write()
    path = tmp_path / "segmentation" / "metrics.json"
    handler = medkit.handler("segmentation_metrics", path=str(path), resamples=20, seed=3)
    evaluator(samples, [handler], post=[Segment()]).run()
    metrics = json.loads(path.read_text(encoding="utf-8"))
    again = segmentation_scores([row for row in rows if row["status"] == "ok"], resamples=20, seed=3)
    assert {key: metrics[key] for key in again} == again
    assert metrics["counts"] == {
        **{"images": 3, "patients": 3, "lesion": 2, "normal": 1, "gated": 2, "lesions_gated_away": 1}
    }
    assert (metrics["images"], metrics["synthetic"]) == (4, True)
    assert [missed["file"] for missed in metrics["not_read"]] == [samples[2]["image"]]


def test_padding_of_a_distributed_sampler_is_left_out(tmp_path):
    folder = NewFolder(tmp_path / "masks")
    folder.start()
    for name in ("000000.png", "000001.png"):
        (folder.beside / name).touch()
    folder.finish({"000000.png"})
    assert [path.name for path in (tmp_path / "masks").iterdir()] == ["000000.png"]


def test_formulas_stay_text(write, tmp_path, monkeypatch, samples):
    monkeypatch.chdir(tmp_path / "images")
    for sample in samples:
        sample["image"] = sample["image"].rsplit("/", 1)[1]
    write()
    with (tmp_path / "segmentation.csv").open(newline="", encoding="utf-8") as stream:
        assert list(csv.DictReader(stream))[1]["file"] == "'=1+cmd.png"
