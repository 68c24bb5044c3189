"""Class balance of samplers on the label table of NIH ChestX-ray14, as JSON.

`python benchmarks/sampler_balance.py [TABLE]`; the table defaults to
``$MEDKIT_DATA/nih_chestxray14/Data_Entry_2017_v2020.csv.gz``. "No finding" is a class. `expected_deviation` is the
largest relative distance of an expected class count from their mean (goal: 1e-6); `drawn_max_over_min` is of the counts
in one epoch.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

import medkit

FINDINGS = [
    *("Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax"),
    *("Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia"),
]


def read_labels(path: Path) -> np.ndarray:
    """Return the label matrix (N,14) float32 of NIH's table."""
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    texts = [row[1] for row in csv.reader(text.splitlines())][1:]
    rows = {text: np.isin(FINDINGS, text.split("|")) for text in set(texts)}
    return np.array([rows[text] for text in texts], np.float32)


def measured(probabilities: np.ndarray, drawn: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Return how equal the class counts are, expected and drawn, and how often images repeat."""
    expected, counts = probabilities @ truth, truth[drawn].sum(axis=0)
    return {
        "expected_deviation": float(np.abs(expected / expected.mean() - 1).max()),
        "expected_max_over_min": float(expected.max() / expected.min()),
        "drawn_max_over_min": float(counts.max() / counts.min()),
        "most_draws_of_an_image": float(probabilities.max() * len(truth)),
        "images_never_drawn": int((probabilities == 0).sum()),
    }


def main() -> None:
    """Print one JSON object."""
    data = Path(os.environ.get("MEDKIT_DATA", Path(__file__).parents[1].parent / "shared" / "data"))
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else data / "nih_chestxray14" / "Data_Entry_2017_v2020.csv.gz"
    if not path.is_file():
        print(json.dumps({"skipped": f"no label table at {path}: set MEDKIT_DATA or give its path"}))
        return
    labels = read_labels(path)
    random = np.random.default_rng(0)
    result: dict[str, object] = {"images": len(labels)}
    for classes in (8, 14):
        known = labels[:, :classes]
        truth = np.column_stack([known, known.sum(axis=1) == 0])
        rarest = truth / truth.sum(axis=0)
        weights = {
            "uniform": np.ones(len(truth)),
            "inverse_frequency_of_the_rarest_class": rarest.max(axis=1),
            "inverse_frequency_mean": rarest.sum(axis=1) / truth.sum(axis=1),
        }
        rows: dict[str, dict[str, float]] = {}
        options = {
            "balanced": {},
            "balanced, entropy": {"spread": "entropy"},
            "balanced, least_share 0": {"least_share": 0.0},
        }
        for name, chosen in options.items():
            times = []
            for _ in range(5):
                begin = time.perf_counter()
                sampler = medkit.sampler("balanced", labels=known, **chosen)
                times.append(time.perf_counter() - begin)
            begin = time.perf_counter()
            drawn = np.fromiter(sampler, int)
            epoch_seconds = time.perf_counter() - begin
            rows[name] = measured(sampler.probabilities, drawn, truth)
            rows[name] |= {"build_seconds": min(times), "epoch_seconds": epoch_seconds}
        for name, weight in weights.items():
            probabilities = weight / weight.sum()
            rows[name] = measured(probabilities, random.choice(len(truth), len(truth), p=probabilities), truth)
        result[f"{classes} findings"] = {"label_sets": len(np.unique(truth, axis=0)), **rows}
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
