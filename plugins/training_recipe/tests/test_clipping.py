import pytest
import torch
from ignite.engine import Engine
from torch import nn

import medkit
from medkit.errors import ConfigError


def trainer_of(network, optimizer, steps=1):
    """Return an engine that pushes every weight up, stepping in every ``steps``-th iteration."""

    def iteration(engine, batch):
        sum(-weight.sum() for weight in network.parameters()).backward()
        if engine.state.iteration % steps == 0:
            optimizer.step()
            optimizer.zero_grad()

    return Engine(iteration)


def test_every_weight_is_within_the_limits_after_each_step():
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.3)
    trainer = trainer_of(network, optimizer)
    seen = []
    medkit.handler("weight_clipping", optimizer=optimizer, limit=2).attach(trainer)
    optimizer.register_step_post_hook(lambda *_: seen.append(max(w.abs().max().item() for w in network.parameters())))
    trainer.run(range(10))
    assert max(seen) == 2
    assert all((weight == 2).all() for weight in network.parameters())


def test_weights_within_the_limits_and_the_gradient_stay_untouched():
    network = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    before = [weight.detach().clone() for weight in network.parameters()]
    medkit.handler("weight_clipping", optimizer=optimizer).attach(trainer := trainer_of(network, optimizer))
    trainer.run(range(3))
    for was, weight in zip(before, network.parameters()):
        torch.testing.assert_close(weight.detach(), was + 0.3)


def test_iterations_without_a_step_clip_nothing():
    network = nn.Linear(1, 1)
    nn.init.constant_(network.weight, 9.0)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    trainer = trainer_of(network, optimizer, steps=2)
    medkit.handler("weight_clipping", optimizer=optimizer).attach(trainer)
    trainer.run(range(1))
    assert network.weight.item() == 9
    trainer.run(range(2), max_epochs=2)
    assert network.weight.item() == 5


@pytest.mark.parametrize("limit", [0, -1.0, float("nan")])
def test_an_impossible_limit_is_named(limit):
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
    with pytest.raises(ConfigError, match="give a number above 0"):
        medkit.handler("weight_clipping", optimizer=optimizer, limit=limit)
