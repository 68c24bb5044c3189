"""What is asked of a loss: (logits, target) → a scalar that skips what is unknown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from medkit.testing.devices import devices, says_nothing
from medkit.testing.part import Conformance, expecting, require

Pair = tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]


class LossConformance(Conformance):
    """The checks of a loss.

    Logits and target are (B,K) one-hot labels, or (B,K,H,W) masks, or a pair of both, (B,K) and (B,1,H,W): the first
    that the loss takes is used.
    """

    kind = "loss"

    def test_it_gives_a_finite_scalar(self) -> None:
        loss = self._call(*self._example())
        require(loss.dtype == torch.float32, f"float32 was asked for, {loss.dtype} was found")
        require(loss.isfinite(), f"a finite loss was asked for, {loss.item()} was found")

    def test_every_logit_gets_a_finite_gradient(self) -> None:
        for gradient in self._gradients(*self._example()):
            require(gradient.isfinite().all(), "finite gradients were asked for, NaN or infinity was found")
            require(gradient.any(), "a gradient at the logits was asked for, all are 0: the loss teaches nothing")

    def test_the_surer_a_right_answer_the_lower_the_loss(self) -> None:
        target = self._example()[1]
        right = tuple(8 * t - 4 for t in target)
        losses = [self._call(tuple(scale * r for r in right), target).item() for scale in (1, 0.5, 0, -1)]
        require(
            losses == sorted(set(losses)),
            f"a loss that rises from logits of 4 on the right side over 2 and 0 to 4 on the wrong side was asked for, "
            f"{', '.join(f'{loss:.4g}' for loss in losses)} was found: take logits, not probabilities",
        )

    def test_very_large_logits_stay_finite(self) -> None:
        logits, target = self._example()
        large = tuple(300 * x for x in logits)
        require(
            self._call(large, target).isfinite() and all(g.isfinite().all() for g in self._gradients(large, target)),
            "a finite loss and gradient for logits of 1000 were asked for: use torch's functions that take logits, "
            "such as binary_cross_entropy_with_logits, not log(sigmoid(x))",
        )

    def test_half_precision_logits_give_nearly_the_same_loss(self) -> None:
        logits, target = self._example()
        expected = self._call(logits, target).item()
        found = self._call(tuple(x.bfloat16() for x in logits), target).item()
        require(
            abs(found - expected) <= 0.02 * abs(expected) + 1e-3,
            f"about {expected:.4g} was asked for from bfloat16 logits, {found:.4g} was found: compute in float32",
        )

    def test_an_unknown_target_is_skipped(self) -> None:
        logits, target = self._example(unknown=True)
        loss = self._call(logits, target)
        require(
            loss.isfinite(),
            f"targets that are NaN are unknown and to be skipped, the loss is {loss.item()}: mask them before any "
            "arithmetic, since 0 · NaN is NaN",
        )
        for gradient, known in zip(self._gradients(logits, target), target):
            require(gradient.isfinite().all(), "an unknown target made a gradient NaN: mask it with torch.where first")
            require(not gradient[known.isnan()].any(), "an unknown target gives a gradient: leave it out of the mean")
        moved = tuple(torch.where(t.isnan(), x + 5, x) for x, t in zip(logits, target))
        require(
            torch.allclose(self._call(moved, target), loss),
            "the logit of an unknown target changes the loss: leave it out of every sum",
        )

    def test_nothing_known_gives_0_and_no_gradient(self) -> None:
        logits, target = self._example()
        unknown = tuple(torch.full_like(t, torch.nan) for t in target)
        loss = self._call(logits, unknown)
        require(
            loss.item() == 0 and not any(g.any() for g in self._gradients(logits, unknown)),
            f"0 with a gradient of 0 was asked for where no target is known, {loss.item()} was found: divide by "
            "max(known, 1), and keep the graph (0 · logits.sum())",
        )

    def test_it_changes_neither_logits_nor_target_and_gives_the_same_twice(self) -> None:
        logits, target = self._example(unknown=True)
        before = [t.clone() for t in (*logits, *target)]
        losses = [self._call(logits, target).item() for _ in range(2)]
        require(
            all(torch.equal(a.nan_to_num(9), b.nan_to_num(9)) for a, b in zip(before, (*logits, *target))),
            "logits or target were changed in place: work on a copy",
        )
        require(
            str(losses[0]) == str(losses[1]),
            f"the same loss twice was asked for, {losses[0]} and {losses[1]} were found",
        )

    def test_it_follows_its_logits_to_another_device(self) -> None:
        do = "create tensors on the device of the logits (device=logits.device), or register them as buffers"
        for device in devices():
            loss = self.build()
            loss = loss.to(device) if isinstance(loss, torch.nn.Module) else loss
            logits, target = (tuple(t.to(device) for t in parts) for parts in self._example(unknown=True))
            try:
                found = self._call(logits, target, loss).device.type
            except AssertionError as error:
                if says_nothing(error, device):
                    continue
                raise AssertionError(f"{error} ({do})") from error
            require(found == device.type, f"a loss on {device} was asked for, {found} was found: {do}")

    def _example(self, unknown: bool = False) -> Pair:
        """Return logits and target of the first form that the loss takes."""
        loss, refusals = self.build(), []
        for logits, target in _examples():
            try:
                loss(*_given(logits, target))
            except Exception as error:
                refusals.append(f"{tuple(logits[0].shape)}: {type(error).__name__}: {error}".splitlines()[0])
                continue
            if unknown:
                for part in target:
                    part[0] = torch.nan
                    part[1, 0] = torch.nan
            return logits, target
        raise AssertionError(
            f"a loss of (logits, target), labels (B,K) or masks (B,K,H,W), was asked for, it raised "
            f"{'; '.join(refusals)}: take one of these"
        )

    def _call(self, logits: Any, target: Any, loss: Callable[..., Any] | None = None) -> torch.Tensor:
        with expecting("a loss of (logits, target)", "see medkit.contracts.Loss"):
            value: torch.Tensor = (loss or self.build())(*_given(logits, target))
        require(
            isinstance(value, torch.Tensor) and value.shape == (),
            f"a scalar tensor was asked for, {tuple(getattr(value, 'shape', ())) or type(value).__name__} was found: "
            "take the mean over the batch",
        )
        return value

    def _gradients(self, logits: tuple[torch.Tensor, ...], target: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
        leaves = tuple(x.detach().clone().requires_grad_() for x in logits)
        with expecting("a gradient at the logits", "compute the loss from the logits with torch, without detach"):
            return list(torch.autograd.grad(self._call(leaves, target), leaves))


def _examples() -> Iterator[Pair]:
    """Yield one-hot labels, masks, and both, in which each class is there and absent; logits lie within ±4."""
    random = torch.Generator().manual_seed(0)
    labels = torch.eye(3)[[0, 1, 2, 1, 0, 2]]
    masks = (torch.rand((6, 3, 8, 12), generator=random) < 0.3).float()

    def logits(target: torch.Tensor) -> torch.Tensor:
        return (2 * torch.randn(target.shape, generator=random)).clamp(-4, 4)

    yield (logits(labels),), (labels.clone(),)
    yield (logits(masks),), (masks,)
    yield (logits(labels), logits(masks[:, :1])), (labels, masks[:, :1].clone())


def _given(logits: tuple[torch.Tensor, ...], target: tuple[torch.Tensor, ...]) -> tuple[Any, Any]:
    return (logits[0], target[0]) if len(logits) == 1 else (logits, target)
