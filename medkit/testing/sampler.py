"""What is asked of a sampler: indices that follow from its seed and the epoch alone."""

from __future__ import annotations

import operator
import pickle
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from medkit.testing.part import Conformance, expecting, require

_DISTRIBUTED = "torch.distributed"


class SamplerConformance(Conformance):
    """The checks of a sampler, over the labels of 60 images that `make_labels` gives."""

    kind = "sampler"

    def contract_options(self) -> dict[str, Any]:
        return {"labels": self.make_labels(), "seed": 0}

    def make_labels(self) -> np.ndarray:
        """Return (60,3) float32: a common, a rarer and a rare finding, some together, one image without labels."""
        labels = (np.random.default_rng(0).random((60, 3)) < (0.5, 0.3, 0.15)).astype(np.float32)
        labels[7] = np.nan
        labels[8, 1] = np.nan
        return labels

    def test_it_gives_as_many_indices_as_it_says_all_in_range(self) -> None:
        sampler, images = self.build(), len(self.make_labels())
        drawn = self._epoch(sampler)
        require(drawn, "indices were asked for, the sampler gives none")
        require(len(drawn) == len(sampler), f"len() says {len(sampler)} indices, {len(drawn)} were drawn")
        outside = [n for n in drawn if not 0 <= n < images]
        require(not outside, f"indices from 0 to {images - 1} were asked for, {outside[:1]} was found: count from 0")

    def test_an_image_without_any_known_label_is_left_out(self) -> None:
        unknown = np.flatnonzero(np.isnan(self.make_labels()).all(axis=1)).tolist()
        found = sorted({n for epoch in range(3) for n in self._epoch(self.build(), epoch)} & set(unknown))
        require(not found, f"image {found} has no known label, it was drawn: rows that are all NaN teach nothing")

    def test_two_samplers_of_one_seed_agree_whatever_else_was_drawn(self) -> None:
        np.random.seed(1)
        torch.manual_seed(1)
        first = self._epoch(self.build())
        np.random.seed(2)
        torch.manual_seed(2)
        require(
            self._epoch(self.build()) == first,
            "the same indices from the same seed and epoch were asked for, they differ: draw from a generator that is "
            "seeded with seed + epoch, not from the global one",
        )

    def test_it_keeps_no_counter_of_its_own(self) -> None:
        sampler = self.build()
        first = self._epoch(sampler, None)
        require(
            self._epoch(sampler, None) == first,
            "a second pass without set_epoch gave other indices: the order must follow from seed and epoch, or an "
            "interrupted run cannot be continued",
        )
        self._epoch(sampler, 1)
        require(
            self._epoch(sampler, 3) == self._epoch(self.build(), 3),
            "epoch 3 differs after epochs 0 and 1 from epoch 3 at once: keep no state from one epoch to the next",
        )

    def test_another_epoch_and_another_seed_give_another_order(self) -> None:
        first = self._epoch(self.build(), 0)
        require(
            self._epoch(self.build(), 1) != first,
            "epochs 0 and 1 give the same order: seed the generator with seed + epoch in __iter__",
        )
        require(self._epoch(self.build(seed=5), 0) != first, "seeds 0 and 5 give the same order: use the option seed")

    def test_processes_share_one_draw_and_take_turns(self) -> None:
        alone = self._epoch(self.build(), 2)
        # where the share is not whole some indices are drawn twice, and which is the sampler's to say
        ranks = next((n for n in range(2, len(alone)) if len(alone) % n == 0), 1)
        shares = []
        for rank in range(ranks):
            with (
                patch(f"{_DISTRIBUTED}.is_available", return_value=True),
                patch(f"{_DISTRIBUTED}.is_initialized", return_value=True),
                patch(f"{_DISTRIBUTED}.get_rank", return_value=rank),
                patch(f"{_DISTRIBUTED}.get_world_size", return_value=ranks),
            ):
                sampler = self.build()
                shares.append(self._epoch(sampler, 2))
                require(len(shares[-1]) == len(sampler), "len() must be the share of this process")
        for rank, share in enumerate(shares):
            require(
                share == alone[rank::ranks],
                f"process {rank} of {ranks} should take every {ranks}th index of the one draw from {rank} on; its "
                f"share begins {share[:5]}, not {alone[rank::ranks][:5]}: draw globally, then take "
                "[rank::world_size] of torch.distributed",
            )

    def test_a_pickled_copy_gives_the_same_order(self) -> None:
        sampler = self.build()
        with expecting("a sampler that can be pickled", "keep no lambda, generator or open file in it"):
            copied = pickle.loads(pickle.dumps(sampler))
        require(self._epoch(copied, 1) == self._epoch(sampler, 1), "a pickled copy draws other indices")

    def _epoch(self, sampler: Any, epoch: int | None = 0) -> list[int]:
        with expecting("set_epoch(epoch) and indices", "see medkit.contracts.Sampler"):
            if epoch is not None:
                sampler.set_epoch(epoch)
            return [operator.index(n) for n in sampler]
