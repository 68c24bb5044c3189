"""The average, seen by itself and through MONAI's trainer with medkit's checkpoints."""

import copy
from types import SimpleNamespace

import pytest
import torch
from ignite.engine import Engine, Events
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.handlers import ValidationHandler
from torch import nn

import medkit
from medkit.errors import CheckpointError, ConfigError

SAMPLES = [{"image": torch.full((1, 8, 8), i / 12), "label": torch.tensor([float(i % 2)])} for i in range(12)]


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 1))


def copied(of: nn.Module) -> dict[str, torch.Tensor]:
    return copy.deepcopy(of.state_dict())


def training(folder, epochs, order="before", decay=0.9, ema=True):
    """Return a trainer with everything that a bundle's has, not yet run; ``seen`` is what validation saw."""
    net = network()
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 5)
    seen = []
    data = Dataset(SAMPLES)
    evaluator = SupervisedEvaluator("cpu", DataLoader(data, batch_size=4), net)
    evaluator.add_event_handler(Events.STARTED, lambda: seen.append(copied(net)))
    average = medkit.handler("ema", model=net, optimizer=optimizer, decay=decay) if ema else None
    validation = ValidationHandler(validator=evaluator, interval=1, epoch_level=True)
    handlers = [average, validation] if order == "before" else [validation, average]
    trainer = SupervisedTrainer(
        "cpu",
        epochs,
        DataLoader(data, batch_size=4, shuffle=True),
        net,
        optimizer,
        nn.functional.binary_cross_entropy_with_logits,
        train_handlers=[
            medkit.EpochSeed(seed=3),
            *filter(None, handlers),
            medkit.Checkpoints(net, optimizer, str(folder / "model.pt"), lr_scheduler=schedule),
        ],
    )
    return SimpleNamespace(trainer=trainer, net=net, optimizer=optimizer, seen=seen, ema=average)


def assert_equal(one, other):
    torch.testing.assert_close(dict(one), dict(other), rtol=0, atol=0)


def test_the_average_is_the_sum_by_hand():
    net = nn.Linear(1, 1, bias=False)
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    weights, averages = [0.0, 3.0, 1.0, -4.0, 8.0, 2.0], []

    def iteration(engine, target):
        with torch.no_grad():
            net.weight.fill_(target)
        net.weight.grad = torch.zeros_like(net.weight)
        optimizer.step()
        averages.append(ema.other.module.weight.item())

    ema = medkit.handler("ema", model=net, optimizer=optimizer, decay=0.25)
    trainer = Engine(iteration)
    ema.attach(trainer)
    trainer.run(weights)
    expected, value = [], weights[0]
    for n, weight in enumerate(weights):
        decay = min(0.25, (1 + n) / (10 + n))
        value = weight if n == 0 else decay * value + (1 - decay) * weight
        expected.append(value)
    assert averages == pytest.approx(expected)
    assert net.weight.item() == pytest.approx(expected[-1])  # in the end the model holds the average


@pytest.mark.parametrize("order", ["before", "behind"])
def test_validation_and_the_file_have_the_average_wherever_the_handler_stands(tmp_path, order):
    run = training(tmp_path, 3, order)
    trained = []
    run.optimizer.register_step_post_hook(lambda *_: trained.append(copied(run.net)))
    run.trainer.run()
    assert_equal(run.seen[-1], torch.load(tmp_path / "model.pt", weights_only=True))
    assert_equal(run.seen[-1], run.net.state_dict())
    assert_equal(run.ema.other.module.state_dict(), trained[-1])
    assert not torch.equal(run.seen[-1]["4.weight"], trained[-1]["4.weight"])
    assert not torch.equal(run.seen[-1]["1.running_mean"], trained[-1]["1.running_mean"])


def test_training_itself_is_not_changed(tmp_path):
    with_average, without = training(tmp_path / "a", 3), training(tmp_path / "b", 3, ema=False)
    with_average.trainer.run()
    without.trainer.run()
    assert_equal(with_average.ema.other.module.state_dict(), without.net.state_dict())


def test_the_file_loads_into_the_plain_network(tmp_path):
    training(tmp_path, 1).trainer.run()
    evaluator = SupervisedEvaluator("cpu", DataLoader(Dataset(SAMPLES), batch_size=4), plain := network(seed=9))
    medkit.LoadCheckpoint(str(tmp_path / "model.pt"), plain).attach(evaluator)
    evaluator.run()
    assert_equal(plain.state_dict(), torch.load(tmp_path / "model.pt", weights_only=True))


@pytest.mark.parametrize("stop_at", [4, 6])
def test_a_killed_run_continues_to_the_same_result(tmp_path, stop_at):
    whole = training(tmp_path / "whole", 4)
    whole.trainer.run()

    def die(engine):
        if engine.state.iteration == stop_at + 1:
            raise KeyboardInterrupt

    killed = training(tmp_path / "killed", 4)
    killed.trainer.add_event_handler(Events.ITERATION_STARTED, die)
    with pytest.raises(KeyboardInterrupt):
        killed.trainer.run()
    assert (tmp_path / "killed" / "checkpoint.pt").is_file()
    resumed = training(tmp_path / "killed", 4)
    resumed.trainer.run()
    assert_equal(resumed.net.state_dict(), whole.net.state_dict())
    assert_equal(resumed.ema.other.module.state_dict(), whole.ema.other.module.state_dict())
    files = [torch.load(tmp_path / name / "model.pt", weights_only=True) for name in ("killed", "whole")]
    assert_equal(*files)


def test_a_checkpoint_without_an_average_is_named(tmp_path):
    plain = training(tmp_path, 4, ema=False)
    plain.trainer.add_event_handler(Events.EPOCH_STARTED(once=2), lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        plain.trainer.run()
    with pytest.raises(CheckpointError, match="of a run without ema"):
        training(tmp_path, 4).trainer.run()


def test_data_of_unknown_length_ends_in_the_average_too():
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    def iteration(engine, batch):
        net(torch.rand(2, 1, 8, 8)).sum().backward()
        optimizer.step()

    ema = medkit.handler("ema", model=net, optimizer=optimizer)
    ema.attach(trainer := Engine(iteration))
    trainer.run(iter(range(5)))
    assert ema.model_is_average
    assert int(ema.other.n_averaged) == 5


@pytest.mark.parametrize("decay", [0.0, 1.0, 1.5])
def test_an_impossible_decay_is_named(decay):
    net = network()
    with pytest.raises(ConfigError, match="between 0 and 1"):
        medkit.handler("ema", model=net, optimizer=torch.optim.SGD(net.parameters(), lr=0.1), decay=decay)
