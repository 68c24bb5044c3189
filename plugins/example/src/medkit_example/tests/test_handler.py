import pytest
import torch
from ignite.engine import Engine
from torch import nn

import medkit
from medkit.errors import ConfigError
from medkit.testing import HandlerConformance


class TestContract(HandlerConformance):
    component = "gradient_clipping"


def trained(slope, **options):
    """Return a linear layer's weights, at first 0, after a step of 1 against a gradient of ``slope`` each."""
    network = nn.Linear(4, 1, bias=False)
    nn.init.zeros_(network.weight)
    optimizer = torch.optim.SGD(network.parameters(), lr=1)

    def iteration(engine, batch):
        (slope * network.weight.sum()).backward()
        optimizer.step()

    trainer = Engine(iteration)
    medkit.handler("gradient_clipping", optimizer=optimizer, **options).attach(trainer)
    trainer.run([0])
    return network.weight.detach()


def test_a_long_gradient_is_scaled_to_the_limit():
    torch.testing.assert_close(trained(10, max_norm=2), torch.full((1, 4), -1.0))


def test_a_short_gradient_stays_as_it_is():
    torch.testing.assert_close(trained(0.25, max_norm=2), torch.full((1, 4), -0.25))


@pytest.mark.parametrize("max_norm", [0, float("nan")])
def test_an_impossible_limit_is_named(max_norm):
    with pytest.raises(ConfigError, match="give a number above 0"):
        trained(1, max_norm=max_norm)
