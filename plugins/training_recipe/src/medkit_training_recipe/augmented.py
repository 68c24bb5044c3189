"""Test-time augmentation by mirror images and quarter turns."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from monai.inferers import Inferer, SimpleInferer
from torch.nn.functional import log_softmax, logsigmoid

from medkit.errors import ConfigError

LABEL_MODES = ("multilabel", "multiclass")
_PLANE = (2, 3)
"""Rows and columns."""


class FlipAverage(Inferer):
    """MONAI Inferer: the logits of the mean probability over an image, its mirror images and quarter turns.

    Logits of shape (B,K) are those of images; anything with the image's number of dimensions is a map, which is
    turned and mirrored back first. Probabilities are averaged, not logits, and are turned back to logits without loss
    where they are close to 0 or 1, so that whatever follows sees logits as always.

    Args:
        axes: the image axes to mirror, 0 rows (upside down), 1 columns (left and right); every combination is taken,
            so n axes cost 2^n passes, and four times as many with ``quarter_turns``. The default mirrors left and
            right only: ultrasound and chest images have an above and a below.
        quarter_turns: turn each by 90°, 180° and 270° too: with one axis the eight symmetries of a square, for images
            without an above and a below, such as cells. An image that is not square is turned to (B,C,W,H).
        label_mode: ``multilabel``: probabilities are sigmoids, each class by itself; ``multiclass``: a softmax over
            classes. A single channel, such as a mask, is a sigmoid's in either.
        inferer: what runs the network on each image, e.g. MONAI's ``SlidingWindowInferer``; None: the network itself.

    Raises:
        ConfigError: an option has an impossible value.

    Reference:
        Moshkov et al. 2020, doi:10.1038/s41598-020-61808-3.

    Example:
        ```yaml
        inferer: {_target_: medkit.transform, component: test_time_augmentation, axes: [1]}
        ```
    """

    def __init__(
        self,
        axes: Sequence[int] = (1,),
        label_mode: Literal["multilabel", "multiclass"] = "multilabel",
        inferer: Inferer | None = None,
        quarter_turns: bool = False,
    ) -> None:
        if not set(axes) <= {0, 1, 2} or len(set(axes)) != len(axes):
            raise ConfigError(
                f"test_time_augmentation: axes {list(axes)}: give image axes, each once: 0 rows, 1 columns"
            )
        if label_mode not in LABEL_MODES:
            raise ConfigError(
                f'test_time_augmentation: label_mode "{label_mode}" is unknown: choose {" or ".join(LABEL_MODES)}'
            )
        if quarter_turns and (len(axes) > 1 or 2 in axes):
            raise ConfigError(
                f"test_time_augmentation: axes {list(axes)} with quarter_turns: give one axis, 0 or 1, or none: turned "
                "mirror images are those of the other axis"
            )
        flips = [[axis + 2 for axis in some] for n in range(len(axes) + 1) for some in itertools.combinations(axes, n)]
        self.views = [(turns, flip) for turns in range(4 if quarter_turns else 1) for flip in flips]
        self.label_mode = label_mode
        self.inferer = inferer or SimpleInferer()

    def __call__(self, inputs: torch.Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return logits of the network's shape, float32 at least; of each of them where it gives several.

        Args:
            inputs: (B,C,H,W), or (B,C,H,W,D) for axis 2.
            network: (B,C,H,W) → logits (B,K) or (B,K,H,W), or a tuple of such.
            *args: for the network.
            **kwargs: for the network.

        Raises:
            ConfigError: the images lack an axis that is to be mirrored.
        """
        if (last := max(self.views[-1][1], default=0)) >= inputs.ndim:
            found = f"images with {inputs.ndim - 2} axes"
            raise ConfigError(f"test_time_augmentation: {found} have no axis {last - 2}: change axes")
        views = [
            self.inferer(inputs.rot90(turns, _PLANE).flip(flip), network, *args, **kwargs) for turns, flip in self.views
        ]
        if isinstance(views[0], torch.Tensor):
            return self._mean(views, inputs.ndim)
        return tuple(self._mean(parts, inputs.ndim) for parts in zip(*views, strict=True))

    def _mean(self, views: Sequence[torch.Tensor], dimensions: int) -> torch.Tensor:
        """Return the logits of the mean probability over views of one output, mirrored back where they are maps."""
        inside, outside = [], []
        for (turns, flip), view in zip(self.views, views, strict=True):
            logits = view.to(torch.promote_types(view.dtype, torch.float32))
            if logits.ndim == dimensions:
                logits = logits.flip(flip).rot90(-turns, _PLANE)
            if self.label_mode == "multiclass" and logits.shape[1] > 1:  # one channel is always a sigmoid's
                inside.append(log_softmax(logits, dim=1))
            else:
                inside.append(logsigmoid(logits))
                outside.append(logsigmoid(-logits))
        return _log_mean(inside) - _log_mean(outside) if outside else _log_mean(inside)


def _log_mean(logs: list[torch.Tensor]) -> torch.Tensor:
    """Return the logarithm of the mean of probabilities that are given by their logarithms."""
    return functools.reduce(torch.logaddexp, logs) - math.log(len(logs))
