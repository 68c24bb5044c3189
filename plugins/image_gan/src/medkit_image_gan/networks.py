"""MONAI's generator and discriminator in the shapes of DCGAN (Radford, Metz, Chintala 2016, arXiv:1511.06434)."""

from __future__ import annotations

import torch
from monai.networks.nets import Discriminator, Generator

from medkit.errors import ConfigError, DataError

START = 4
"""Pixels a side where the generator begins and the discriminator ends."""


class GanGenerator(Generator):
    """Images (B,C,H,W) in 0…1 from latent codes (B,Z), standard normal.

    A linear layer to 4×4, then transposed 5×5 convolutions with batch norm and ReLU that double the side, and one that
    makes the image, with a sigmoid.

    Args:
        in_channels: Z, ``latent_shape`` of MONAI's GanTrainer.
        out_channels: C.
        spatial_dims: 2.
        image_size: H = W in pixels, a power of two from 8 on.
        width: maps at full size; each halving of the side doubles them.

    Raises:
        ConfigError: an option has an impossible value.
    """

    def __init__(
        self,
        in_channels: int = 64,
        out_channels: int = 1,
        spatial_dims: int = 2,
        *,
        image_size: int = 64,
        width: int = 16,
    ) -> None:
        widths = _widths(image_size, width, spatial_dims)[::-1]
        super().__init__(
            in_channels,
            (widths[0] * 2, START, START),
            (*widths, out_channels),
            (*(2 for _ in widths), 1),
            kernel_size=5,
            num_res_units=0,
            act="relu",
            norm="batch",
        )
        self.latent_size = in_channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(super().forward(x))


class GanDiscriminator(Discriminator):
    """Logits (B,1) from images (B,C,H,W) in 0…1: above 0 for real, below for generated.

    5×5 convolutions with instance norm, dropout and leaky ReLU that halve the side down to 4×4, then a linear layer.
    Instance norm sees one image at a time, so real and generated ones may share a batch.

    Args:
        in_channels: C.
        out_channels: 1.
        spatial_dims: 2.
        image_size: H = W in pixels, the generator's.
        width: maps of the first layer; each halving of the side doubles them.

    Raises:
        ConfigError: an option has an impossible value.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        spatial_dims: int = 2,
        *,
        image_size: int = 64,
        width: int = 16,
    ) -> None:
        if out_channels != 1:
            raise ConfigError(f"gan_discriminator: out_channels {out_channels}: real or generated is 1 logit")
        widths = _widths(image_size, width, spatial_dims)
        shape = in_channels, image_size, image_size
        super().__init__(
            shape,
            widths,
            [2 for _ in widths],
            kernel_size=5,
            num_res_units=0,
            act=("leakyrelu", {"negative_slope": 0.2}),
            last_act=None,
        )
        self.image_shape = shape

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits.

        Raises:
            DataError: the images have another shape than the network was made for.
        """
        if tuple(x.shape[1:]) != self.image_shape:
            asked, found = ("×".join(map(str, shape)) for shape in (self.image_shape, x.shape[1:]))
            raise DataError(
                f"gan_discriminator was made for images of {asked}, found {found}: resize, or set image_size"
            )
        return super().forward(2 * x - 1)


def _widths(image_size: int, width: int, spatial_dims: int) -> list[int]:
    """Return the maps of each halving of the side, from ``image_size`` down to `START`."""
    if spatial_dims != 2:
        raise ConfigError(f"GAN: spatial_dims is {spatial_dims}: it is made for 2")
    if image_size < 2 * START or image_size & (image_size - 1):
        raise ConfigError(f"GAN: image_size {image_size}: give a power of two from {2 * START} on, such as 64")
    if width < 1:
        raise ConfigError(f"GAN: width {width}: give at least 1 map")
    return [width << step for step in range((image_size // START).bit_length() - 1)]
