"""Batch norm folded into the convolutions: the plain network gives the same logits."""

import pytest
import torch
from ignite.engine import Engine

import medkit
from medkit.card import read_card, write_card
from medkit.errors import ConfigError


@pytest.fixture(scope="module")
def trained():
    """A VGG16 with batch norm whose statistics and scales are not those of the start."""
    torch.manual_seed(0)
    network = medkit.network("vgg16", in_channels=1, out_channels=2, head="average", batch_norm=True)
    with torch.no_grad():
        for layer in network.features:
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.running_mean.uniform_(-0.5, 0.5)
                layer.running_var.uniform_(0.5, 2)
                layer.weight.uniform_(0.5, 1.5)
                layer.bias.uniform_(-0.5, 0.5)
    return network


def test_the_plain_network_computes_the_same(trained, tmp_path):
    weights, output = tmp_path / "bn.pt", tmp_path / "plain.pt"
    torch.save(trained.state_dict(), weights)
    write_card(weights, labels=["Mass", "Nodule"], synthetic=True, epoch=3)
    trainer = Engine(lambda engine, batch: None)
    options = {"network": trained, "weights": str(weights), "output": str(output)}
    medkit.handler("fold_batch_norm", **options).attach(trainer)
    trainer.run([0])
    plain = medkit.network(
        "vgg16", in_channels=1, out_channels=2, head="average", weights=output, labels=["Mass", "Nodule"]
    )
    images = torch.rand(2, 1, 48, 32)
    with torch.inference_mode():
        torch.testing.assert_close(plain.eval()(images), trained.eval()(images), rtol=1e-4, atol=1e-4)
    card = read_card(output)
    assert (card.labels, card.synthetic, card.epoch) == (["Mass", "Nodule"], True, 3)


def test_keys_are_those_of_torchvision(trained):
    convolutions = [0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40]
    found = [int(key.split(".")[1]) for key in trained.state_dict() if key.endswith("running_var")]
    assert found == [number + 1 for number in convolutions]


def test_another_network_is_refused():
    with pytest.raises(ConfigError, match="batch_norm: true"):
        medkit.handler("fold_batch_norm", network=torch.nn.Linear(1, 1), weights="a", output="b")
