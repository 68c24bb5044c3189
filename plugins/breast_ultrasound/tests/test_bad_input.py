"""Files as they come, from the folder through preprocessing and a loader into MONAI's engine."""

import json

import numpy as np
import pytest
import torch
from medkit_breast_ultrasound.dataset import breast_ultrasound
from medkit_breast_ultrasound.layout import CLASSES
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedEvaluator
from monai.transforms import Resized
from PIL import Image
from torch import nn

import medkit
from medkit.errors import DataError
from medkit.masks import decode
from medkit.tables import write_csv

SHAPE = (24, 32)


def pixels(kind, n):
    return np.random.default_rng([CLASSES.index(kind), n]).integers(0, 200 + 10 * n, SHAPE, np.uint8)


@pytest.fixture
def busi(tmp_path):
    """Four images a class, with a lesion of 6×10 pixels where there is one."""
    for kind in CLASSES:
        (tmp_path / "data" / kind).mkdir(parents=True)
        for n in range(1, 5):
            mask = np.zeros(SHAPE, np.uint8)
            mask[4:10, 5:15] = 255 * (kind != "normal")
            Image.fromarray(pixels(kind, n)).save(tmp_path / "data" / kind / f"{kind} ({n}).png")
            Image.fromarray(mask).save(tmp_path / "data" / kind / f"{kind} ({n})_mask.png")
    return tmp_path / "data"


def loader(samples, *first, size=SHAPE, **options):
    """Return all samples, preprocessed, as one batch of MONAI's loader."""
    steps = [*first, medkit.transform("load_image", keys="image"), medkit.transform("load_mask")]
    steps.append(Resized(["image", "mask"], size, mode=["area", "nearest"]))
    whole = medkit.SafeCompose(steps, size, classes=3, masks=True, **options)
    return DataLoader(Dataset(samples, whole), batch_size=len(samples), num_workers=0)


def test_masks_that_are_spoilt_after_listing_become_records_among_whole_samples(busi):
    samples = breast_ultrasound(str(busi), "all", folds=3)
    Image.fromarray(np.zeros((24, 33), np.uint8)).save(busi / "benign" / "benign (2)_mask.png")
    (busi / "benign" / "benign (3)_mask.png").unlink()
    (busi / "malignant" / "malignant (1)_mask.png").write_bytes(b"a mask")
    (batch,) = loader(samples, size=(16, 16))
    bad = [1, 2, 4]
    assert [n for n, status in enumerate(batch["status"]) if status != "ok"] == bad
    assert "the mask has 24 rows and 33 columns, the image 24 and 32" in batch["reason"][1]
    assert all("the mask cannot be read" in batch["reason"][n] for n in bad[1:])
    assert batch["mask"].shape == batch["image"].shape == (12, 1, 16, 16)
    assert batch["mask"].isnan().flatten(1).all(1).nonzero().flatten().tolist() == bad
    assert [n for n, text in enumerate(batch["frame_mask"]) if not text] == bad
    assert batch["label"].isnan().any(1).nonzero().flatten().tolist() == bad
    with pytest.raises(DataError, match=r"benign \(2\).png: .*the mask has 24 rows"):
        next(iter(loader(samples, strict=True)))


def test_an_image_that_nobody_drew_a_mask_for_stacks_and_its_mask_is_unknown(busi):
    (busi / "benign" / "benign (2)_mask.png").unlink()
    (busi / "normal" / "normal (1)_mask.png").unlink()
    samples = breast_ultrasound(str(busi), "all", folds=3, missing="keep")
    (batch,) = loader(samples)
    assert set(batch["status"]) == {"ok"}
    assert batch["mask"].isnan().flatten(1).all(1).nonzero().flatten().tolist() == [1]
    assert batch["frame_mask"][1] == ""
    lesions = [decode(text).sum() for text in batch["frame_mask"] if text]
    assert lesions == [60] * 7 + [0] * 4


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_an_image_with_alpha_is_the_image_without(busi, mode):
    (plain,) = loader(breast_ultrasound(str(busi), "all", folds=3))
    for path in busi.glob("*/*).png"):
        image = Image.open(path).convert(mode)
        image.putalpha(Image.fromarray(np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(np.uint8)))
        image.save(path)
    (batch,) = loader(breast_ultrasound(str(busi), "all", folds=3))
    assert set(batch["status"]) == {"ok"}
    assert torch.equal(batch["image"], plain["image"])
    assert torch.equal(batch["mask"], plain["mask"])


def test_a_class_without_images_keeps_its_place_in_the_label(busi):
    for path in (busi / "malignant").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"malignant: no image of this class.*missing=list"):
        breast_ultrasound(str(busi), "all", folds=3)
    (batch,) = loader(breast_ultrasound(str(busi), "all", folds=3, missing="list"))
    assert batch["label"].sum(0).tolist() == [4, 0, 4]


@pytest.mark.parametrize("mode", ["hard", "soft"])
def test_validation_without_lesions_is_measured_and_the_gate_says_what_it_lacks(busi, tmp_path, mode):
    fold = {"benign": (0, 0, 2, 2), "malignant": (0, 0, 2, 2), "normal": (0, 1, 1, 2)}
    names = [(kind, n, f"{kind}/{kind} ({n}).png") for kind in CLASSES for n in range(1, 5)]
    rows = [
        {"image": name, "group": name, "class": kind, "fold": fold[kind][n - 1], "split": "grouped"}
        for kind, n, name in names
    ]
    write_csv(tmp_path / "folds.csv", list(rows[0]), rows)
    options = {"folds": 3, "folds_csv": str(tmp_path / "folds.csv"), "task": "segmentation"}
    samples = breast_ultrasound(str(busi), "validation", **options)
    assert medkit.labels(samples).tolist() == [[0, 0, 1]] * 2

    table, weights = tmp_path / "predictions.csv", tmp_path / "model.pt"
    said = [{"file": sample["image"], "probability_normal": 0.9} for sample in samples]
    write_csv(table, list(said[0]), said)
    weights.write_bytes(b"weights")
    brightest = [pixels("normal", n).max() / 255 for n in (2, 3)]
    network = nn.Conv2d(1, 1, 1)  # its mask of the second image alone is not empty
    nn.init.ones_(network.weight)
    nn.init.constant_(network.bias, -np.mean(brightest))

    def run(**others):
        batches = loader(samples, medkit.transform("gate_values", predictions=str(table)))
        evaluator = SupervisedEvaluator(device="cpu", val_data_loader=batches, network=network, **others)
        evaluator.run()
        return evaluator.state.metrics

    assert run(key_val_metric={"mean_iou": medkit.MeanIoU()})["mean_iou"] == 0.5
    gate = medkit.postprocessor("classifier_gate", mode=mode)
    measure = medkit.handler("segmentation_metrics", path=str(tmp_path / "metrics.json"), resamples=20)
    fit = medkit.Fit({"gate": gate}, str(tmp_path / "gate.json"), str(weights))
    run(postprocessing=gate, val_handlers=[fit, measure])
    fitted = json.loads((tmp_path / "gate.json").read_text())["parts"]["gate"]
    assert fitted["threshold"] == 0.5
    assert fitted["warnings"] == ["validation has no image with a lesion: the gate's threshold stays at 0.5"]
    assert [fitted["validation"][name] for name in ("mean_iou_open", "mean_iou_gated")] == [0.5, 1]
    scores = json.loads((tmp_path / "metrics.json").read_text())
    assert scores["plain"]["iou"]["normal"]["value"] == 0.5
    assert scores["gated"]["iou"]["lesion"]["value"] is None
    assert scores["gated"]["iou"]["lesion"]["reason"] == "no image has a lesion"
