import itertools
import math

import pytest
import torch
from torch import nn

import medkit
from medkit.errors import ConfigError, DataError

NETWORKS = ["vgg_like", "simple_cnn"]
SMALL = {"channels": (4, 4, 8, 8, 8), "hidden": (16, 16)}


def network(component="vgg_like", seed=0, **options):
    torch.manual_seed(seed)
    small = SMALL if component == "vgg_like" else {}
    return medkit.network(component, **{"in_channels": 1, "out_channels": 3, "spatial_size": 32, **small, **options})


def pixels(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def test_layer_by_layer_vgg_like_is_what_it_says():
    expected, before = nn.Sequential(), 1
    for maps in ([32], [64], [128, 128], [256, 256], [256, 256]):
        for after in maps:
            expected.extend([nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()])
            before = after
        expected.append(nn.MaxPool2d(2))
    expected.extend([nn.Flatten(), nn.Linear(256 * 2, 2048), nn.ReLU(), nn.Linear(2048, 2048), nn.ReLU()])
    expected.append(nn.Linear(2048, 3))
    vgg = medkit.network("vgg_like", in_channels=1, out_channels=3, spatial_size=(32, 64)).eval()
    expected.eval().load_state_dict(dict(zip(expected.state_dict(), vgg.state_dict().values(), strict=True)))
    images = pixels(1, 1, 32, 64)
    torch.testing.assert_close(vgg(images), expected(images), rtol=1e-4, atol=1e-5)


def test_layer_by_layer_simple_cnn_is_what_it_says():
    expected = nn.Sequential(nn.Conv2d(2, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2))
    expected.extend([nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64 * 40, 3)])
    cnn = network("simple_cnn", in_channels=2, spatial_size=(33, 20))
    expected.load_state_dict(dict(zip(expected.state_dict(), cnn.state_dict().values(), strict=True)))
    images = pixels(2, 2, 33, 20)
    torch.testing.assert_close(cnn(images), expected(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("side", [128, 256])
def test_parameters_are_those_counted_by_hand(side):
    maps = [1, 32, 64, 128, 128, 256, 256, 256, 256]
    convolutions = sum(9 * before * after + 2 * after for before, after in itertools.pairwise(maps))
    linear = (side // 32) ** 2 * 256 * 2048 + 2048 + 2048 * 2048 + 2048 + 2048 * 8 + 8
    by_hand = {
        "vgg_like": convolutions + linear,
        "simple_cnn": 25 * 32 + 32 + 25 * 32 * 64 + 64 + (side // 4) ** 2 * 64 * 8 + 8,
    }
    with torch.device("meta"):
        for component, expected in by_hand.items():
            made = medkit.network(component, in_channels=1, out_channels=8, spatial_size=side)
            assert sum(parameter.numel() for parameter in made.parameters()) == expected


@pytest.mark.parametrize("component", NETWORKS)
def test_weights_fill_xaviers_bounds_and_biases_are_zero(component):
    for module in network(component).modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            window = module.weight[0, 0].numel()
            bound = math.sqrt(6 / (window * (module.weight.shape[0] + module.weight.shape[1])))
            assert module.weight.abs().max() <= bound
            if module.weight.numel() > 100:
                assert module.weight.abs().max() > 0.9 * bound
                assert module.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.2)
            if module.bias is not None:
                assert not module.bias.any()


@pytest.mark.parametrize("component", NETWORKS)
@pytest.mark.parametrize("size", [(32, 32), (40, 70), (95, 33)])
def test_any_size_gives_logits_and_an_image_alone_the_same(component, size):
    made = network(component, in_channels=2, spatial_size=size).eval()
    images = pixels(3, 2, *size)
    logits = made(images)
    assert logits.shape == (3, 3)
    torch.testing.assert_close(made(images[:1]), logits[:1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("component", NETWORKS)
def test_every_parameter_gets_a_gradient(component):
    made = network(component, spatial_size=64)
    nn.functional.binary_cross_entropy_with_logits(made(pixels(4, 1, 64, 64)), torch.eye(4, 3)).backward()
    assert [name for name, weight in made.named_parameters() if weight.grad is None or not weight.grad.any()] == []


@pytest.mark.parametrize("component", NETWORKS)
def test_logits_are_not_probabilities(component):
    made = network(component)
    nn.init.constant_(made.classifier[-1].bias, 7.0)
    assert (made(pixels(4, 1, 32, 32)) > 1).all()


@pytest.mark.parametrize("component", NETWORKS)
def test_volumes_have_logits_too(component):
    assert network(component, spatial_dims=3).eval()(pixels(1, 1, 32, 32, 32)).shape == (1, 3)


def test_dropout_acts_in_training_only():
    plain, dropped = network().eval(), network(dropout=0.5).eval()
    images = pixels(4, 1, 32, 32)
    keys = dict(zip(dropped.state_dict(), plain.state_dict().values(), strict=True))
    dropped.load_state_dict(keys)
    torch.testing.assert_close(plain(images), dropped(images))
    dropped.classifier.train()
    assert not torch.equal(dropped(images), dropped(images))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spatial_size": [64, 31]}, "vgg_like: images of 64×31 are too small .* 5 times: give at least 32 pixels"),
        ({"component": "simple_cnn", "spatial_size": 3}, "simple_cnn: images of 3×3 are too small.*at least 4 pixels"),
        ({"spatial_size": [64]}, "has 1 sides: give 2, or one"),
        ({"spatial_dims": 1}, "spatial_dims is 1: choose 2 or 3"),
        ({"channels": []}, "give both for each block"),
        ({"convolutions": [1, 1]}, "give both for each block"),
        ({"dropout": 1.0}, "dropout 1.0"),
        ({"component": "simple_cnn", "hidden": 64}, 'has no option "hidden"'),
    ],
)
def test_a_wrong_option_says_what_to_give(options, message):
    with pytest.raises(ConfigError, match=message):
        network(**options)


@pytest.mark.parametrize("component", NETWORKS)
def test_images_of_another_size_are_named(component):
    with pytest.raises(DataError, match=f"{component} was built for images of 32×32, found 32×48: resize, or set"):
        network(component)(pixels(1, 1, 32, 48))
