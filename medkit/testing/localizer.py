"""What is asked of a localizer: logits and maps of all classes in one pass, the network left as it was."""

from __future__ import annotations

import inspect
from typing import Any
from unittest import SkipTest

import torch
from torch import nn

from medkit.testing.part import Conformance, expecting, require

BRIGHT, DARK = (slice(8, 32), slice(64, 88)), (slice(36, 60), slice(8, 32))
"""Where in the images, 64 rows × 96 columns, a bright and a dark square are: rows, columns. Transposed they swap."""
_NEAR = 8
"""Pixels beside a square that the network's filters still see it from."""


class LocalizerConformance(Conformance):
    """The checks of a localizer, on a small network whose evidence lies in known places.

    Of three classes the first is the bright square of an image, the second the dark one, the third neither.
    """

    kind = "localizer"

    def make_network(self) -> nn.Module:
        """Return a classifier, images (B,1,H,W) → logits (B,3), with convolution, batch norm, dropout and a head."""
        return _Squares()

    def make_images(self) -> torch.Tensor:
        """Return images (3,1,64,96): grey with both squares, stronger from image to image."""
        images = 0.5 + 0.01 * torch.randn((3, 1, 64, 96), generator=torch.Generator().manual_seed(0))
        for image, strength in zip(images, (0.3, 0.4, 0.5)):
            image[0][BRIGHT] += strength
            image[0][DARK] -= strength
        return images

    def test_logits_and_maps_are_float32_finite_and_without_a_graph(self) -> None:
        logits, maps = self._localized()
        for name, values in (("logits", logits), ("maps", maps)):
            require(values.dtype == torch.float32, f"float32 {name} were asked for, {values.dtype} was found")
            require(values.isfinite().all(), f"finite {name} were asked for, NaN or infinity was found")
            require(not values.requires_grad, f"{name} carry a gradient graph, which keeps memory: detach them")

    def test_logits_are_those_of_the_network_in_evaluation_mode(self) -> None:
        expected = self.make_network().eval()(self.make_images())
        found, _ = self._localized()
        require(
            torch.allclose(found, expected, rtol=1e-3, atol=1e-4),
            "the network's logits in evaluation mode were asked for, others were found: give neither probabilities nor "
            "values of training mode",
        )

    def test_evidence_lies_where_it_is(self) -> None:
        _, maps = self._localized()
        for k, (name, (rows, columns)) in enumerate({"bright": BRIGHT, "dark": DARK}.items()):
            for found in maps[:, k]:
                inside = _inside(found, rows, columns)
                require(
                    inside,
                    f"class {k} is the {name} square at rows {rows.start}–{rows.stop}, columns {columns.start}–"
                    f"{columns.stop}; its evidence was found elsewhere: higher must mean more evidence, rows come "
                    "before columns, and each class has its own map",
                )

    def test_an_image_gets_the_same_alone_and_in_a_batch(self) -> None:
        network, images = self.make_network(), self.make_images()
        together = self._call(images, network)
        alone = [self._call(image[None], network) for image in images]
        for one, all_of_them in zip(zip(*alone), together):
            require(
                torch.allclose(torch.cat(one), all_of_them, rtol=1e-3, atol=1e-5),
                "an image's own maps were asked for, they change with the other images of the batch: do not mix or "
                "normalise over the batch",
            )

    def test_the_network_may_be_given_with_each_call(self) -> None:
        network, images = self.make_network(), self.make_images()
        with expecting("a call (images, network), as of a MONAI Inferer", "see medkit.contracts.Localizer"):
            later = self._without_network()(images, network)
        require(
            all(torch.equal(a, b) for a, b in zip(later, self._call(images, network))),
            "the network of the call was given, other results than with the same network at construction were found",
        )

    def test_without_a_network_it_says_so(self) -> None:
        localizer = self._without_network()
        try:
            localizer(self.make_images())
        except Exception as error:
            require("network" in str(error), f"an error that names the missing network was asked for, found: {error}")
        else:
            raise AssertionError("an error without a network was asked for, none was raised")

    def test_it_works_where_gradients_are_off_and_weights_are_frozen(self) -> None:
        network, images = self.make_network().requires_grad_(False), self.make_images()
        with torch.no_grad():
            found = self._call(images, network)
        require(
            all(torch.allclose(a, b, rtol=1e-3, atol=1e-5) for a, b in zip(found, self._localized())),
            "the same maps under torch.no_grad and with frozen weights were asked for, others were found: switch "
            "gradients on inside, and ask for those of activations, not of weights",
        )

    def test_it_leaves_the_network_as_it_was(self) -> None:
        network, images = self.make_network().train(), self.make_images()
        list(network.children())[-1].eval()  # a part that somebody has put into evaluation mode
        first = next(network.parameters())
        first.grad = torch.ones_like(first)
        before, given = _state(network), images.clone()
        self._call(given, network)
        for what, now in _state(network).items():
            require(
                now == before[what],
                f"the network's {what} were to stay as they were, they changed: restore them, also after an error",
            )
        require(torch.equal(given, images) and not given.requires_grad, "the images were changed: work on a copy")

    def test_it_follows_its_images_to_another_device(self) -> None:
        if not torch.cuda.is_available():
            raise SkipTest("no CUDA here, and what localizers search for, meta tensors do not have")
        results = self._call(self.make_images().cuda(), self.make_network().cuda())
        found = {part.device.type for part in results}
        require(found == {"cuda"}, f"logits and maps on cuda were asked for, {', '.join(found)} was found")

    def _without_network(self) -> Any:
        network = inspect.signature(self.offer.component.load()).parameters.get("network")
        require(
            network is not None and network.default is None,
            "an option network that may be left out was asked for, since MONAI's evaluators give it with each call: "
            "network=None",
        )
        return self.build()

    def _localized(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self._call(self.make_images(), self.make_network())

    def _call(self, images: torch.Tensor, network: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
        with expecting("(logits, maps) for images that are not square", "see medkit.contracts.Localizer"):
            logits, maps = self.build(network=network)(images)
        count, shape = len(images), tuple(maps.shape)
        require(
            tuple(logits.shape) == (count, 3), f"logits {(count, 3)} were asked for, {tuple(logits.shape)} was found"
        )
        require(
            shape == (count, 3, 5) or (len(shape) == 4 and shape[:2] == (count, 3)),
            f"maps ({count}, 3, h, w) or boxes ({count}, 3, 5) were asked for, {shape} was found: give one map a "
            "class, of all classes",
        )
        return logits, maps


class _Squares(nn.Module):
    """Two maps, of what is bright and what is dark, their averages, and a linear layer; dropout in training."""

    def __init__(self) -> None:
        super().__init__()
        filters = nn.Conv2d(1, 2, 8, stride=4, padding=2)
        self.features = nn.Sequential(filters, nn.BatchNorm2d(2), nn.ReLU())
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(2, 3)
        with torch.no_grad():
            filters.weight[:] = torch.tensor([1.0, -1.0])[:, None, None, None] / 64
            filters.bias = nn.Parameter(torch.tensor([-0.6, 0.4]))
            self.head.weight[:] = torch.tensor([[40.0, -10.0], [-10.0, 40.0], [-8.0, -8.0]])
            self.head.bias[:] = torch.tensor([-1.0, -1.0, 1.0])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.drop(self.features(images).mean((2, 3))))
        return logits


def _inside(found: torch.Tensor, rows: slice, columns: slice) -> bool:
    """Return whether a map's (h,w) peak, or a box's (5,) centre, is in the square or as near as its cells can say."""
    if found.ndim == 1:
        x, y = ((found[0] + found[2]) / 2).item(), ((found[1] + found[3]) / 2).item()
        cell_y = cell_x = 1.0
    else:
        cell_y, cell_x = 64 / found.shape[0], 96 / found.shape[1]
        row, column = divmod(int(found.argmax()), found.shape[1])
        y, x = (row + 0.5) * cell_y, (column + 0.5) * cell_x
    middles = ((y, rows, cell_y), (x, columns, cell_x))
    return all(side.start - cell / 2 - _NEAR <= at <= side.stop + cell / 2 + _NEAR for at, side, cell in middles)


def _state(network: nn.Module) -> dict[str, Any]:
    """Return what a localizer may not change, in values that compare."""
    return {
        "training modes": [module.training for module in network.modules()],
        "hooks": [
            [len(getattr(module, name)) for name in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")]
            for module in network.modules()
        ],
        "gradients": [None if p.grad is None else p.grad.tolist() for p in network.parameters()],
        "requires_grad flags": [p.requires_grad for p in network.parameters()],
        "weights and statistics": [value.tolist() for value in network.state_dict().values()],
    }
