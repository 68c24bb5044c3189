"""The network's two outputs, its padding, its loss, and that masks really guide it."""

import copy

import pytest
import torch
from torch.nn import functional

import medkit
from medkit.errors import CheckpointError, ConfigError

NAN = float("nan")
SMALL = {"in_channels": 1, "out_channels": 3, "channels": (4, 8, 8), "features": 4, "hidden": 8}


@pytest.fixture
def network():
    torch.manual_seed(0)
    return medkit.network("mask_guided", **SMALL).eval()


@pytest.mark.parametrize("size", [(16, 16), (17, 40), (1, 5), (64, 33)])
def test_logits_and_a_mask_of_the_images_size(network, size):
    logits, mask = network(torch.rand(2, 1, *size))
    assert logits.shape == (2, 3)
    assert mask.shape == (2, 1, *size)


def test_volumes_too():
    network = medkit.network("mask_guided", **SMALL, spatial_dims=3)
    logits, mask = network(torch.rand(2, 1, 16, 12, 9))
    assert logits.shape == (2, 3)
    assert mask.shape == (2, 1, 16, 12, 9)


def test_one_by_one_is_as_all_at_once(network):
    images = torch.rand(3, 1, 24, 24)
    together = network(images)
    alone = [network(image[None]) for image in images]
    for n, part in enumerate(together):
        torch.testing.assert_close(part, torch.cat([one[n] for one in alone]), atol=1e-5, rtol=1e-5)


def test_every_parameter_learns_from_the_loss(network):
    network.train()
    output = network(torch.rand(2, 1, 16, 16))
    medkit.loss("guided_cross_entropy")(output, (torch.eye(3)[:2], torch.ones(2, 1, 16, 16))).backward()
    # a bias in front of batch norm has no effect, so its gradient is 0
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_the_classes_come_from_inside_the_mask(network):
    """What the mask leaves out changes the evidence only through the image's averages."""
    inside = torch.zeros(1, 1, 32, 32)
    with torch.no_grad():
        network.to_mask.weight.zero_()
        network.to_mask.bias.fill_(-50)
        nothing = network(inside)
        network.to_mask.bias.fill_(50)
        everything = network(inside)
    assert (everything[1] > 0).all()
    assert (nothing[1] < 0).all()
    assert not torch.allclose(nothing[0], everything[0])


def test_the_loss_is_that_of_class_and_mask_by_hand():
    torch.manual_seed(0)
    logits, drawn = torch.randn(4, 3), torch.randn(4, 1, 8, 8)
    label, mask = torch.eye(3)[[0, 2, 1, 1]], (torch.rand(4, 1, 8, 8) < 0.3).float()
    weights = [1.0, 2.0, 0.5]
    loss = medkit.loss("guided_cross_entropy", mask_weight=0.5, label_smoothing=0.1, class_weights=weights)
    p = drawn.sigmoid()
    dice = 1 - (2 * (p * mask).sum((2, 3)) + 1) / (p.sum((2, 3)) + mask.sum((2, 3)) + 1)
    bce = functional.binary_cross_entropy_with_logits(drawn, mask)
    classes = functional.cross_entropy(logits, label.argmax(1), torch.tensor(weights), label_smoothing=0.1)
    torch.testing.assert_close(loss((logits, drawn), (label, mask)), classes + 0.5 * (dice.mean() + bce))


def test_what_is_unknown_is_skipped_and_nothing_known_is_zero():
    torch.manual_seed(0)
    logits, drawn = torch.randn(3, 3, requires_grad=True), torch.randn(3, 1, 4, 4, requires_grad=True)
    label, mask = torch.eye(3), torch.ones(3, 1, 4, 4)
    loss = medkit.loss("guided_cross_entropy")
    partly_label, partly_mask = label.clone(), mask.clone()
    partly_label[0], partly_mask[2] = NAN, NAN
    both = loss((logits, drawn), (partly_label, partly_mask))
    only_label = loss((logits[1:], drawn[1:]), (label[1:], mask[1:] * NAN))
    only_mask = loss((logits[:2], drawn[:2]), (label[:2] * NAN, mask[:2]))
    torch.testing.assert_close(both, only_label + only_mask)
    nothing = loss((logits, drawn), (label * NAN, mask * NAN))
    nothing.backward()
    assert nothing == 0
    assert not logits.grad.any()
    assert not drawn.grad.any()


def test_it_learns_a_class_that_only_the_inside_tells():
    """Two kinds of squares that differ in their brightness, on a background of random brightness."""
    torch.manual_seed(0)
    network = medkit.network("mask_guided", **{**SMALL, "out_channels": 2, "dropout": 0.0})
    loss, optimizer = medkit.loss("guided_cross_entropy"), torch.optim.AdamW(network.parameters(), 0.01)

    def batch(count):
        kind = torch.arange(count) % 2
        images, masks = torch.rand(count, 1, 1, 1).expand(-1, 1, 24, 24).clone(), torch.zeros(count, 1, 24, 24)
        for n in range(count):
            y, x = torch.randint(0, 16, (2,)).tolist()
            masks[n, :, y : y + 8, x : x + 8] = 1
            images[n, :, y : y + 8, x : x + 8] = torch.rand(8, 8) * (0.2 + 0.8 * kind[n])
        return images, functional.one_hot(kind, 2).float(), masks

    for _ in range(60):
        images, labels, masks = batch(16)
        optimizer.zero_grad()
        loss(network(images), (labels, masks)).backward()
        optimizer.step()
    images, labels, masks = batch(64)
    with torch.no_grad():
        logits, drawn = network.eval()(images)
    assert (logits.argmax(1) == labels.argmax(1)).float().mean() > 0.85
    overlap = ((drawn > 0) & (masks > 0)).sum() / ((drawn > 0) | (masks > 0)).sum()
    assert overlap > 0.6


def test_it_can_be_copied_and_saved(network, tmp_path):
    torch.save(network.state_dict(), tmp_path / "a.pt")
    other = copy.deepcopy(network)
    other.load_state_dict(torch.load(tmp_path / "a.pt", weights_only=True))
    images = torch.rand(1, 1, 16, 16)
    assert torch.equal(network(images)[0], other(images)[0])


def test_it_starts_from_a_file_of_weights(network, tmp_path):
    torch.save(network.state_dict(), tmp_path / "a.pt")
    other = medkit.network("mask_guided", **SMALL, weights=str(tmp_path / "a.pt"))
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in network.state_dict().items())
    with pytest.raises(CheckpointError, match="belongs to another network"):
        medkit.network("mask_guided", **{**SMALL, "hidden": 4}, weights=str(tmp_path / "a.pt"))


@pytest.mark.parametrize(("options", "word"), [({"channels": (4, 8)}, "levels"), ({"dropout": 1.0}, "dropout 1.0")])
def test_impossible_options_are_one_line(options, word):
    with pytest.raises(ConfigError, match=word):
        medkit.network("mask_guided", in_channels=1, out_channels=2, **options)
    with pytest.raises(ConfigError, match="mask_weight -1"):
        medkit.loss("guided_cross_entropy", mask_weight=-1)
