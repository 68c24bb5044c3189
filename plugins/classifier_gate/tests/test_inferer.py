"""Gated logits are the logits of gated probabilities, and a closed image teaches nothing."""

import copy

import pytest
import torch
from monai.engines import SupervisedTrainer
from monai.inferers import SlidingWindowInferer
from torch import nn

import medkit
from medkit.errors import ConfigError

LOSSES = ["bce", "mse", "dice"]


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def run(logits, gate, **options):
    """Gate logits as if a network had given them."""
    return medkit.transform("gated_inferer", **options)(logits, lambda x: x, torch.tensor(gate))


def test_the_sigmoid_of_soft_logits_is_the_product_and_so_is_its_gradient():
    x = (4 * numbers(5, 1, 6, 7)).double().requires_grad_()
    gate = torch.tensor([0.0, 0.01, 0.5, 0.999, 1.0], dtype=torch.float64)
    expected = gate[:, None, None, None] * torch.sigmoid(x)
    found = torch.sigmoid(medkit.transform("gated_inferer", mode="soft")(x, lambda x: x, gate))
    torch.testing.assert_close(found, expected)
    weights = numbers(5, 1, 6, 7, seed=1).double()
    ours, theirs = (torch.autograd.grad((weights * p).sum(), x)[0] for p in (found, expected))
    torch.testing.assert_close(ours, theirs)
    assert (ours[0] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("mode", ["hard", "soft"])
def test_extreme_logits_stay_finite_in_every_precision(mode, dtype):
    x = torch.tensor([-60000.0, -100, 0, 100, 60000]).to(dtype).expand(6, 1, 1, 5).clone().requires_grad_()
    logits = run(x, [0.0, 1e-7, 0.3, 1 - 1e-7, 1.0, torch.nan], mode=mode)
    assert logits.dtype == torch.float32
    assert logits.to(torch.float16).isfinite().all()
    for name in LOSSES:
        value = medkit.loss(name)(logits, torch.ones_like(logits))
        (gradient,) = torch.autograd.grad(value, x, retain_graph=True)
        assert value.isfinite()
        assert gradient.isfinite().all()
        assert (gradient[0] == 0).all()


def test_open_images_keep_their_logits_to_the_bit_and_closed_ones_are_empty():
    x = 10 * numbers(4, 1, 5, 5)
    for mode, gate in (("hard", [0.5, 0.49, torch.nan, 1.0]), ("soft", [1.0, 0.0, torch.nan, 1.0])):
        logits = run(x, gate, mode=mode)
        assert torch.equal(logits[[0, 2, 3]], x[[0, 2, 3]])
        assert (logits[1].sigmoid() < 1e-30).all()
    assert (run(x, [0.3] * 4, threshold=0.3 - 1e-6) == x).all()


def test_another_inferer_runs_the_network():
    network = nn.Conv2d(1, 1, 3, padding=1)
    x, gate = numbers(2, 1, 16, 16), torch.tensor([1.0, 0.0])
    window = SlidingWindowInferer((8, 8))
    logits = medkit.transform("gated_inferer", inferer=window)(x, network, gate)
    torch.testing.assert_close(logits[0], window(x, network)[0])
    assert (logits[1] < -50).all()


def test_a_missing_gate_and_wrong_options_are_named():
    inferer, x = medkit.transform("gated_inferer"), numbers(2, 1, 4, 4)
    with pytest.raises(ConfigError, match=r"2 images was asked for, none was found: use medkit\.PrepareBatch"):
        inferer(x, lambda x: x)
    with pytest.raises(ConfigError, match=r"shape \(3,\) was found"):
        inferer(x, lambda x: x, torch.ones(3))
    with pytest.raises(ConfigError, match='mode "of" is unknown: choose hard, soft or off'):
        medkit.transform("gated_inferer", mode="of")
    with pytest.raises(ConfigError, match=r"threshold 1\.5"):
        medkit.transform("gated_inferer", threshold=1.5)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1))


def trained(network, batch, loss, lr=0.1):
    """Return the weights after one step of SGD in MONAI's trainer."""
    network = copy.deepcopy(network)
    SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=1,
        train_data_loader=[batch],
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=lr),
        loss_function=medkit.loss(loss),
        prepare_batch=medkit.PrepareBatch(target="mask", extra=["gate"]),
        inferer=medkit.transform("gated_inferer"),
        decollate=False,
    ).run()
    return torch.cat([weight.detach().flatten() for weight in network.parameters()])


def batch_of(gate, seed=0):
    n = len(gate)
    mask = (numbers(n, 1, 8, 8, seed=seed + 1) > 0).float()
    return {"image": numbers(n, 1, 8, 8, seed=seed), "mask": mask, "gate": torch.tensor(gate)}


@pytest.mark.parametrize("loss", LOSSES)
def test_closed_images_change_nothing_but_the_mean_they_are_counted_in(network, loss):
    batch = batch_of([0.9, 0.1, torch.nan, 0.2, 0.6, 0.0])
    weights, closed = trained(network, batch, loss), [1, 3, 5]
    other = {key: value.clone() for key, value in batch.items()}
    other["image"][closed] += 5 * numbers(3, 1, 8, 8, seed=9)
    other["mask"][closed] = 1 - other["mask"][closed]
    assert torch.equal(trained(network, other, loss), weights)
    alone = {key: value[[0, 2, 4]] for key, value in batch.items()}
    torch.testing.assert_close(trained(network, alone, loss, lr=0.1 * 3 / 6), weights)
    everything = {**batch, "gate": torch.ones(6)}
    assert not torch.allclose(trained(network, everything, loss), weights, atol=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_batch_of_closed_images_leaves_the_weights_as_they_are(network, loss):
    before = torch.cat([weight.detach().flatten() for weight in network.parameters()])
    assert torch.equal(trained(network, batch_of([0.1, 0.2]), loss), before)


def test_a_gate_that_is_off_changes_nothing():
    x = numbers(3, 1, 2, 2)
    assert torch.equal(run(x, [0.0, 0.4, float("nan")], mode="off"), x)
