"""The transform that makes one image of one file a colour."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from PIL import Image

from medkit import contracts as c
from medkit.errors import ConfigError, DataError, did_you_mean
from medkit_protein_atlas.channels import read_channels
from medkit_protein_atlas.layout import ANCHOR, COLOURS, file_name, parts_of

_MARK = "SYNTHETIC"
_DESCRIPTION = 270
"""TIFF's ImageDescription."""


class LoadChannelsd(MapTransform):
    """Dictionary transform: the path of one file of an image → MetaTensor (C,H,W) float32 in 0…1, of all its files.

    The files ``<id>_red.png``, ``<id>_green.png``, ``<id>_blue.png`` and ``<id>_yellow.png`` lie beside each other, or
    end in .tif, .tiff, .jpg or .jpeg. They are read at the same time. 1 is what a file's bits can hold: 255, or 65,535
    for 16 bits. Coloured files give their grey value, see `medkit_protein_atlas.channels.read_channel`. A text in the
    first file, such as PNG's Comment, that begins with ``SYNTHETIC`` makes the sample synthetic.

    Args:
        keys: which hold a path, of whatever colour.
        colours: the C channels, in order.
        yellow: ``channel``, or ``half``: (3,H,W) of R+½Y, G+½Y and B for networks that take RGB. Sums above 1 become 1,
            as where images are added with saturation: few pixels are bright in both, and to divide by 1.5 instead would
            dim two of three channels everywhere.
        allow_missing_keys: skip a key that a sample lacks.

    Raises:
        ConfigError: an option has no such value.
        DataError: a file is missing or cannot be read, or the sizes differ; one line that names the file.

    Example:
        ```yaml
        - {_target_: medkit.transform, component: load_channels, keys: image}
        ```
    """

    def __init__(
        self,
        keys: KeysCollection = c.IMAGE,
        colours: Sequence[str] = COLOURS,
        yellow: Literal["channel", "half"] = "channel",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if isinstance(colours, str) or not colours or len(set(colours)) < len(colours):
            raise ConfigError(f"colours must be a list of different names, at least one, found {colours!r}")
        for colour in colours:
            if colour not in COLOURS:
                hint = did_you_mean(str(colour), COLOURS)
                raise ConfigError(f'colour "{colour}" is unknown.{hint} Choices: {", ".join(COLOURS)}.')
        if yellow not in ("channel", "half"):
            raise ConfigError(f'yellow "{yellow}" is unknown: give channel or half')
        if yellow == "half" and tuple(colours) != COLOURS:
            raise ConfigError(f"yellow: half needs colours {', '.join(COLOURS)}, found {', '.join(colours)}")
        self.colours = tuple(colours)
        self.yellow = yellow

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the sample with its images read."""
        sample = dict(data)
        for key in self.key_iterator(sample):
            sample[key] = self._read(Path(sample[key]))
        return sample

    def _read(self, path: Path) -> MetaTensor:
        named = parts_of(path.name)
        if named is None:
            raise DataError(f"{path.name} has no colour in its name: ID_{ANCHOR}.png is expected, one file a colour")
        files = {colour: path.with_name(file_name(named[0], colour)) for colour in self.colours}
        grey = read_channels(list(files.values()), self.colours)
        pixels = np.empty((len(grey), *grey[0].pixels.shape), np.float32)
        for channel, one in zip(pixels, grey):
            np.divide(one.pixels, np.float32(one.white), out=channel)
        if self.yellow == "half":
            pixels[:2] += pixels[3] / 2
            pixels = np.minimum(pixels[:3], 1)
        size = np.array(pixels.shape[1:])
        source = {
            "format": "channels",
            "channels": ["red+yellow/2", "green+yellow/2", "blue"] if self.yellow == "half" else list(self.colours),
            "rows": int(size[0]),
            "columns": int(size[1]),
            "bits_stored": max(one.white for one in grey).bit_length(),
            "synthetic": _says_synthetic(grey[0].data),
        }
        meta = {
            "affine": np.eye(4),
            "original_channel_dim": 0,
            "spatial_shape": size,
            "filename_or_obj": str(path),
            c.FRAME_SIZE: size,
            c.SOURCE: source,
        }
        return MetaTensor.ensure_torch_and_prune_meta(pixels, meta)


def _says_synthetic(data: bytes) -> bool:
    """Return whether a text in the file's header begins with the mark."""
    with suppress(Exception), Image.open(BytesIO(data)) as image:  # good pixels are not lost to a damaged remark
        texts = [image.info.get(key, "") for key in ("Comment", "Description", "comment")]
        texts.append(getattr(image, "tag_v2", {}).get(_DESCRIPTION, ""))
        return any(str(t.decode("latin-1") if isinstance(t, bytes) else t).startswith(_MARK) for t in texts)
    return False
