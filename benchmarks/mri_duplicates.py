"""Duplicates among brain MRI: which planted copies are found, which strangers are joined, what leaks into a score.

`planted_copies`: found by `brain_mri`, of those that `phantom_mri` planted, by kind. `patients_joined_wrongly`: of all.
`thumbnail`: a logistic regression on 16×16 grey thumbnails of originals, new patients, by its regularisation C; "always
yes" has accuracy `always_yes`. `nearest_neighbour_accuracy`: on 32×32 thumbnails, which only remembers, by how folds
are made.

Run: ``python benchmarks/mri_duplicates.py [--seeds 0 1 2]``; about 20 CPU seconds a seed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import medkit
from medkit.tables import read_csv


def thumbnail(path: Path, side: int) -> np.ndarray:
    grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    return cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA).ravel() / 255


def grouping(folder: Path) -> dict[str, Any]:
    """Return what `brain_mri` makes of the planted copies, and how many patients it takes for another."""
    found = medkit.dataset("brain_mri", "all", str(folder))
    group = {Path(sample["image"]).relative_to(folder).as_posix(): sample["patient_id"] for sample in found}
    planted = read_csv(folder / "planted_duplicates.csv")
    hits = Counter(row["kind"] for row in planted if group[row["copy"]] == group[row["original"]])
    of = Counter(row["kind"] for row in planted)
    images = read_csv(folder / "images.csv")
    joined = defaultdict(set)
    for row in images:
        joined[group[row["image"]]].add(row["patient_id"])
    wrongly = sum(len(patients) for patients in joined.values() if len(patients) > 1)
    by_kind = {kind: f"{hits[kind]} of {count}" for kind, count in sorted(of.items())}
    return {
        "planted_copies": {"all": f"{hits.total()} of {of.total()}", **by_kind},
        "patients_joined_wrongly": f"{wrongly} of {len({row['patient_id'] for row in images})}",
    }


def giveaway(folder: Path) -> dict[str, Any]:
    """Return what thumbnails of new patients tell."""
    copies = {row["copy"] for row in read_csv(folder / "planted_duplicates.csv")}
    originals = [row for row in read_csv(folder / "images.csv") if row["image"] not in copies]
    x = np.array([thumbnail(folder / row["image"], 16) for row in originals])
    y = np.array([row["label"] == "yes" for row in originals])
    scores = {}
    for strength in (0.001, 0.01, 0.1):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=5000))
        folds = StratifiedKFold(5, shuffle=True, random_state=0)
        p = cross_val_predict(model, x, y, cv=folds, method="predict_proba")[:, 1]
        scores[str(strength)] = {"accuracy": round(((p > 0.5) == y).mean(), 3), "auroc": round(roc_auc_score(y, p), 3)}
    return {"always_yes": round(y.mean(), 3), "thumbnail": scores}


def leak(folder: Path) -> dict[str, float]:
    """Return the accuracy of a method that only remembers."""
    accuracy = {}
    for split in ("random", "grouped"):
        right = []
        for fold in range(5):
            parts = [medkit.dataset("brain_mri", s, str(folder), fold=fold, split=split) for s in ("training", "test")]
            x, test_x = (np.array([thumbnail(Path(s["image"]), 32) for s in part]) for part in parts)
            y, test_y = (medkit.labels(part)[:, 1] for part in parts)
            right += (KNeighborsClassifier(1).fit(x, y).predict(test_x) == test_y).tolist()
        accuracy[split] = round(np.mean(right), 3)
    return accuracy


def measure(seed: int) -> dict[str, Any]:
    """Return the figures of the phantoms of one seed."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made).resolve()
        medkit.dataset("phantom_mri", "all", str(folder), seed=seed, quiet=True)
        return {**grouping(folder), **giveaway(folder), "nearest_neighbour_accuracy": leak(folder)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    print(json.dumps({f"seed {seed}": measure(seed) for seed in options.seeds}, indent=2))
