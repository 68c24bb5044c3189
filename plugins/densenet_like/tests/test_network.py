import math

import pytest
import torch
from torch import nn

import medkit
from medkit.errors import ConfigError, DataError


def network(seed=0, **options):
    torch.manual_seed(seed)
    return medkit.network("densenet_like", **{"in_channels": 4, "out_channels": 3, "spatial_size": 94, **options})


def pixels(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def leaves(module):
    return [part for part in module.modules() if not list(part.children())]


def conv(before, after, kernel, padding=0):
    return (nn.Conv2d, before, after, (kernel, kernel), (padding, padding), (1, 1))


def norm(maps):
    return (nn.BatchNorm2d, maps)


def described(part):
    """Return what a layer is, as a tuple."""
    match part:
        case nn.Conv2d():
            assert part.bias is not None
            return (nn.Conv2d, part.in_channels, part.out_channels, part.kernel_size, part.padding, part.stride)
        case nn.BatchNorm2d() | nn.BatchNorm1d():
            return (type(part), part.num_features)
        case nn.Linear():
            return (nn.Linear, part.in_features, part.out_features)
        case nn.MaxPool2d():
            return (nn.MaxPool2d, part.kernel_size, part.stride)
        case nn.Dropout():
            return (nn.Dropout, part.p)
    return (type(part),)


def test_layer_by_layer_it_is_the_reports():
    relu, pool, p = (nn.ReLU,), (nn.MaxPool2d, 2, 2), (nn.Dropout, 0.3)
    expected = [norm(4)]
    for before, after in ((4, 8), (8, 8), (8, 16)):
        expected += [conv(before, after, 3), relu, norm(after)]
    expected += [pool, p]
    for kernel, padding in ((1, 0), (3, 1), (5, 2), (7, 3)):
        expected += [conv(16, 16, kernel, padding), relu]
    expected += [norm(64), pool, p]
    for before, after in ((64, 32), (32, 64), (64, 128)):
        expected += [conv(before, after, 3), relu, norm(after), pool, p]
    expected += [(nn.Flatten,), (nn.Dropout, 0.5), (nn.Linear, 128 * 2 * 4, 28), relu, (nn.BatchNorm1d, 28)]
    expected += [(nn.Dropout, 0.1), (nn.Linear, 28, 5)]
    made = network(out_channels=5, spatial_size=(128, 190), dropout=0.3)
    assert [described(part) for part in leaves(made)] == expected


def test_it_computes_what_the_layers_say():
    """The same weights in functions: the order of the layers counts, and the four convolutions see one input."""
    made = network(in_channels=2)
    for part in made.modules():  # statistics that are not those of a fresh network
        if isinstance(part, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.uniform_(part.running_mean)
            nn.init.uniform_(part.running_var, 0.5, 2)
    made.eval()
    images = pixels(2, 2, 94, 94)
    steps = iter(
        [part for part in leaves(made) if isinstance(part, nn.Conv2d | nn.BatchNorm2d | nn.BatchNorm1d | nn.Linear)]
    )

    def convolved(x):
        part = next(steps)
        return nn.functional.conv2d(x, part.weight, part.bias, padding=part.padding).clamp(min=0)

    def normed(x):
        part = next(steps)
        mean, std, weight, bias = (
            v.reshape(-1, *[1] * (x.ndim - 2))
            for v in (part.running_mean, (part.running_var + part.eps).sqrt(), part.weight, part.bias)
        )
        return (x - mean) / std * weight + bias

    x = normed(images)
    for _ in range(3):
        x = normed(convolved(x))
    x = nn.functional.max_pool2d(x, 2)
    x = nn.functional.max_pool2d(normed(torch.cat([convolved(x) for _ in range(4)], 1)), 2)
    for _ in range(3):
        x = nn.functional.max_pool2d(normed(convolved(x)), 2)
    x = normed(next(steps)(x.reshape(2, -1)).clamp(min=0))
    expected = next(steps)(x)
    torch.testing.assert_close(made(images), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("side", "left"), [(94, 1), (128, 2), (256, 6), (512, 14)])
def test_parameters_are_those_counted_by_hand(side, left):
    convolutions = 9 * (4 * 8 + 8 * 8 + 8 * 16) + 32 + (1 + 9 + 25 + 49) * 16 * 16 + 64
    convolutions += 9 * (64 * 32 + 32 * 64 + 64 * 128) + 224
    norms = 2 * (4 + 8 + 8 + 16 + 64 + 32 + 64 + 128 + 28)
    linear = left**2 * 128 * 28 + 28 + 28 * 28 + 28
    with torch.device("meta"):
        made = medkit.network("densenet_like", in_channels=4, out_channels=28, spatial_size=side)
    assert sum(parameter.numel() for parameter in made.parameters()) == convolutions + norms + linear


@pytest.mark.parametrize("size", [(94, 94), (97, 140)])
def test_any_size_gives_logits_and_an_image_alone_the_same(size):
    made = network(spatial_size=size).eval()
    images = pixels(3, 4, *size)
    logits = made(images)
    assert logits.shape == (3, 3)
    torch.testing.assert_close(made(images[:1]), logits[:1], rtol=1e-4, atol=1e-5)


def test_every_parameter_gets_a_gradient():
    made = network()
    nn.functional.binary_cross_entropy_with_logits(made(pixels(8, 4, 94, 94)), torch.eye(8, 3)).backward()
    assert [name for name, weight in made.named_parameters() if weight.grad is None or not weight.grad.any()] == []


def test_weights_fill_xaviers_bounds_and_biases_are_zero():
    for part in leaves(network(spatial_size=128)):
        if isinstance(part, nn.Conv2d | nn.Linear):
            window = part.weight[0, 0].numel()
            bound = math.sqrt(6 / (window * sum(part.weight.shape[:2])))
            assert 0.9 * bound < part.weight.abs().max() <= bound
            assert not part.bias.any()


def test_logits_are_not_probabilities():
    made = network().eval()
    nn.init.constant_(made.classifier[-1].bias, 7.0)
    assert (made(pixels(2, 4, 94, 94)) > 1).all()


def test_volumes_have_logits_too():
    with torch.device("meta"):
        made = network(spatial_dims=3).eval()
        assert made(torch.empty(1, 4, 94, 94, 94)).shape == (1, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spatial_size": [128, 93]}, "images of 128×93 are too small: give at least 94 a side"),
        ({"spatial_size": [128]}, r"spatial_size \[128\]: give 2 sides, or one"),
        ({"spatial_dims": 1}, "spatial_dims is 1: choose 2 or 3"),
        ({"dropout": 1.0}, "dropout 1.0: give a probability"),
        ({"drop": 0.1}, 'has no option "drop". Did you mean "dropout"'),
    ],
)
def test_a_wrong_option_says_what_to_give(options, message):
    with pytest.raises(ConfigError, match=message):
        network(**options)


def test_images_of_another_size_are_named():
    with pytest.raises(DataError, match="densenet_like was built for images of 94×94, found 94×96: resize or set"):
        network()(pixels(1, 4, 94, 96))
