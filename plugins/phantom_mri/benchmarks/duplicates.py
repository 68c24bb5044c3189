"""What duplicates do: which planted copies are found, which strangers are joined, and what leaks into a score.

Run: ``python plugins/phantom_mri/benchmarks/duplicates.py [SEED …]``; about 20 CPU seconds a seed.
"""

import csv
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import cv2
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import medkit


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def thumbnail(path: Path, side: int) -> np.ndarray:
    grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    return cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA).ravel() / 255


def grouping(folder: Path) -> None:
    found = medkit.dataset("brain_mri", "all", str(folder))
    group = {Path(s["image"]).relative_to(folder).as_posix(): s["patient_id"] for s in found}
    planted = rows(folder / "planted_duplicates.csv")
    hits = Counter(row["kind"] for row in planted if group[row["copy"]] == group[row["original"]])
    of = Counter(row["kind"] for row in planted)
    joined = defaultdict(set)
    for row in rows(folder / "images.csv"):
        joined[group[row["image"]]].add(row["patient_id"])
    strangers = sum(len(patients) for patients in joined.values() if len(patients) > 1)
    listed = ", ".join(f"{kind} {hits[kind]}/{count}" for kind, count in sorted(of.items()))
    print(f"  planted copies found: {hits.total()}/{of.total()} ({listed}); patients wrongly joined: {strangers}")


def giveaway(folder: Path) -> None:
    copies = {row["copy"] for row in rows(folder / "planted_duplicates.csv")}
    originals = [row for row in rows(folder / "images.csv") if row["image"] not in copies]
    x = np.array([thumbnail(folder / row["image"], 16) for row in originals])
    y = np.array([row["label"] == "yes" for row in originals])
    for strength in (0.001, 0.01, 0.1):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=5000))
        folds = StratifiedKFold(5, shuffle=True, random_state=0)
        p = cross_val_predict(model, x, y, cv=folds, method="predict_proba")[:, 1]
        scores = f"accuracy {((p > 0.5) == y).mean():.3f}, AUROC {roc_auc_score(y, p):.3f}"
        print(f"  16×16 thumbnails, logistic regression, C {strength}: {scores}; always yes {y.mean():.3f}")


def leak(folder: Path) -> None:
    for split in ("random", "grouped"):
        right = []
        for fold in range(5):
            parts = [medkit.dataset("brain_mri", s, str(folder), fold=fold, split=split) for s in ("training", "test")]
            x, test_x = (np.array([thumbnail(Path(s["image"]), 32) for s in part]) for part in parts)
            y, test_y = (medkit.labels(part)[:, 1] for part in parts)
            right += (KNeighborsClassifier(1).fit(x, y).predict(test_x) == test_y).tolist()
        print(f"  nearest neighbour on 32×32 thumbnails, {split} folds: accuracy {np.mean(right):.3f}")


if __name__ == "__main__":
    for seed in [int(text) for text in sys.argv[1:]] or [0, 1, 2]:
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made).resolve()
            medkit.dataset("phantom_mri", "all", str(folder), seed=seed, quiet=True)
            print(f"seed {seed}")
            grouping(folder)
            giveaway(folder)
            leak(folder)
