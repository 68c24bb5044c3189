"""Whether reconstructions are better than the mean image."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import numpy as np
import torch
from ignite.engine import Engine, Events
from torch.utils.data import DataLoader, Dataset

from medkit import contracts as c
from medkit.errors import DataError
from medkit.files import write_json
from medkit.handlers import gathered, merged
from medkit.intervals import Bootstrap

logger = logging.getLogger(__name__)


class ReconstructionError:
    """Ignite handler: mean squared errors of reconstructions and of the training set's mean image, as a JSON file.

    An auto-encoder that has learnt nothing of its images but their average draws the mean image. The file holds
    ``reconstruction`` and ``mean_image``, the mean over images of the mean squared difference of their pixels;
    ``gain``, the second minus the first over the same resamples of patients; and ``warnings``, with a line where the
    interval of the gain is not above 0. Files that could not be read do not count.

    Args:
        path: the JSON file, e.g. ``autoencoder.json``.
        dataset: MONAI's data set of the training images, preprocessed without augmentation.
        resamples: of patients, for the 95 % intervals.
        seed: of the resamples.

    Raises:
        DataError: while running: no training image, or no image that is measured, could be read.

    Example:
        ```yaml
        validate#handlers:
        - {_target_: medkit.handler, component: reconstruction_error, path: "$@output_dir + '/autoencoder.json'",
           dataset: "@train#dataset"}
        ```
    """

    def __init__(self, path: str, dataset: Dataset[Any], *, resamples: int = 1000, seed: int = 0) -> None:
        self.path = Path(path)
        self.dataset = dataset
        self.resamples = resamples
        self.seed = seed
        self.mean = torch.empty(0)
        self.patients: list[str] = []
        self.errors: list[tuple[float, float]] = []

    def attach(self, engine: Engine) -> None:
        """Register with an evaluator that runs over validation images."""
        engine.add_event_handler(Events.STARTED, self.start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.collect)
        engine.add_event_handler(Events.COMPLETED, self.write)

    def start(self, engine: Engine) -> None:
        """Take the mean of the training images, in float64."""
        self.patients, self.errors = [], []
        total, count = torch.zeros(()), 0
        loader = DataLoader(self.dataset, batch_size=None, generator=torch.Generator())
        for sample in loader:
            if sample[c.STATUS] == "ok":
                total = total + sample[c.IMAGE].double()
                count += 1
        if not count:
            raise DataError(f"none of {len(loader)} training images could be read: there is no mean image")
        self.mean = total / count

    def collect(self, engine: Engine) -> None:
        """Measure this iteration's images."""
        for sample in merged(engine):
            if sample[c.STATUS] == "ok":
                image = sample[c.IMAGE].double().cpu()
                drawn = sample[c.PRED].detach().double().cpu()
                self.patients.append(sample[c.PATIENT])
                self.errors.append(tuple(((guess - image) ** 2).mean().item() for guess in (drawn, self.mean)))

    def write(self, engine: Engine) -> None:
        """Write the file; warn where reconstructions are not better."""
        shares = gathered((self.patients, self.errors))
        patients, rows = ([one for share in shares for one in share[part]] for part in (0, 1))
        if not rows:
            raise DataError("no validation image could be read: there is no reconstruction to measure")
        if idist.get_rank() != 0:
            return
        errors = np.array(rows)
        images = len(errors)
        bootstrap = Bootstrap(patients, self.resamples, self.seed)
        totals = bootstrap.totals(np.column_stack([errors, np.ones(images)]))
        drawn, mean = totals[:, 0] / totals[:, 2], totals[:, 1] / totals[:, 2]
        scores = {"reconstruction": drawn, "mean_image": mean, "gain": mean - drawn}
        scored = {name: bootstrap.score(values, images) for name, values in scores.items()}
        gain = scored["gain"]
        warnings = []
        if not (gain.value if math.isnan(gain.low) else gain.low) > 0:
            warnings = [
                f"reconstructions are not better than the mean image: mean squared errors {drawn[0]:.3g} and "
                f"{mean[0]:.3g} on {images} images: train longer"
            ]
            logger.warning("%s", warnings[0])
        write_json(self.path, {name: score.to_json() for name, score in scored.items()} | {"warnings": warnings})
