"""A budget of CPU time: how it is spent is decided by a clock, which the tests set."""

import math

import pytest
import torch
from ignite.engine import Engine, Events
from torch import nn

import medkit
from medkit.errors import ConfigError


@pytest.fixture
def clock(monkeypatch):
    """Return a CPU clock that stands still unless an iteration moves it."""
    now = {"seconds": 100.0}
    monkeypatch.setattr("medkit_training_recipe.budget.time.process_time", lambda: now["seconds"])
    return now


def train(clock, epochs=100, iterations=5, cost=1.0, state=None, **options):
    """Return (iteration, learning rate) pairs, the epochs that were completed, and the budget."""
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.5)
    rates, completed = [], []

    def iteration(engine, batch):
        rates.append(optimizer.param_groups[0]["lr"])
        clock["seconds"] += cost

    trainer = Engine(iteration)
    budget = medkit.handler("cpu_budget", optimizer=optimizer, **options)
    if state:
        budget.load_state_dict(state)
    budget.attach(trainer)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda e: completed.append(e.state.epoch))
    trainer.run(range(iterations), max_epochs=epochs)
    return rates, completed, budget


def test_training_ends_when_the_budget_is_spent_and_its_last_epoch_counts(clock):
    rates, completed, budget = train(clock, seconds=12)
    assert len(rates) == 12  # two whole epochs and two iterations
    assert completed == [1, 2, 3]
    assert budget.spent == 12


def test_the_rate_rises_linearly_and_falls_along_a_cosine(clock):
    rates, *_ = train(clock, seconds=20, warm_up=0.25)
    rising = [0.5 * n / 5 for n in range(5)]
    falling = [0.25 * (1 + math.cos(math.pi * n / 15)) for n in range(15)]
    assert rates == pytest.approx(rising + falling)


def test_a_budget_that_was_spent_before_trains_no_more(clock):
    rates, completed, _ = train(clock, state={"spent": 12.0}, seconds=12)
    assert (rates, completed) == ([], [])


def test_a_step_takes_a_tenth_from_half_of_the_budget_on(clock):
    rates, *_ = train(clock, seconds=10, warm_up=0, decay="step")
    assert rates == pytest.approx([0.5] * 5 + [0.05] * 5)


def test_without_warm_up_and_decay_the_rate_stays(clock):
    rates, *_ = train(clock, seconds=5, warm_up=0, decay="none")
    assert rates == [0.5] * 5


def test_a_resumed_training_spends_what_is_left(clock):
    rates, *_ = train(clock, seconds=20, state={"spent": 14.0})
    assert len(rates) == 6


def test_what_was_spent_before_training_does_not_count(clock):
    clock["seconds"] += 1000
    assert len(train(clock, seconds=3)[0]) == 3


def test_real_cpu_time_is_what_ends_it():
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
    trainer = Engine(lambda engine, batch: sum(range(20000)))
    medkit.handler("cpu_budget", optimizer=optimizer, seconds=0.05).attach(trainer)
    trainer.run(range(10), max_epochs=10**6)
    assert 0 < trainer.state.epoch < 10**6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seconds": 0}, "number above 0"),
        ({"seconds": 1, "warm_up": 1.5}, "0…1"),
        ({"seconds": 1, "decay": "linear"}, "cosine, step or none"),
    ],
)
def test_impossible_options_are_refused(options, message):
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
    with pytest.raises(ConfigError, match=message):
        medkit.handler("cpu_budget", optimizer=optimizer, **options)
