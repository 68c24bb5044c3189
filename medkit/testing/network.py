"""What is asked of a network: (B,C,H,W) → logits."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from medkit.errors import MedkitError
from medkit.testing.devices import devices, says_nothing
from medkit.testing.part import Conformance, NeedsOptions, expecting, require

_STEPS = 20
_BUILT: dict[type, nn.Module] = {}


class NetworkConformance(Conformance):
    """The checks of a network.

    A classifier gives logits (B,K), a segmentation network (B,K,H,W), a classifier that segments as well gives both as
    ``(B,K), (B,1,h,w)``: the check finds out which.

    Attributes:
        in_channels: C.
        out_channels: K.
        spatial_size: (H,W) in pixels, not square; passed as ``spatial_size`` to networks that ask for it.
    """

    kind = "network"
    in_channels: int = 1
    out_channels: int = 3
    spatial_size: Sequence[int] = (64, 96)

    def contract_options(self) -> dict[str, Any]:
        return {
            "in_channels": self.in_channels,
            "out_channels": self.out_channels,
            "spatial_size": tuple(self.spatial_size),
        }

    def make_network(self) -> nn.Module:
        """Return a network in evaluation mode, always the same: a copy of one that is built once a class."""
        if type(self) not in _BUILT:
            network = self.new_network(seed=0)
            _BUILT.clear()
            _BUILT[type(self)] = network
        with expecting("a network that can be copied", "keep nothing in it that copy.deepcopy refuses"):
            return copy.deepcopy(_BUILT[type(self)])

    def new_network(self, seed: int, **changes: Any) -> nn.Module:
        """Return a new network in evaluation mode whose weights follow from torch's seed."""
        torch.manual_seed(seed)
        network: nn.Module = self.build(**changes)
        require(isinstance(network, nn.Module), f"a torch.nn.Module was asked for, {type(network).__name__} was found")
        return network.eval()

    def make_images(self, count: int = 3, channels: int | None = None) -> torch.Tensor:
        """Return images (B,C,H,W) in 0…1, always the same."""
        random = torch.Generator().manual_seed(0)
        return torch.rand((count, channels or self.in_channels, *self.spatial_size), generator=random)

    def test_it_is_built_from_in_channels_out_channels_and_spatial_dims(self) -> None:
        parameters = inspect.signature(self.offer.component.load()).parameters
        for name in ("in_channels", "out_channels", "spatial_dims"):
            require(name in parameters, f"the option {name} was asked for, the network has none: add it, as MONAI does")
        require(parameters["spatial_dims"].default == 2, "spatial_dims should default to 2")

    def test_images_that_are_not_square_give_logits_of_the_documented_shape(self) -> None:
        self._require_shapes(self._logits(self.make_network(), self.make_images()), 3, self.out_channels)

    def test_one_image_and_one_class_keep_their_axes(self) -> None:
        self._require_shapes(self._logits(self.new_network(seed=0, out_channels=1), self.make_images(1)), 1, 1)

    def test_images_may_have_another_number_of_channels(self) -> None:
        channels = self.in_channels + 1
        network = self.new_network(seed=0, in_channels=channels)
        self._require_shapes(self._logits(network, self.make_images(2, channels)), 2, self.out_channels)

    def test_logits_are_float32_and_finite(self) -> None:
        for logits in self._logits(self.make_network(), self.make_images()):
            require(logits.dtype == torch.float32, f"float32 logits were asked for, {logits.dtype} was found: .float()")
            require(logits.isfinite().all(), "finite logits were asked for, NaN or infinity was found")

    def test_it_gives_logits_and_not_probabilities(self) -> None:
        network, images = self.make_network(), self.make_images()
        optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=0.05)
        for _ in range(_STEPS):  # logits leave 0…1 when they are pushed, probabilities cannot
            logits = self._logits(network, images)[0]
            if (logits < 0).any():
                break
            optimizer.zero_grad()
            with expecting("logits with a gradient", "do not detach them"):
                logits.mean().backward()
            optimizer.step()
        else:
            raise AssertionError(
                "logits were asked for, none fell below 0 when the network was trained towards it: return the last "
                "layer's values without sigmoid, softmax or ReLU; losses and post-processing take logits"
            )
        if logits.shape[1] > 1:
            sums = logits.exp().sum(1)
            require(
                not torch.allclose(sums, torch.ones_like(sums), atol=1e-4),
                "logits were asked for, log-probabilities were found: leave out log_softmax",
            )

    def test_the_same_seed_gives_the_same_weights(self) -> None:
        first, second = self.new_network(seed=1).state_dict(), self.new_network(seed=1).state_dict()
        differing = [key for key, value in first.items() if not torch.equal(value, second[key])]
        require(
            not differing,
            f"the same weights from the same torch.manual_seed were asked for, {differing[0] if differing else ''} "
            "differs: draw initial weights from torch's global generator, with no seed of your own",
        )

    def test_in_evaluation_mode_the_same_images_give_the_same_logits(self) -> None:
        network, images = self.make_network(), self.make_images()
        require(
            _same(self._logits(network, images), self._logits(network, images)),
            "the same logits twice were asked for in evaluation mode, they differ: random layers must heed .eval()",
        )

    def test_an_image_gets_the_same_logits_alone_and_in_a_batch(self) -> None:
        network, images = self.make_network(), self.make_images()
        alone = [self._logits(network, image[None]) for image in images]
        together = self._logits(network, images)
        require(
            _same([torch.cat(parts) for parts in zip(*alone)], together),
            "an image's own logits were asked for, they change with the other images of the batch: in evaluation mode "
            "use no statistics of the batch",
        )

    def test_evaluation_changes_neither_the_images_nor_the_network(self) -> None:
        network, images = self.make_network(), self.make_images()
        before = {key: value.clone() for key, value in network.state_dict().items()}
        given = images.clone()
        self._logits(network, given)
        require(torch.equal(given, images), "the images were changed in place: copy them first, or drop inplace=True")
        changed = [key for key, value in network.state_dict().items() if not torch.equal(value, before[key])]
        require(not changed, f"{', '.join(changed)} changed in evaluation mode: update statistics in training only")

    def test_every_weight_that_trains_and_the_images_get_a_finite_gradient(self) -> None:
        network, images = self.make_network().train(), self.make_images().requires_grad_()
        loss = torch.stack([(logits**2).mean() for logits in self._logits(network, images)]).sum()
        with expecting("a gradient from the logits", "do not detach them, and use no torch.no_grad in forward"):
            loss.backward()
        trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
        require(trained, "weights that train were asked for, all have requires_grad False")
        without = [name for name, p in trained.items() if p.grad is None]
        require(
            not without,
            f"a gradient for every weight was asked for, {', '.join(without[:3])} got none: use it in forward or set "
            "requires_grad False; training on several processes stops at such weights",
        )
        bad = [name for name, p in trained.items() if p.grad is not None and not p.grad.isfinite().all()]
        require(not bad, f"finite gradients were asked for, {', '.join(bad[:3])} has NaN or infinity")
        require(
            images.grad is not None and images.grad.isfinite().all() and images.grad.any(),
            "a gradient at the images was asked for, none was found: localizers need it",
        )

    def test_its_state_dict_restores_it(self) -> None:
        first, second, images = self.make_network(), self.new_network(seed=2), self.make_images()
        with expecting("load_state_dict of its own state_dict", "register what it keeps as parameters or buffers"):
            second.load_state_dict(first.state_dict())
        require(
            _same(self._logits(first, images), self._logits(second, images)),
            "the same logits after load_state_dict were asked for, they differ: register everything that the logits "
            "depend on as parameter or persistent buffer",
        )

    def test_it_goes_to_other_processes(self) -> None:
        network = self.make_network().to("meta")  # weights are plain tensors and may be large
        with expecting("a network that can be pickled", "keep no lambda and no open file in it: each GPU needs a copy"):
            pickle.loads(pickle.dumps(network))

    def test_it_follows_its_images_to_another_device(self) -> None:
        do = "create tensors on the device of the images (device=images.device), or register them as buffers"
        for device in devices():
            network, images = self.make_network().to(device), self.make_images().to(device)
            try:
                found = {logits.device.type for logits in self._logits(network, images)}
            except AssertionError as error:
                if says_nothing(error, device):
                    continue
                raise AssertionError(f"{error} ({do})") from error
            require(found == {device.type}, f"logits on {device} were asked for, {', '.join(found)} was found: {do}")

    def _logits(self, network: nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return what the network gives as a tuple: logits, and mask logits where there are any."""
        shape = "×".join(map(str, images.shape))
        with expecting(f"logits for images of {shape}", "take images of any height and width, or spatial_size"):
            try:
                given = network(images)
            except MedkitError as error:
                if self.options:
                    raise
                raise NeedsOptions(f'network "{self.component}" needs options: {error}') from error
        parts = given if isinstance(given, tuple) else (given,)
        found = ", ".join(type(part).__name__ for part in parts)
        require(
            1 <= len(parts) <= 2 and all(isinstance(part, torch.Tensor) for part in parts),
            f"a tensor of logits, or two, were asked for, ({found}) was found",
        )
        return parts

    def _require_shapes(self, parts: Sequence[torch.Tensor], count: int, classes: int) -> None:
        logits, size = parts[0], tuple(self.spatial_size)
        asked = [(count, classes)] if len(parts) == 2 else [(count, classes), (count, classes, *size)]
        shown = " or ".join(str(shape) for shape in asked)
        require(
            tuple(logits.shape) in asked,
            f"logits {shown} were asked for (B,K or B,K,H,W), {tuple(logits.shape)} was found: keep the axes of batch "
            "and class also where they are 1, and rows before columns",
        )
        if len(parts) == 2:
            require(
                parts[1].ndim == 4 and tuple(parts[1].shape[:2]) == (count, 1),
                f"mask logits ({count}, 1, h, w) were asked for, {tuple(parts[1].shape)} was found",
            )


def _same(first: Sequence[torch.Tensor], second: Sequence[torch.Tensor]) -> bool:
    return all(a.shape == b.shape and torch.allclose(a, b, rtol=1e-3, atol=1e-4) for a, b in zip(first, second))
