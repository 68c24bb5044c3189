"""The box of each finding: the window that a classifier scores highest, by beam search in a tree of windows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from medkit.device import evaluating, unwrapped
from medkit.errors import ConfigError
from medkit_beam_search_windows.search import Window, best_windows
from medkit_beam_search_windows.tree import Side, level_sides


class BeamSearchWindows:
    """One box a class: windows are cut out, resized to the whole image's size and classified.

    The tree begins at the whole image. A window's children have ``shrink`` times its sides, so all windows keep the
    image's proportions, and lie inside it. On every level each class keeps the ``beam_width`` windows with its highest
    logits, and the next level holds their children. The class's box is the window with the highest logit of all levels,
    the whole image excepted: its box would say nothing. There is no penalty on size. Of equal logits the larger window
    wins, then the upper, then the left one; a logit that is NaN never does.

    Each distinct window is classified once, whichever classes and parents it belongs to. The network runs in evaluation
    mode without gradients and is left as it was.

    Args:
        network: gives logits (B,K) from images (B,C,H,W). May also be passed with each call, as a MONAI Inferer is.
        beam_width: windows that a class keeps on each level, at least 1. As many as there are: an exhaustive search.
        depth: levels below the whole image, at least 1.
        shrink: side of a window relative to its parent's, between 0 and 1. 0.7 halves the area.
        stride: share of a window's side by which it is moved inside its parent, above 0 and at most 1. At 0.25 whatever
            is smaller than ¾ of a window and lies inside the parent lies inside one of its children, up to rounding.
        smallest_side: in pixels; the tree ends where a window's side would fall below it, because what is smaller
            cannot be classified.
        batch_size: windows that the network is given at a time.

    Raises:
        ConfigError: an option has a value that it cannot have.

    Example:
        ```yaml
        inferer: {_target_: medkit.localizer, component: beam_search_windows}
        ```
    """

    def __init__(
        self,
        network: nn.Module | None = None,
        *,
        beam_width: int = 3,
        depth: int = 4,
        shrink: float = 0.7,
        stride: float = 0.25,
        smallest_side: int = 16,
        batch_size: int = 32,
    ) -> None:
        counts = {"beam_width": beam_width, "depth": depth, "smallest_side": smallest_side, "batch_size": batch_size}
        for option, value in counts.items():
            if not isinstance(value, int) or value < 1:
                raise ConfigError(f"beam_search_windows: {option} {value} must be a whole number of at least 1")
        if not 0 < shrink < 1:
            raise ConfigError(f"beam_search_windows: shrink {shrink} must be between 0 and 1")
        if not 0 < stride <= 1:
            raise ConfigError(f"beam_search_windows: stride {stride} must be above 0 and at most 1")
        self.network = network
        self.beam_width = beam_width
        self.depth = depth
        self.shrink = shrink
        self.stride = stride
        self.smallest_side = smallest_side
        self.batch_size = batch_size

    def __call__(self, images: torch.Tensor, network: nn.Module | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the whole images' logits (B,K) and boxes (B,K,5), float32, without gradients.

        Rows are ``x_min, y_min, x_max, y_max, score`` in pixel edges of ``images``; the score is the sigmoid of the
        window's logit. A class without a finite logit has edges of NaN and a score of 0: no box.

        Args:
            images: (B,C,H,W) float.
            network: takes the place of the one given at construction; may be wrapped for distributed training.

        Raises:
            ConfigError: there is no network, it is no classifier, or ``smallest_side`` does not fit into the images.
        """
        network = self.network if network is None else network
        if network is None:
            raise ConfigError("beam_search_windows needs a network: pass it here or at construction")
        network = unwrapped(network)  # each call of the wrapper waits for the other processes, which need fewer or more
        images = images.detach().as_subclass(torch.Tensor)
        sides = self._sides(images)
        with torch.no_grad(), evaluating(network):
            whole = [(index, 0, 0) for index in range(len(images))]
            logits = self._logits(network, images, whole, sides[0])

            def values(windows: Sequence[Window], side: Side) -> list[list[float]]:
                found = self._logits(network, images, windows, side)
                return found.masked_fill(found.isnan(), -torch.inf).tolist()

            found = best_windows(
                values,
                images=len(images),
                classes=logits.shape[1],
                sides=sides,
                stride=self.stride,
                beam_width=self.beam_width,
            )
        boxes = torch.tensor(found, dtype=torch.float32, device=logits.device)
        boxes[..., 4].sigmoid_()
        return logits, boxes

    def _sides(self, images: torch.Tensor) -> list[Side]:
        """Return the root's sides and those of each level below it, of which there is at least one."""
        if images.ndim != 4:
            raise ConfigError(f"beam_search_windows needs images (B,C,H,W), found {tuple(images.shape)}")
        root = tuple(images.shape[2:])
        levels = level_sides(root, shrink=self.shrink, depth=self.depth, smallest_side=self.smallest_side)
        if not levels:
            raise ConfigError(
                f"beam_search_windows: no window with shrink {self.shrink} and smallest_side {self.smallest_side} fits "
                f"into images of {root[0]}×{root[1]} pixels: lower smallest_side or give larger images"
            )
        return [root, *levels]

    def _logits(self, network: nn.Module, images: torch.Tensor, windows: Sequence[Window], side: Side) -> torch.Tensor:
        """Return the logits (N,K), float32, of windows of one size, each resized to the whole image's."""
        rows = []
        for start in range(0, len(windows), self.batch_size):
            some = windows[start : start + self.batch_size]
            cut = torch.stack([images[b, :, y : y + side[0], x : x + side[1]] for b, y, x in some])
            full = nn.functional.interpolate(cut, images.shape[2:], mode="bilinear", align_corners=False)
            logits = network(full)
            if not isinstance(logits, torch.Tensor) or logits.ndim != 2:
                found = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
                raise ConfigError(f"beam_search_windows needs a classifier: logits (B,K), found {found}")
            rows.append(logits.float())
        return torch.cat(rows)
