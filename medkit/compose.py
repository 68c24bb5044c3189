"""Preprocessing that loses no file, and the step that splits a prediction."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor, get_track_meta, set_track_meta
from monai.transforms import Compose

from medkit import contracts as c
from medkit.errors import ConfigError, DataError, NotAssessed, root_cause


class SafeCompose(Compose):
    """MONAI's ``Compose`` that turns a failing file into a record and makes every sample whole.

    Whatever goes in comes out with the same keys and shapes, so that any DataLoader stacks it and each file keeps its
    place. A sample whose transforms raise keeps its place as well: its image becomes zeros, its label NaN (losses,
    samplers and metrics skip NaN), ``status`` becomes ``error`` or ``not_assessed`` and ``reason`` says why. Reading a
    file is where this happens; a `ConfigError` is no file's fault and is raised.

    The frame (see `medkit.contracts.FRAME_AFFINE`) is read off MONAI's affine, so every MONAI spatial transform is
    undone by arithmetic, not by resampling.

    Args:
        transforms: MONAI dictionary transforms; the first reads ``image``.
        spatial_size: (H,W) of what comes out: the shape of a placeholder.
        classes: K, the length of ``label``.
        channels: C of what comes out.
        max_boxes: rows that ``boxes`` is padded to; an image with more is an error.
        masks: every sample gets a ``mask`` (1,H,W), NaN where nobody drew one or the sample has failed, and a
            ``frame_mask``, there empty.
        strict: raise instead of recording.

    Raises:
        ConfigError: a transform that its configuration does not fit.
        DataError: with ``strict``, the first failing file and its reason.
    """

    def __init__(
        self,
        transforms: Sequence[Any],
        spatial_size: Sequence[int],
        classes: int,
        channels: int = 1,
        max_boxes: int = 32,
        masks: bool = False,
        strict: bool = False,
    ) -> None:
        super().__init__(transforms)
        self.masks = masks
        self.image_shape = (channels, *(int(n) for n in spatial_size))
        self.classes = classes
        self.max_boxes = max_boxes
        self.strict = strict

    def __call__(self, input_: Any, start: int = 0, end: int | None = None, threading: bool = False, lazy: Any = None):
        sample = self._opened(input_) if start == 0 else dict(input_)
        if sample[c.STATUS] != "ok":
            return sample
        try:
            if sample[c.REASON]:
                raise DataError(sample[c.REASON])
            with _metadata(start == 0):
                done = super().__call__(sample, start, end, threading, lazy)
            return self._framed(done, start)
        except Exception as error:  # whatever a decoder or a transform raises becomes this file's record
            cause = root_cause(error)
            if isinstance(cause, ConfigError):  # no file's fault
                raise cause from error
            not_for_model = isinstance(cause, NotAssessed)
            reason = " ".join(str(cause).split()) or type(cause).__name__
            if self.strict and not not_for_model:
                raise DataError(f"{sample[c.FILE]}: {reason}") from error
            return {
                **sample,
                c.IMAGE: torch.zeros(self.image_shape),
                **({c.MASK: self._no_mask(), c.FRAME_MASK: ""} if self.masks else {}),
                c.LABEL: np.full(self.classes, np.nan, np.float32),
                c.STATUS: "not_assessed" if not_for_model else "error",
                c.REASON: reason,
            }

    def _opened(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return a copy with every key that a whole sample has."""
        boxes = np.asarray(given.get(c.BOXES, np.empty((0, 5))), np.float32).reshape(-1, 5)
        padded = np.full((self.max_boxes, 5), np.nan, np.float32)
        padded[: len(boxes)] = boxes[: self.max_boxes]
        too_many = f"{len(boxes)} boxes, at most {self.max_boxes} expected: raise max_boxes"
        return {
            **given,
            c.FILE: str(given[c.IMAGE]) if isinstance(given[c.IMAGE], str | Path) else "",
            c.LABEL: np.asarray(given.get(c.LABEL, [np.nan] * self.classes), np.float32),
            c.BOXES: padded,
            c.PATIENT: str(given.get(c.PATIENT, "")),
            c.SYNTHETIC: bool(given.get(c.SYNTHETIC, False)),
            c.FRAME_SIZE: np.asarray(given.get(c.FRAME_SIZE, (np.nan, np.nan)), np.float64),
            c.FRAME_AFFINE: np.full((3, 3), np.nan),
            c.STATUS: "ok",
            c.REASON: too_many if len(boxes) > self.max_boxes else "",
            c.SOURCE: "{}",
        }

    def _framed(self, sample: dict[str, Any], start: int) -> dict[str, Any]:
        """Move the source facts and the frame from the image's metadata into the sample; leave a plain tensor.

        The rest of the metadata is dropped: what differs between readers does not collate. Random transforms that run
        on a cached image start without metadata, so their output has no frame.
        """
        image = sample[c.IMAGE]
        if start == 0 and isinstance(image, MetaTensor) and "spatial_shape" in image.meta:
            file_size = np.asarray(image.meta["spatial_shape"], np.float64)[:2]
            if np.isnan(sample[c.FRAME_SIZE]).any():
                sample[c.FRAME_SIZE] = np.asarray(image.meta.get(c.FRAME_SIZE, file_size), np.float64)
            sample[c.FRAME_AFFINE] = frame_affine(np.asarray(image.affine), file_size, sample[c.FRAME_SIZE])
            facts = image.meta.get(c.SOURCE, {})
            sample[c.SOURCE] = json.dumps(facts)
            sample[c.SYNTHETIC] = sample[c.SYNTHETIC] or bool(facts.get("synthetic", False))
        elif start < len(self.transforms):
            sample[c.FRAME_AFFINE] = np.full((3, 3), np.nan)
        sample[c.IMAGE] = _plain(image)
        if self.masks:
            mask = sample.get(c.MASK)
            sample[c.MASK] = _plain(mask) if isinstance(mask, torch.Tensor) else self._no_mask()
            sample.setdefault(c.FRAME_MASK, "")
        return sample

    def _no_mask(self) -> torch.Tensor:
        return torch.full((1, *self.image_shape[1:]), torch.nan)


@contextmanager
def _metadata(wanted: bool) -> Iterator[None]:
    """Switch MONAI's metadata off where a cached image has none left: it is half of the time of random transforms.

    The switch is one for all threads, so only the main one moves it.
    """
    if wanted or not get_track_meta() or current_thread() is not main_thread():
        yield
        return
    set_track_meta(False)
    try:
        yield
    finally:
        set_track_meta(True)


def _plain(image: Any) -> torch.Tensor:
    return image.as_tensor() if isinstance(image, MetaTensor) else torch.as_tensor(image)


def frame_affine(affine: np.ndarray, file_size: np.ndarray, frame_size: np.ndarray) -> np.ndarray:
    """Return the (3,3) matrix from input pixel edges ``(x, y, 1)`` to frame pixel edges.

    Args:
        affine: MONAI's, from (row, column) indices of pixel centres of the network's input to those of the file.
        file_size: (rows, columns) of the file.
        frame_size: (rows, columns) of the frame that boxes refer to.
    """
    rows_first = np.eye(3)
    rows_first[:2, :2], rows_first[:2, 2] = affine[:2, :2], affine[:2, -1]
    swap = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1.0]])
    to_centre = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    to_edge = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    scale = np.diag([frame_size[1] / file_size[1], frame_size[0] / file_size[0], 1.0])
    return scale @ to_edge @ swap @ rows_first @ swap @ to_centre


class SplitPredictiond:
    """Dictionary transform: ``pred`` → ``logits`` and, where a localizer gave them, ``maps``."""

    def __call__(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        out = dict(sample)
        pred = out.pop(c.PRED)
        if isinstance(pred, list | tuple):
            out[c.LOGITS], out[c.MAPS] = pred
        else:
            out[c.LOGITS] = pred
        return out
