"""A tiny run: grey PNG files, a network whose logits are known, MONAI's evaluator around it."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedEvaluator
from monai.transforms import Compose, LoadImaged, Resized
from PIL import Image

import medkit
from medkit import contracts as c

FINDINGS = ["Effusion", "Mass", "Nodule"]


class GreyReader:
    """The least image reader there is: (1,H,W) in 0…1, with facts about the file."""

    def verify_suffix(self, filename):
        return True

    def read(self, data, **kwargs):
        paths = [data] if isinstance(data, str | Path) else data
        return [Image.open(path) for path in paths]

    def get_data(self, img):
        image = img[0] if isinstance(img, list) else img
        pixels = np.asarray(image.convert("L"), np.float32)[None] / 255
        source = {"modality": "DX", "rows": image.height, "columns": image.width}
        source |= {"spacing_mm": [0.5, 0.25], "spacing_tag": "ImagerPixelSpacing"}
        meta = {"source": source, "affine": np.eye(4), "spatial_shape": np.array(pixels.shape[1:])}
        return pixels, meta | {"original_channel_dim": 0}


class Brightness(torch.nn.Module):
    """Logits grow with the image's mean; maps are the image itself, so both are known."""

    def forward(self, images):
        offsets = torch.tensor([-0.9, 0.0, 1.0])
        return images.mean(dim=(1, 2, 3))[:, None] * 4 - 2 + offsets


class WithMaps:
    def __call__(self, images, network):
        coarse = torch.nn.functional.avg_pool2d(images, 4)
        return network(images), coarse.repeat(1, len(FINDINGS), 1, 1) * torch.tensor([1.0, 2, 3]).view(1, 3, 1, 1)


class Decide:
    """Probabilities, operating points of 0.5, and one box a present finding."""

    def __call__(self, sample):
        probabilities = sample[c.LOGITS].sigmoid()
        present = probabilities >= 0.5
        boxes = [[k, 2.0, 4.0, 10.0, 12.0, 0.9] for k in torch.nonzero(present).flatten().tolist()]
        boxes = torch.tensor(boxes).reshape(-1, 6)
        found = {c.PROBABILITIES: probabilities, c.PRESENT: present}
        return {**sample, **found, c.PREDICTED_BOXES: boxes, c.PREDICTED_BOXES_BY_RULE: boxes}


def make_evaluator(samples, handlers=(), post=(), max_boxes=4):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MONAI tries every reader that it knows and warns of those that it lacks
        load = LoadImaged(keys="image", reader=GreyReader(), ensure_channel_first=True)
    transforms = [load, Resized(keys="image", spatial_size=(16, 24))]
    preprocessing = medkit.SafeCompose(transforms, spatial_size=(16, 24), classes=len(FINDINGS), max_boxes=max_boxes)
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(Dataset(samples, preprocessing), batch_size=2, num_workers=0),
        network=Brightness(),
        inferer=WithMaps(),
        postprocessing=Compose([medkit.SplitPredictiond(), Decide(), *post]),
    )
    for handler in handlers:
        handler.attach(evaluator)
    return evaluator


@pytest.fixture
def samples(tmp_path):
    """Five non-square images in an order that is not alphabetical, the third unreadable, one name hostile."""
    folder = tmp_path / "images"
    folder.mkdir()
    names = ["e.png", "=1+cmd.png", "broken.png", "<script>alert(1)<|script>.png", "a.png"]
    made = []
    for index, name in enumerate(names):
        path = folder / name
        if name == "broken.png":
            path.write_bytes(b"not an image")
        else:
            Image.fromarray(np.full((32, 64), 40 * index + 30, np.uint8)).save(path)
        label = np.array([index > 2, index < 2, 0], np.float32)
        boxes = np.array([[0, 2, 4, 10, 12]] if index > 2 else np.empty((0, 5)), np.float32)
        made.append({"image": str(path), "label": label, "boxes": boxes, "patient_id": f"p{index}", "synthetic": True})
    return made


@pytest.fixture
def evaluator():
    return make_evaluator


def make_run(folder, files, synthetic=False, status=None, findings=FINDINGS, evaluation=0):
    """Write a run folder by hand: random probabilities, a box and a heat map a present finding, metrics, history."""
    from medkit_report.rows import BOX_COLUMNS, prediction_columns

    from medkit.files import write_json
    from medkit.metrics import classification_scores, localization_scores
    from medkit.tables import write_csv

    random = np.random.default_rng(0)
    status = status or {}
    predictions, boxes, maps = [], [], []
    (folder / "heatmaps").mkdir(parents=True)
    for index, file in enumerate(files):
        state, reason = status.get(index, ("ok", ""))
        row = {"file": str(file), "status": state, "reason": reason, "synthetic": int(synthetic)}
        predictions.append(row)
        if state != "ok":
            continue
        probabilities = random.beta(0.6, 2, len(findings))
        row |= {f"probability_{n}": f"{p:.6g}" for n, p in zip(findings, probabilities)}
        row |= {f"present_{n}": int(p >= 0.4) for n, p in zip(findings, probabilities)}
        size = (
            np.array(GreyReader().get_data(GreyReader().read(file))[0].shape[1:]) if Path(file).exists() else (32, 64)
        )
        rows, columns = (int(n) for n in size)
        shown = [k for k in np.argsort(-probabilities) if probabilities[k] >= 0.4] or [int(probabilities.argmax())]
        for rank, k in enumerate(shown):
            y, x = np.mgrid[0:16, 0:16] / 15
            cy, cx = random.uniform(0.25, 0.75, 2)
            heat = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 0.02) + 0.1 * random.random((16, 16))
            png = f"heatmaps/{index:06d}_{rank:02d}.png"
            Image.fromarray((255 * heat / heat.max()).astype(np.uint8)).save(folder / png)
            maps.append(
                {"row": index, "png": png, "file": str(file), "finding": findings[k], "rows": 16, "columns": 16}
            )
            maps[-1] |= {"maximum": 1.0, "frame_size": [rows, columns]}
            maps[-1] |= {"unit_square_to_frame": [columns, 0, 0, rows, 0, 0]}
            if probabilities[k] >= 0.4:
                corner = [(cx - 0.12) * columns, (cy - 0.1) * rows, (cx + 0.12) * columns, (cy + 0.1) * rows]
                box = dict(zip(("x_min", "y_min", "x_max", "y_max"), (f"{v:.2f}" for v in corner)))
                box |= {"file": str(file), "finding": findings[k], "score": "0.8", "frame_rows": rows}
                box |= {"probability": f"{probabilities[k]:.6g}", "frame_columns": columns}
                boxes.append(box | {"width_mm": "31.2", "height_mm": "25.0", "spacing_tag": "ImagerPixelSpacing"})
    write_csv(folder / "predictions.csv", prediction_columns(findings, False), predictions)
    write_csv(folder / "boxes.csv", BOX_COLUMNS, boxes)
    write_json(folder / "heatmaps.json", maps)
    if evaluation:
        labels = (random.random((evaluation, len(findings))) < np.linspace(0.3, 0.05, len(findings))).astype(np.float64)
        labels[:, -1] = 0
        scores = np.clip(random.normal(0.3 + 0.25 * labels, 0.15), 0, 1)
        known = []
        for truth, score in zip(labels, scores):
            row = {"file": "x.png", "status": "ok", "reason": "", "synthetic": int(synthetic)}
            row |= {f"probability_{n}": v for n, v in zip(findings, score)}
            row |= {f"present_{n}": int(v >= 0.4) for n, v in zip(findings, score)}
            known.append(row | {f"label_{n}": int(v) for n, v in zip(findings, truth)})
        write_csv(folder / "evaluation" / "predictions.csv", prediction_columns(findings, True), known)
        patients = [f"p{index // 2}" for index in range(evaluation)]
        metrics = classification_scores(labels, scores, scores >= 0.4, findings, patients, resamples=50)
        drawn = np.column_stack([random.integers(0, len(findings) - 1, 40), random.uniform(0, 100, (40, 2))])
        drawn = np.column_stack([drawn, drawn[:, 1:] + 60])
        guessed = np.column_stack([drawn + np.array([0, 15, 15, 15, 15]), np.ones(40)])
        records = [
            {"boxes": b[None], "predicted_boxes": g[None], "frame_size": (160, 200)} for b, g in zip(drawn, guessed)
        ]
        metrics["localization"] = localization_scores(records, findings, resamples=50)
        metrics |= {"images": evaluation, "patients": len(set(patients)), "synthetic": synthetic, "not_read": []}
        write_json(folder / "metrics.json", metrics)
        write_csv(
            folder / "history.csv",
            ["epoch", "train_loss", "validation_auroc", "learning_rate", "seconds"],
            [
                {"epoch": e, "train_loss": 1 / e, "validation_auroc": 1 - 0.4 / e, "learning_rate": 0.001, "seconds": 9}
                for e in range(1, 13)
            ],
        )
    write_json(folder / "models" / "model.json", {"labels": list(findings), "synthetic": synthetic, "epoch": 9})
    (folder / "models" / "model.pt").write_bytes(b"weights")
    points = {name: {"threshold": 0.4} for name in findings}
    fitted = {"format": 1, "checkpoint_sha256": "", "parts": {"operating_points": {"per_finding": points}}}
    write_json(folder / "models" / "operating_points.json", fitted)
    run = {
        "bundle": "chest_gradcam",
        "created": "2026-01-02T03:04:05+00:00",
        "seed": 0,
        "versions": {"medkit": "0.1.0"},
    }
    write_json(folder / "run.json", run)
    return folder


@pytest.fixture
def fake_run():
    return make_run


@pytest.fixture
def reader():
    return GreyReader()
