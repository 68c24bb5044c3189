"""Images of a generator as a data set that says what it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import nn
from torch.utils.data import Dataset

from medkit.checkpoint import load_strictly, read_checkpoint
from medkit.device import evaluating, unwrapped
from medkit.errors import ConfigError
from medkit.files import require_writable, whole, write_json
from medkit.tables import write_csv
from medkit_image_gan.copy_check import copy_check
from medkit_image_gan.findings import shown

MARK = "SYNTHETIC"
BATCH = 64


class GeneratedImages:
    """Writer: ``count`` images of a generator as 8-bit PNG, with a label table, without copies of training images.

    ``images/SYNTHETIC_00000.png`` … and ``labels.csv`` (``image, patient_id, section, synthetic, FINDING …``) in
    ``output_dir`` are what the data sets ``generated`` and ``chest_xray`` read, both as synthetic. Each file says
    SYNTHETIC in its name and in a text chunk. An image that is nearer to a training image, or to its mirror image, than
    all but the share ``quantile`` of held-out real images are, is taken for a copy: it goes to ``copies/`` and not into
    the table. ``copy_check.json`` has every image's nearest neighbour, the distances of the held-out images, and the
    number of copies.
    The same weights and seed give the same bytes.

    Args:
        generator: with ``latent_size`` Z: (B,Z) → (B,1,H,W) in 0…1.
        training: data set of all images that it learned from, without augmentation, of the generator's size.
        held_out: the same of other patients' images, which it did not see.
        output_dir: what an earlier run wrote there is replaced.
        findings: columns of the table.
        finding: what the training images were restricted to (`only_finding`): 1 in its column and blank, which means
            unknown, in the others; ``No Finding``: 0 in all; None: all blank.
        count: how many images to make.
        seed: of the latent codes.
        quantile: of the held-out images' distances, at least 0: the limit for copies, and the share of harmless images
            that one loses by it.
        weights: checkpoint of the handler ``gan_checkpoints``; None: the generator as it is.

    Raises:
        ConfigError: an option has an impossible value.
        CheckpointError: the weights are of another generator.
        DataError: no image could be read, sizes differ, or held-out images are among the training images.

    Reference:
        Distances to training against those of unseen data: Meehan, Chaudhuri, Dasgupta 2020, arXiv:2004.05675.
    """

    def __init__(
        self,
        generator: nn.Module,
        training: Dataset[Any],
        held_out: Dataset[Any],
        output_dir: str,
        findings: Sequence[str],
        finding: str | None = None,
        count: int = 100,
        seed: int = 0,
        quantile: float = 0.05,
        weights: str | None = None,
    ) -> None:
        if count < 1:
            raise ConfigError(f"generated_images: count {count}: give at least 1")
        if not 0 <= quantile < 1:
            raise ConfigError(f"generated_images: quantile {quantile}: give a number from 0 to below 1")
        self.label = shown(findings, finding)
        self.generator = unwrapped(generator)
        self.training = training
        self.held_out = held_out
        self.folder = Path(output_dir)
        self.findings = list(findings)
        self.count = count
        self.seed = seed
        self.quantile = quantile
        self.weights = weights

    def run(self) -> None:
        """Make, check and write the images; the table last."""
        if self.weights is not None:
            state = read_checkpoint(self.weights)
            own = {key.removeprefix("generator."): v for key, v in state.items() if key.startswith("generator.")}
            load_strictly(self.generator, own, self.weights)
        images = self.make()
        names = [f"{MARK}_{n:05d}.png" for n in range(len(images))]
        check = copy_check(images, names, self.training, self.held_out, self.quantile)
        for part in ("images", "copies"):
            require_writable(self.folder / part)
            for old in (self.folder / part).glob(f"{MARK}_*.png"):
                old.unlink()
        for image, entry in zip(images, check["images"], strict=True):
            with whole(self.folder / ("copies" if entry["copy"] else "images") / entry["image"]) as temporary:
                text = PngInfo()
                text.add_text("Comment", f"{MARK} image of a GAN, not a patient")
                Image.fromarray(image[0].numpy()).save(temporary, format="PNG", pnginfo=text)
        write_json(self.folder / "copy_check.json", check)
        known = {name: int(value) for name, value in zip(self.findings, self.label) if not math.isnan(value)}
        rows = [
            {"image": name, "patient_id": Path(name).stem, "section": "training", "synthetic": 1, **known}
            for name, entry in zip(names, check["images"])
            if not entry["copy"]
        ]
        about = ["image", "patient_id", "section", "synthetic"]
        write_csv(self.folder / "labels.csv", [*about, *self.findings], rows)

    @torch.no_grad()
    def make(self) -> torch.Tensor:
        """Return (count,1,H,W) uint8."""
        latents = torch.randn(
            self.count, self.generator.latent_size, generator=torch.Generator().manual_seed(self.seed)
        )
        device = next((p.device for p in self.generator.parameters()), "cpu")
        with evaluating(self.generator):
            images = torch.cat([self.generator(part.to(device)).cpu() for part in latents.split(BATCH)])
        if images.ndim != 4 or images.shape[1] != 1:
            found = "×".join(map(str, images.shape[1:]))
            raise ConfigError(f"generated_images writes grey images, the generator gives {found}: out_channels: 1")
        return images.clamp(0, 1).mul(255).round().to(torch.uint8)
