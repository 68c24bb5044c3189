"""Images a second of the bundle breast_ultrasound's segmentation, beside those of a loop written by hand.

Both train, and both predict, with the same network, loss, optimizer, schedule, moving average, cached inputs,
augmentation and batches, in turns within one process: an epoch of one, an epoch of the other. The bundle's side is its
own configuration in MONAI's engines. The loop has the arithmetic alone: it writes nothing, keeps no record of a file,
and its transforms keep no metadata.

- `training`: epochs with validation; of medkit with every handler, such as history and checkpoints.
- `inference`: mirror images, masks on the original pixels, the gate; of medkit with the table of problems. Time counts
  once the weights are loaded.
- `evaluation`: the same, and each mask's scores before and after the gate; of medkit with all that the stage writes:
  masks as PNG, segmentation.csv, and metrics.json with 1000 resamples.

Prints JSON: for each the median images a second, and `ratio`, the median over rounds of the loop's time divided by
medkit's, where the goal is 0.95; in CPU time of one thread, to which other programs on the machine do not add, and on
the wall. `same_weights`: both trained to equal weights, to the bit. `other_pixels`: the share by which masks differ.

Usage: python benchmarks/segmentation_throughput.py [--rounds 7] [--images 160] [--epoch-images 256]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.bundle import ConfigParser
from monai.data import CacheDataset, DataLoader, set_track_meta
from monai.transforms import Compose, RandomizableTrait
from monai.utils import set_determinism
from PIL import Image
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import Dataset, RandomSampler

import medkit
from medkit.configuration import load_config
from medkit.masks import decode, to_frame
from medkit.segmentation import image_scores
from medkit.tables import write_csv

CONFIGS = Path(__file__).parents[1] / "bundles" / "breast_ultrasound" / "configs"
SIZE = 128
SEED = 0
Time = tuple[float, float]
"""CPU seconds and seconds."""


def now() -> Time:
    return time.process_time(), time.perf_counter()


def since(began: Time) -> Time:
    cpu, wall = now()
    return cpu - began[0], wall - began[1]


def timed(run: Callable[[], object]) -> Time:
    began = now()
    run()
    return since(began)


def compared(images: int, medkits: Sequence[Time], loops: Sequence[Time]) -> dict[str, Any]:
    """Return the figures of rounds that stand beside each other; the first is for warming up."""
    out: dict[str, Any] = {}
    for k, clock in enumerate(("cpu", "wall")):
        pairs = [(one[k], other[k]) for one, other in zip(medkits[1:], loops[1:], strict=True)]
        out[clock] = {
            "ratio": round(statistics.median(loop / ours for ours, loop in pairs), 3),
            "medkit_images_per_second": round(images / statistics.median(ours for ours, _ in pairs), 1),
            "loop_images_per_second": round(images / statistics.median(loop for _, loop in pairs), 1),
        }
    return out


def phantoms(folder: Path, images: int) -> None:
    """Make phantoms, and the word of a classifier that is wrong about every tenth."""
    (folder / "data").mkdir()
    samples = medkit.dataset("phantom_ultrasound", "all", str(folder / "data"), images=images, size=SIZE, quiet=True)
    normal = [bool(sample["label"][2]) != (n % 10 == 0) for n, sample in enumerate(samples)]
    rows = [{"file": s["image"], "probability_normal": 0.9 if yes else 0.1} for s, yes in zip(samples, normal)]
    write_csv(folder / "predictions.csv", ["file", "probability_normal"], rows)
    (folder / "out" / "models").mkdir(parents=True)
    for file in ("model.pt", "operating_points.json"):  # of the classifier: the gate is fitted for it, and checks that
        (folder / "out" / "models" / file).write_text("its word is made up", encoding="utf-8")


def configured(folder: Path, *files: str, **overrides: Any) -> ConfigParser:
    """Return the bundle's configuration, on the phantoms, which have one size and so fit in batches."""
    gates = str(folder / "predictions.csv")
    settled = {
        "dataset_dir": str(folder / "data"),
        "output_dir": str(folder / "out"),
        "gate_files": [gates],
        "validation_gate_file": gates,
        "image_size": [SIZE, SIZE],
        "device": "cpu",
        "quiet": True,
        "seed": SEED,
    }
    set_determinism(SEED)
    return ConfigParser(load_config([CONFIGS / file for file in files], settled | overrides))


class Inputs(Dataset):
    """The tensors that medkit's data set has cached, and its random transforms, without records and statuses."""

    def __init__(self, cached: CacheDataset, keys: Sequence[str]) -> None:
        transforms = cached.transform.transforms
        first = next((n for n, t in enumerate(transforms) if isinstance(t, RandomizableTrait)), len(transforms))
        self.augment = Compose(transforms[first:])
        self.samples = [{key: sample[key] for key in keys} for sample in cached._cache]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, n: int) -> dict[str, Any]:
        return self.augment(dict(self.samples[n]))


class Training:
    """The loop written by hand: epochs of training, each with validation."""

    def __init__(self, config: ConfigParser) -> None:
        get = config.get_parsed_content
        self.network, self.loss, self.optimizer = get("network"), get("loss"), get("optimizer")
        self.schedule = get("lr_scheduler")
        self.decay = next(h["decay"] for h in config["train#handlers"] if h.get("component") == "ema")
        self.average = AveragedModel(self.network, multi_avg_fn=self._average, use_buffers=True)
        self.inputs = Inputs(get("train#dataset"), ("image", "mask", "gate"))
        sampler = RandomSampler(self.inputs, num_samples=get("epoch_images"))
        self.batches = DataLoader(self.inputs, batch_size=get("batch_size"), sampler=sampler)
        validation = Inputs(get("validate#dataset"), ("image", "mask"))
        self.validation = DataLoader(validation, batch_size=get("eval_batch_size"))
        self.threshold = get("gate_threshold")

    def _average(self, averages: Any, weights: Any, updates: Any) -> None:
        decay = min(self.decay, (1 + int(updates)) / (10 + int(updates)))
        get_ema_multi_avg_fn(decay)(averages, weights, updates)

    def epoch(self, number: int) -> float:
        """Train, and return the mean IoU in validation."""
        set_track_meta(False)
        set_determinism(SEED + number)
        self.inputs.augment.set_random_state(seed=SEED + number)
        self.network.train()
        for batch in self.batches:
            self.optimizer.zero_grad()
            is_open = batch["gate"] >= self.threshold
            logits = torch.where(is_open[:, None, None, None], self.network(batch["image"]), -100.0)
            self.loss(logits, batch["mask"]).backward()
            self.optimizer.step()
            self.average.update_parameters(self.network)
            self.schedule.step()
        self.average.eval()
        ious = []
        with torch.no_grad():
            for batch in self.validation:
                predicted, truth = self.average(batch["image"]) > 0, batch["mask"] > 0
                shared, union = (m.flatten(1).sum(1) for m in (predicted & truth, predicted | truth))
                ious += torch.where(union > 0, shared / union, 1.0).tolist()
        set_track_meta(True)
        return statistics.mean(ious)


def train(folder: Path, rounds: int, epoch_images: int) -> dict[str, Any]:
    """Train with both, in turns, and return the figures."""
    options = {"max_epochs": rounds + 1, "epoch_images": epoch_images}
    loop = Training(configured(folder, "segment.yaml", **options))
    config = configured(folder, "segment.yaml", **options)
    trainer = config.get_parsed_content("train#trainer")
    medkits: list[Time] = []
    loops: list[Time] = []
    began = now()

    def turn(engine: Engine) -> None:  # behind every other handler of the epoch
        nonlocal began
        medkits.append(since(began))
        loops.append(timed(lambda: loop.epoch(engine.state.epoch)))
        began = now()

    trainer.add_event_handler(Events.EPOCH_COMPLETED, turn)
    trainer.run()
    states = [network.state_dict() for network in (config.get_parsed_content("network"), loop.average.module)]
    same = all(torch.equal(one, states[1][key]) for key, one in states[0].items() if one.is_floating_point())
    return {"epoch_images": epoch_images, **compared(epoch_images, medkits, loops), "same_weights": same}


class Prediction:
    """The loop written by hand, with the network that medkit loads: masks, and with ``scored`` what they are worth."""

    def __init__(self, config: ConfigParser, folder: Path, scored: bool) -> None:
        get = config.get_parsed_content
        self.network, self.scored = get("network"), scored
        fitted = json.loads((folder / "out" / "segmentation" / "models" / "gate.json").read_text(encoding="utf-8"))
        self.threshold = fitted["parts"]["gate"]["threshold"]
        keys = ("image", "gate", "frame_affine", "frame_size", "frame_mask")
        inputs = Inputs(get("validate#dataset"), keys)
        for sample in inputs.samples:
            sample["frame_mask"] = decode(sample["frame_mask"])
        self.batches = DataLoader(inputs, batch_size=get("eval_batch_size"))
        self.masks: list[np.ndarray] = []

    @torch.no_grad()
    def run(self) -> np.ndarray:
        """Return the mean scores."""
        self.network.eval()
        self.masks, scores = [], []
        for batch in self.batches:
            images = batch["image"]
            logits = self.network(images), self.network(images.flip(3)).flip(3)
            probabilities = torch.stack(logits).sigmoid().mean(dim=0)[:, 0]
            places = (batch[key] for key in ("frame_affine", "frame_size", "frame_mask", "gate"))
            for probability, affine, size, truth, gate in zip(probabilities, *places, strict=True):
                predicted = to_frame(probability, affine, size) >= 0.5
                gated = predicted & (float(gate) >= self.threshold)
                self.masks.append(gated)
                if self.scored:
                    scores.append([list(image_scores(truth.numpy(), mask).values()) for mask in (predicted, gated)])
        return np.nanmean(scores, axis=0) if scores else np.empty(0)


def predict(folder: Path, rounds: int, scored: bool) -> dict[str, Any]:
    """Predict with both, in turns, and return the figures."""
    files = ("segment.yaml", "fit_gate.yaml", "evaluate_segmentation.yaml")
    config = configured(folder, *files, **{"validate#dataset#data#section": "all"})
    if not scored:
        writers = ("segmentation_files", "segmentation_metrics")
        config["validate#handlers"] = [h for h in config["validate#handlers"] if h.get("component") not in writers]
    evaluator = config.get_parsed_content("validate#evaluator")
    loop = Prediction(config, folder, scored)
    began = now()

    def start() -> None:  # behind every other handler, which load what was trained
        nonlocal began
        began = now()

    def run() -> Time:
        loop.network.train()  # as a new network comes
        evaluator.run()
        return since(began)

    evaluator.add_event_handler(Events.STARTED, start)
    turns = [(run(), timed(loop.run)) for _ in range(rounds + 1)]
    images = len(loop.masks)
    out = {"images": images, **compared(images, *zip(*turns))}
    if scored:
        written = sorted((folder / "out" / "segmentation" / "evaluation" / "masks").iterdir())
        pngs = (np.asarray(Image.open(path)) > 0 for path in written)
        out["other_pixels"] = float(np.mean([one != other for one, other in zip(pngs, loop.masks, strict=True)]))
    return out


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="turns that count, behind one to warm up")
    parser.add_argument("--images", type=int, default=160, help="phantoms of 128×128")
    parser.add_argument("--epoch-images", type=int, default=256)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made).resolve()
        phantoms(folder, options.images)
        figures = {
            "size": SIZE,
            "threads": 1,
            "training": train(folder, options.rounds, options.epoch_images),
        }
        configured(folder, "segment.yaml", "fit_gate.yaml").get_parsed_content("validate#evaluator").run()
        figures |= {name: predict(folder, options.rounds, name == "evaluation") for name in ("inference", "evaluation")}
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
