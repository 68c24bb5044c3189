"""Show that phantoms are no giveaway: print, as JSON, what two naive methods reach on test patients.

`thumbnail_auroc`: macro AUROC of a logistic regression on 16×16 grey thumbnails; at most 0.85 is asked.
`mean_box_hit_rate`: fraction of true boxes that the class's mean training box (in fractions of the image) hits at
IoU > 0.3; at most 0.35 is asked.

Run: ``python benchmarks/phantom_giveaway.py [--images 3000] [--seeds 0 1 2]``
"""

from __future__ import annotations

import argparse
import json

import cv2
import numpy as np
from medkit_phantom.cohort import Planned, plan_cohort
from medkit_phantom.findings import FINDINGS
from medkit_phantom.folder import COHORT
from medkit_phantom.image import draw_radiograph
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def measure(seed: int, images: int) -> dict[str, object]:
    """Return both figures for the phantoms of one seed."""
    names = list(FINDINGS)
    plan = plan_cohort(np.random.default_rng([seed, COHORT]), names, images)
    drawn = [_draw(seed, item) for item in plan]
    thumbnails = np.stack([thumbnail for thumbnail, _ in drawn])
    labels = np.array([[name in item.findings for name in names] for item in plan])
    training = np.array([item.section == "training" for item in plan])
    test = np.array([item.section == "test" for item in plan])
    auroc = {}
    for k, name in enumerate(names):
        model = make_pipeline(StandardScaler(), LogisticRegressionCV(Cs=[1e-4, 1e-3, 1e-2, 0.1], **_FIT))
        model.fit(thumbnails[training], labels[training, k])
        auroc[name] = roc_auc_score(labels[test, k], model.decision_function(thumbnails[test]))
    hits = {}
    for name in names:
        seen = [boxes[name] for (_, boxes), use in zip(drawn, training, strict=True) if use and name in boxes]
        mean = np.mean(seen, axis=0)
        hits[name] = [
            _iou(mean, boxes[name]) > 0.3 for (_, boxes), use in zip(drawn, test, strict=True) if use and name in boxes
        ]
    return {
        "seed": seed,
        "images": images,
        "thumbnail_auroc": round(float(np.mean(list(auroc.values()))), 3),
        "mean_box_hit_rate": round(float(np.mean(np.concatenate(list(hits.values())))), 3),
        "thumbnail_auroc_per_class": {name: round(float(value), 3) for name, value in auroc.items()},
        "mean_box_hit_rate_per_class": {name: round(float(np.mean(value)), 3) for name, value in hits.items()},
    }


_FIT = {
    "scoring": "roc_auc",
    "cv": 3,
    "max_iter": 500,
    "class_weight": "balanced",
    "l1_ratios": (0,),
    "use_legacy_attributes": False,
}


def _draw(seed: int, item: Planned) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    radiograph = draw_radiograph(seed, item.patient, item.number, item.findings)
    rows, columns = radiograph.pixels.shape
    size = np.array([columns, rows, columns, rows])
    thumbnail = cv2.resize(radiograph.pixels, (16, 16), interpolation=cv2.INTER_AREA).ravel()
    return thumbnail, {name: np.array(box) / size for name, box in radiograph.boxes.items()}


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    shared = np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0))
    return float(shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    print(json.dumps([measure(seed, options.images) for seed in options.seeds], indent=2))
