import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import medkit
from medkit.errors import ConfigError

LABELS = (np.random.default_rng(1).random((601, 4)) < [0.4, 0.2, 0.1, 0.03]).astype(np.float32)


def sampler(**options):
    return medkit.sampler("balanced", labels=LABELS, **options)


def class_counts(indices):
    drawn = LABELS[list(indices)]
    return np.append(drawn.sum(axis=0), (drawn.sum(axis=1) == 0).sum())


def test_one_epoch_has_every_class_almost_equally_often():
    counts = class_counts(sampler(num_samples=20_000))
    assert counts.max() / counts.min() < 1.003


def test_each_image_is_drawn_as_often_as_its_probability_says():
    balanced = sampler(num_samples=5000)
    expected = 5000 * balanced.probabilities
    drawn = np.bincount(list(balanced), minlength=len(LABELS))
    assert (np.abs(drawn - expected) < 1).all()
    mean = np.mean(
        [np.bincount(sampler(num_samples=5000, seed=s).draw(5000), minlength=601) for s in range(400)], axis=0
    )
    np.testing.assert_allclose(mean, expected, atol=0.15)


def test_epoch_and_seed_decide_the_order_and_nothing_else_does():
    first, again = sampler(seed=3), sampler(seed=3)
    assert list(first) == list(first) == list(again)
    epochs = []
    for epoch in range(3):
        first.set_epoch(epoch)
        epochs.append(list(first))
    assert epochs[0] != epochs[1] != epochs[2]
    again.set_epoch(2)
    assert list(again) == epochs[2]
    assert list(sampler(seed=5)) == epochs[2]


@pytest.mark.parametrize("world_size", [2, 3, 8])
def test_ranks_share_one_global_draw_and_have_equally_many(world_size):
    ranks = [sampler(rank=rank, world_size=world_size, num_samples=1000) for rank in range(world_size)]
    shares = [list(rank) for rank in ranks]
    assert {len(share) for share in shares} == {len(rank) for rank in ranks} == {-(-1000 // world_size)}
    together = [index for step in zip(*shares) for index in step]
    np.testing.assert_array_equal(together, ranks[0].draw(len(together)))
    counts = class_counts(together)
    assert counts.max() - counts.min() < 12


def test_process_group_that_starts_after_the_sampler_is_respected(monkeypatch):
    balanced = sampler()
    alone = list(balanced)
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    halves = []
    for rank in range(2):
        monkeypatch.setattr(torch.distributed, "get_rank", lambda rank=rank: rank)
        halves.append(list(balanced))
        assert len(balanced) == len(halves[-1]) == 301
    assert len(alone) == 601
    np.testing.assert_array_equal(np.ravel(halves, order="F"), balanced.draw(602))


def test_torch_loader_takes_it_and_never_sees_unreadable_images():
    labels = LABELS.copy()
    labels[::3] = np.nan
    balanced = medkit.sampler("balanced", labels=labels, num_samples=500)
    loader = DataLoader(TensorDataset(torch.arange(len(labels))), batch_size=64, sampler=balanced)
    seen = torch.cat([batch for (batch,) in loader])
    assert len(seen) == len(balanced) == 500
    assert (seen % 3 != 0).all()


def test_few_draws_and_one_image_work():
    assert len(list(sampler(num_samples=1))) == 1
    assert list(medkit.sampler("balanced", labels=np.ones((1, 2)), num_samples=3)) == [0, 0, 0]


@pytest.mark.parametrize("options", [{"num_samples": 0}, {"rank": 1}, {"rank": 2, "world_size": 2}, {"rnk": 0}])
def test_wrong_options_are_errors(options):
    with pytest.raises(ConfigError):
        sampler(**options)
