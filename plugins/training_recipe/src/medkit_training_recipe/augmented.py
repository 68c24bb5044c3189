"""Test-time augmentation by mirror images."""

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


class FlipAverage(Inferer):
    """MONAI Inferer: the logits of the mean probability over an image and its mirror images.

    Logits of shape (B,K) are those of images; anything with the image's number of dimensions is a map, which is
    mirrored back first. Probabilities are averaged, not logits, and are turned back to logits without loss where they
    are close to 0 or 1, so that whatever follows sees logits as always.

    Args:
        axes: the image axes to mirror, 0 rows (upside down), 1 columns (left and right); every combination is taken,
            so n axes cost 2^n passes. The default mirrors left and right only: ultrasound and chest images have an
            above and a below.
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
    ) -> None:
        if not set(axes) <= {0, 1, 2} or len(set(axes)) != len(axes):
            raise ConfigError(
                f"test_time_augmentation: axes {list(axes)}: give image axes, each once: 0 rows, 1 columns"
            )
        if label_mode not in LABEL_MODES:
            raise ConfigError(
                f'test_time_augmentation: label_mode "{label_mode}" is unknown: choose {" or ".join(LABEL_MODES)}'
            )
        self.flips = [
            [axis + 2 for axis in some] for n in range(len(axes) + 1) for some in itertools.combinations(axes, n)
        ]
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
        if max(map(len, self.flips)) and max(max(flip, default=0) for flip in self.flips) >= inputs.ndim:
            found = f"images with {inputs.ndim - 2} axes"
            raise ConfigError(f"test_time_augmentation: {found} have no axis {max(self.flips[-1]) - 2}: change axes")
        views = [self.inferer(inputs.flip(flip), network, *args, **kwargs) for flip in self.flips]
        if isinstance(views[0], torch.Tensor):
            return self._mean(views, inputs.ndim)
        return tuple(self._mean(parts, inputs.ndim) for parts in zip(*views, strict=True))

    def _mean(self, views: Sequence[torch.Tensor], dimensions: int) -> torch.Tensor:
        """Return the logits of the mean probability over views of one output, mirrored back where they are maps."""
        inside, outside = [], []
        for flip, view in zip(self.flips, views, strict=True):
            logits = view.to(torch.promote_types(view.dtype, torch.float32))
            if logits.ndim == dimensions:
                logits = logits.flip(flip)
            if self.label_mode == "multiclass" and logits.shape[1] > 1:  # one channel is always a sigmoid's
                inside.append(log_softmax(logits, dim=1))
            else:
                inside.append(logsigmoid(logits))
                outside.append(logsigmoid(-logits))
        return _log_mean(inside) - _log_mean(outside) if outside else _log_mean(inside)


def _log_mean(logs: list[torch.Tensor]) -> torch.Tensor:
    """Return the logarithm of the mean of probabilities that are given by their logarithms."""
    return functools.reduce(torch.logaddexp, logs) - math.log(len(logs))
