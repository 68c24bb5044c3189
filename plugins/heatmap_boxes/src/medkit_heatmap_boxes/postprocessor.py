"""Heat maps of present findings to boxes in the frame of the original image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from medkit import contracts as c
from medkit.errors import CheckpointError, ConfigError, DataError
from medkit_heatmap_boxes.evidence import region_boxes
from medkit_heatmap_boxes.fitting import FRACTIONS, Cut, Example, fit_cuts, overlaps, plain
from medkit_heatmap_boxes.geometry import moved, to_frame

HIT = 0.3
"""IoU above which a box counts as found, here and in `medkit.metrics.localization_scores`."""


class HeatmapBoxes:
    """Dictionary transform: ``maps`` (K,h,w) of present findings → ``predicted_boxes`` (M,6) in the frame.

    A box surrounds the connected region, at or above a threshold of the map scaled to 0…1, that holds the map's highest
    peak. Before `fit` the threshold is ``fraction`` for every finding; this rule needs no boxes, and
    ``predicted_boxes_by_rule`` keeps its answer beside the fitted one. `fit` learns from drawn boxes a threshold and a
    correction of place and size for each finding; see `medkit_heatmap_boxes.fitting`. A present finding whose map shows
    nothing has no box.

    The score of a box is its finding's probability, times its peak relative to the map's where several boxes are asked
    for. A localizer that finds boxes itself, (K,5) in input pixels in place of maps, is mapped to the frame as it is.

    Args:
        findings: K names, in the order of the maps.
        boxes_per_finding: at most so many boxes a present finding, strongest first.
        fraction: the threshold of the rule that needs no boxes.

    Raises:
        ConfigError: an option has a value that it cannot have.

    Example:
        ```yaml
        boxes: {_target_: medkit.postprocessor, component: heatmap_boxes, findings: "@findings"}
        ```

    Reference:
        Zhou et al. 2016, arXiv:1512.04150, section 3.2: the largest region above 20 % of the map's maximum. Here the
        region with the highest peak, and fitted thresholds.
    """

    def __init__(self, findings: Sequence[str], *, boxes_per_finding: int = 1, fraction: float = 0.7) -> None:
        if not 0 < fraction < 1:
            raise ConfigError(f"heatmap_boxes: fraction {fraction} must be between 0 and 1")
        if boxes_per_finding < 1:
            raise ConfigError(f"heatmap_boxes: boxes_per_finding {boxes_per_finding} must be at least 1")
        self.findings = list(findings)
        self.boxes_per_finding = boxes_per_finding
        self.rule = plain(fraction)
        self.cuts: list[Cut] = []
        self.validation: dict[str, dict[str, Any]] = {}

    def __call__(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """Return the sample with ``predicted_boxes`` and ``predicted_boxes_by_rule``, both (M,6) float32.

        Raises:
            ConfigError: the maps do not fit the findings.
            DataError: the way back to the frame is unknown.
        """
        fitted, by_rule = [np.empty((0, 6))], [np.empty((0, 6))]
        present = torch.as_tensor(sample[c.PRESENT]).nonzero().flatten().tolist()
        if present and sample.get(c.STATUS, "ok") == "ok":
            maps, affine, size = self._maps(sample), _affine(sample), _input_size(sample)
            for k in present:
                for out, boxes in zip((fitted, by_rule), self._boxes(maps[k], k, size)):
                    score = boxes[:, 4:] * (1.0 if maps.ndim == 2 else float(sample[c.PROBABILITIES][k]))
                    frame = to_frame(boxes[:, :4], affine, np.asarray(sample[c.FRAME_SIZE], np.float64))
                    seen = (frame[:, 2:] > frame[:, :2]).all(axis=1)
                    out.append(np.column_stack([np.full(len(boxes), k), frame, score])[seen])
        return {
            **sample,
            c.PREDICTED_BOXES: torch.from_numpy(np.concatenate(fitted).astype(np.float32)),
            c.PREDICTED_BOXES_BY_RULE: torch.from_numpy(np.concatenate(by_rule).astype(np.float32)),
        }

    def fit(self, samples: Sequence[Mapping[str, Any]]) -> None:
        """Learn from ``boxes`` and ``maps`` of validation samples; without any drawn box the rule remains.

        Samples of patients that are evaluated later must not be among them.
        """
        examples: list[list[Example]] = [[] for _ in self.findings]
        for sample in samples:
            for k, example in self._examples(sample):
                examples[k].append(example)
        self.cuts, self.validation = [], {}
        if not any(examples):
            return
        self.cuts = fit_cuts(examples, HIT)
        rule_at = int(np.abs(FRACTIONS - self.rule.fraction).argmin())
        for finding, cut, own in zip(self.findings, self.cuts, examples):
            at = int(np.abs(FRACTIONS - cut.fraction).argmin())
            found = np.array([iou for e in own for iou in overlaps(e.true, cut.corrected(e.regions[at]))])
            ruled = np.array([iou for e in own for iou in overlaps(e.true, e.regions[rule_at])])
            self.validation[finding] = {
                "boxes": len(found),
                "hit_rate_iou_0_3": float((found > HIT).mean()) if found.size else None,
                "hit_rate_iou_0_3_by_rule": float((ruled > HIT).mean()) if found.size else None,
                "mean_iou": float(found.mean()) if found.size else None,
            }

    def state_dict(self) -> dict[str, Any]:
        """Return each finding's cut and what validation showed; ``fitted`` is false where only the rule applies."""
        per_finding = {
            finding: {
                "fraction": cut.fraction,
                "offset": cut.offset.tolist(),
                "intercept": cut.intercept.tolist(),
                "slope": cut.slope.tolist(),
                "validation": self.validation[finding],
            }
            for finding, cut in zip(self.findings, self.cuts)
        }
        return {
            "findings": self.findings,
            "boxes_per_finding": self.boxes_per_finding,
            "rule_fraction": self.rule.fraction,
            "fitted": bool(self.cuts),
            "boxes": sum(shown["boxes"] for shown in self.validation.values()),
            "per_finding": per_finding,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Raises:
            CheckpointError: it was fitted for other findings or another number of boxes.
        """
        here = {"findings": self.findings, "boxes_per_finding": self.boxes_per_finding}
        for option, value in here.items():
            if (fitted := state.get(option)) != value:
                raise CheckpointError(
                    f"heatmap_boxes was fitted for {option} {fitted}, not {value}: run the fit stage again"
                )
        rows = state["per_finding"]
        self.cuts = [
            Cut(rows[f]["fraction"], *(np.array(rows[f][key]) for key in ("offset", "intercept", "slope")))
            for f in self.findings
            if f in rows
        ]
        self.validation = {f: row["validation"] for f, row in rows.items()}

    def _boxes(self, evidence: torch.Tensor, k: int, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the boxes (n,5) of one finding in input pixels with relative score, fitted and by the rule."""
        if evidence.ndim == 1:
            given = evidence.double().numpy()[None]
            given = given[~np.isnan(given).any(axis=1)]
            return given, given
        cut = self.cuts[k] if self.cuts else self.rule
        regions = region_boxes(evidence, [cut.fraction, self.rule.fraction], self.boxes_per_finding)
        scaled = []
        for way, boxes in zip((cut, self.rule), regions):
            boxes = boxes[~np.isnan(boxes).any(axis=1)]
            scaled.append(np.column_stack([way.corrected(boxes[:, :4]) * size, boxes[:, 4]]))
        return scaled[0], scaled[1]

    def _examples(self, sample: Mapping[str, Any]) -> list[tuple[int, Example]]:
        """Return the class index and example of every finding that was drawn on this image and has a map."""
        drawn = sample.get(c.BOXES)
        rows = np.empty((0, 5)) if drawn is None else np.asarray(drawn, np.float64).reshape(-1, 5)
        rows = rows[~np.isnan(rows).any(axis=1)]
        if not len(rows) or sample.get(c.STATUS, "ok") != "ok" or (maps := self._maps(sample)).ndim == 2:
            return []
        true = moved(rows[:, 1:], np.linalg.inv(_affine(sample))) / _input_size(sample)
        return [
            (k, Example(true[rows[:, 0] == k], region_boxes(maps[k], FRACTIONS, self.boxes_per_finding)[..., :4]))
            for k in np.unique(rows[:, 0]).astype(int)
        ]

    def _maps(self, sample: Mapping[str, Any]) -> torch.Tensor:
        maps = torch.as_tensor(sample[c.MAPS]).detach().cpu()
        if len(maps) != len(self.findings) or not (maps.ndim == 3 or maps.shape[1:] == (5,)):
            raise ConfigError(
                f"heatmap_boxes has {len(self.findings)} findings and needs maps (K,h,w) or boxes (K,5), but the "
                f"localizer gives {tuple(maps.shape)}"
            )
        return maps


def _input_size(sample: Mapping[str, Any]) -> np.ndarray:
    """Return (columns, rows, columns, rows) of the network's input."""
    height, width = sample[c.IMAGE].shape[-2:]
    return np.array([width, height, width, height], np.float64)


def _affine(sample: Mapping[str, Any]) -> np.ndarray:
    affine = np.asarray(sample[c.FRAME_AFFINE], np.float64)
    if np.isnan(affine).any():
        raise DataError(
            f"{sample.get(c.FILE, 'a sample')}: the way from the network's input back to the image is lost; boxes need "
            "preprocessing without random transforms that keeps MONAI's metadata"
        )
    return affine
