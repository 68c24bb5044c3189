"""What the layers of a network look for, and what they see in an image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from medkit import contracts as c
from medkit.checkpoint import load_strictly, read_checkpoint
from medkit.device import evaluating, unwrapped
from medkit.errors import ConfigError, DataError
from medkit.files import whole
from medkit.tables import write_csv
from medkit_exploration.grid import enlarged, grid, scaled, sheet
from medkit_exploration.layers import chosen, convolutions, maps_of

ACROSS = 8
"""Maps in a line."""
CHANNELS = 4
"""Input channels of a filter that are shown."""
SMALLEST_FILTER, SMALLEST_MAP = 64, 128
"""Pixels of a tile's longer side; what is shorter is enlarged by a whole number."""
_COLUMNS = ("layer", "number", "picture", "weights", "maps")


class FeatureMaps:
    """Writer of one picture a convolution layer: its filters, and its feature maps of a few images.

    ``output_dir/NN_LAYER.png``, NN the number of the layer in the order in which layers run. First the filters, a line
    an input channel (at most `CHANNELS`), then for each image the image itself (the first channel of what the network
    gets) and the maps, as the convolution gives them, before activation. Each map, and each filter over the channels
    that are shown, is scaled by itself from its lowest value, black, to its highest, white; small ones are enlarged by
    repeating pixels. Titles have names and shapes; an image is named by its place in the data set, never by its file,
    which may be a patient's. Last, ``feature_maps.csv``: ``layer``, ``number``, ``picture``, ``weights``, ``maps``
    (shapes), a layer a row.

    Args:
        network: with 2D convolutions.
        dataset: MONAI's data set of preprocessed samples.
        output_dir: where to write; made if it is missing.
        images: how many, from the start of the data set; those that could not be read do not count.
        layers: names as in ``network.named_modules()``, numbers in the order in which layers run (0 the first, -1 the
            last), ``first`` or ``last``; null: the two deepest.
        maps: filters and maps that are shown of a layer, from its first.
        checkpoint: weights to load first; null: the network as it is.

    Raises:
        ConfigError: there is no such layer, or an option is below 1.
        CheckpointError: the checkpoint is missing or belongs to another network.
        DataError: no image could be read.

    Example:
        ```yaml
        feature_maps:
          _target_: medkit.handler
          component: feature_maps
          network: "@network"
          dataset: "@validate#dataset"
          checkpoint: "$@model_dir + '/models/model.pt'"
          output_dir: "$@output_dir + '/feature_maps'"
        run: ["$@feature_maps.run()"]
        ```

    Reference:
        Zeiler, Fergus 2014, ECCV, doi:10.1007/978-3-319-10590-1_53.
    """

    def __init__(
        self,
        network: nn.Module,
        dataset: Sequence[dict[str, Any]],
        output_dir: str,
        *,
        images: int = 2,
        layers: Sequence[str | int] | None = None,
        maps: int = 16,
        checkpoint: str | None = None,
    ) -> None:
        if images < 1 or maps < 1:
            raise ConfigError(f"feature_maps: images {images} and maps {maps}: both are at least 1")
        self.network = unwrapped(network)
        self.dataset = dataset
        self.output_dir = Path(output_dir)
        self.images = images
        self.layers = [layers] if isinstance(layers, str | int) else layers
        self.maps = maps
        self.checkpoint = checkpoint

    def run(self) -> Path:
        """Write a picture a layer and return the path of ``feature_maps.csv``."""
        if self.checkpoint is not None:
            load_strictly(self.network, read_checkpoint(self.checkpoint), self.checkpoint)
        captions, images = self._read()
        batch = images.to(next(self.network.parameters()).device)
        with evaluating(self.network):
            known = convolutions(self.network, batch[:1])
            names = chosen(self.layers, known)
            maps = maps_of(self.network, batch, names, self.maps)
        rows = []
        for name in names:
            weight = self.network.get_submodule(name).weight.detach().float().cpu().numpy()
            shapes = _shape(weight.shape), _shape((len(weight), *maps[name].shape[-2:]))
            number = known.index(name)
            rows.append(dict(zip(_COLUMNS, (name, number, f"{number:02d}_{name}.png", *shapes))))
            title = f"{name}: weights {shapes[0]}, maps {shapes[1]}"
            with whole(self.output_dir / rows[-1]["picture"]) as temporary:
                blocks = [self._filters(weight), *_seen(maps[name], images, captions)]
                sheet(title, blocks).save(temporary, format="PNG")
        write_csv(self.output_dir / "feature_maps.csv", _COLUMNS, rows)
        return self.output_dir / "feature_maps.csv"

    def _read(self) -> tuple[list[str], torch.Tensor]:
        """Return what the first images that can be read are called, and their pixels (B,C,H,W)."""
        found: dict[str, torch.Tensor] = {}
        for n in range(len(self.dataset)):
            sample = self.dataset[n]
            if sample[c.STATUS] == "ok":
                mark = "SYNTHETIC " if sample.get(c.SYNTHETIC, False) else ""
                found[f"{mark}image {n}"] = torch.as_tensor(sample[c.IMAGE])
            if len(found) == self.images:
                break
        if not found:
            raise DataError(f"feature_maps: none of {len(self.dataset)} images could be read: there is nothing to show")
        return list(found), torch.stack(list(found.values()))

    def _filters(self, weight: np.ndarray) -> tuple[str, np.ndarray]:
        """Return the caption and the grid of a layer's filters (O,I,h,w)."""
        filters, channels = weight[: self.maps], min(CHANNELS, weight.shape[1])
        kernels = [scaled(kernel[:channels]) for kernel in filters]
        tiles = [enlarged(kernel[channel], SMALLEST_FILTER) for channel in range(channels) for kernel in kernels]
        shown = f"the first {len(filters)} of {len(weight)} filters" if len(filters) < len(weight) else "all filters"
        lines = f"input channels 1 to {channels} of {weight.shape[1]}, a line each" if channels > 1 else "one channel"
        return f"{shown}, {lines}", grid(tiles, len(filters))


def _seen(maps: torch.Tensor, images: torch.Tensor, captions: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the caption and the grid of each image and its maps."""
    for own_caption, image, seen in zip(captions, images.numpy(), maps.numpy()):
        tiles = [enlarged(scaled(one), SMALLEST_MAP) for one in seen]
        own = Image.fromarray(scaled(image[0])).resize(tiles[0].shape[::-1], Image.Resampling.BILINEAR)
        caption = f"{own_caption} ({_shape(image.shape[1:])}) and its maps ({_shape(seen.shape[1:])})"
        yield caption, grid([np.asarray(own), *tiles], ACROSS + 1)


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
