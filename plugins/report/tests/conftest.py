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


CLASSES = ["benign", "malignant", "normal"]


def blob(shape, centre, radius):
    """Return an ellipse (H,W) bool; all lengths are shares of the shape."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return ((y / shape[0] - centre[0]) / radius) ** 2 + ((x / shape[1] - centre[1]) / radius) ** 2 < 1


def make_segmentation_run(folder, files, threshold=0.4, look_alikes=None):
    """Write the folder of a run that classifies, segments and gates: file k is of class k mod 3.

    The classifier misses the lesion of file 3 and sees one in file 5, where there is none; file 6 could not be
    segmented.
    """
    from medkit_report.rows import prediction_columns
    from medkit_report.segmentation_rows import SEGMENTATION_COLUMNS, segmentation_row

    from medkit.files import write_json
    from medkit.masks import encode
    from medkit.metrics import classification_scores
    from medkit.segmentation import segmentation_scores
    from medkit.tables import write_csv

    random = np.random.default_rng(0)
    (folder / "masks").mkdir(parents=True)
    predictions, rows = [], []
    for index, file in enumerate(files):
        with Image.open(file) as image:
            shape = image.size[::-1]
        label = np.eye(3, dtype=np.float32)[index % 3]
        gate = {3: 0.12, 5: 0.7}.get(
            index, float(random.uniform(0.5, 0.99) if label[2] == 0 else random.uniform(0, 0.35))
        )
        probabilities = (
            np.array([gate * 0.7, gate * 0.3, 1 - gate])
            if index % 3 == 0
            else np.array([gate * 0.2, gate * 0.8, 1 - gate])
        )
        row = {"file": str(file), "status": "ok", "reason": "", "synthetic": 0}
        row |= {f"probability_{n}": f"{p:.6g}" for n, p in zip(CLASSES, probabilities)}
        row |= {f"label_{n}": int(v) for n, v in zip(CLASSES, label)}
        predictions.append(row | {f"present_{n}": int(p >= 0.4) for n, p in zip(CLASSES, probabilities)})
        centre = random.uniform(0.35, 0.65, 2)
        truth = blob(shape, centre, 0.2) & (label[2] == 0)
        predicted = blob(shape, centre + 0.03, 0.18) & ~blob(shape, centre, 0.04)
        gated = predicted & (gate >= threshold)
        sample = {"file": str(file), "patient_id": f"p{index // 2}", "label": label, "source": "{}", "synthetic": 0}
        sample |= {"gate": gate, "status": "error" if index == 6 else "ok", "reason": "no frame" if index == 6 else ""}
        sample |= {"frame_mask": encode(truth), "predicted_mask": encode(predicted), "gated_mask": encode(gated)}
        rows.append(segmentation_row(sample | {"gate_open": gate >= threshold}, CLASSES))
        if index != 6:
            rows[-1]["mask"] = f"masks/{index:06d}.png"
            Image.fromarray(255 * gated.astype(np.uint8)).save(folder / rows[-1]["mask"])
    write_csv(folder / "predictions.csv", prediction_columns(CLASSES, True), predictions)
    write_csv(folder / "evaluation" / "predictions.csv", prediction_columns(CLASSES, True), predictions)
    write_csv(folder / "segmentation.csv", SEGMENTATION_COLUMNS, rows)
    labels, scores, present = (
        np.array([[float(row[f"{kind}_{name}"]) for name in CLASSES] for row in predictions])
        for kind in ("label", "probability", "present")
    )
    patients = [f"p{index // 2}" for index in range(len(files))]
    options = {"multiclass": True, "negative": "normal", "resamples": 50}
    metrics = classification_scores(labels, scores, present > 0, CLASSES, patients, **options)
    counts = {"images": len(files), "patients": len(set(patients)), "synthetic": False, "not_read": []}
    write_json(folder / "metrics.json", counts | metrics)
    read = [row for row in rows if row["status"] == "ok"]
    write_json(folder / "segmentation" / "metrics.json", counts | segmentation_scores(read, resamples=50))
    points = {name: {"threshold": 0.4} for name in CLASSES}
    write_json(folder / "models" / "operating_points.json", {"parts": {"operating_points": {"per_finding": points}}})
    write_json(folder / "models" / "gate.json", {"parts": {"gate": {"mode": "hard", "threshold": threshold}}})
    write_json(folder / "run.json", {"bundle": "breast", "created": "2026-01-02T03:04:05+00:00", "seed": 0})
    if look_alikes is not None:
        look_alikes.write(folder / "look_alikes", Path(files[0]).parent.parent)
    return folder


@pytest.fixture
def segmentation_run():
    return make_segmentation_run


@pytest.fixture
def reader():
    return GreyReader()
