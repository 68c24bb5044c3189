"""What a finished run says for itself on the terminal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from medkit.tables import read_csv

_HEADLINES: dict[tuple[str, ...], str] = {
    ("accuracy",): "accuracy",
    ("accuracy_any",): "accuracy, any or none",
    ("auroc", "macro"): "macro AUROC",
    ("localization", "hit_rate_iou_0_3"): "true boxes hit (IoU > 0.3)",
    ("localization", "hit_rate_iou_0_3_random"): "  random-box control",
    ("localization", "false_boxes_per_image"): "false boxes an image",
}
_RESULTS = (
    *("report.html", "table/table.md", "table/plot.png", "predictions.csv", "boxes.csv", "segmentation.csv"),
    *("metrics.json", "problems.csv"),
)
_SEGMENTATION: dict[tuple[str, ...], str] = {
    ("plain", "iou", "all"): "mean IoU",
    ("plain", "iou", "lesion"): "  images with a lesion",
    ("gated", "iou", "all"): "mean IoU, gated",
    ("gated", "iou", "lesion"): "  images with a lesion",
}


def closing_lines(run_dir: Path) -> Iterator[str]:
    """Yield the headline figures, the files that were not assessed, and where the results are."""
    yield from _figures(run_dir / "metrics.json", _HEADLINES)
    yield from _figures(run_dir / "segmentation" / "metrics.json", _SEGMENTATION)
    problems = read_csv(run_dir / "problems.csv")
    counts = Counter((row["stage"], row["status"]) for row in problems)
    for (stage, status), count in counts.items():
        example = next(row for row in problems if (row["stage"], row["status"]) == (stage, status))
        what = "not assessed" if status == "not_assessed" else "not readable"
        yield f"{stage}: {count} {what}, e.g. {Path(example['file']).name}: {example['reason']}"
    for name in _RESULTS:
        if (run_dir / name).is_file() and (name != "boxes.csv" or read_csv(run_dir / name)):
            yield str(run_dir / name)


def _figures(metrics_file: Path, headlines: Mapping[tuple[str, ...], str]) -> Iterator[str]:
    """Yield a line a headline that was measured."""
    if not metrics_file.is_file():
        return
    metrics = json.loads(metrics_file.read_text(encoding="utf-8"))
    for path, name in headlines.items():
        score = _at(metrics, path)
        if score is not None and score.get("value") is not None:
            interval = "" if score["low"] is None else f"  [{score['low']:.3f}, {score['high']:.3f}]"
            yield f"{name:<28} {score['value']:.3f}{interval}  n={score['n']}"


def _at(tree: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        tree = tree.get(step) if isinstance(tree, dict) else None
    return tree
