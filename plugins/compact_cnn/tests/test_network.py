import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from medkit_compact_cnn.network import smallest_side
from torch import nn

import medkit
from medkit.errors import ConfigError, DataError


def network(seed=0, **options):
    torch.manual_seed(seed)
    return medkit.network("compact_cnn", **{"in_channels": 1, "out_channels": 3, "spatial_size": 64, **options})


def parameters(of: nn.Module) -> int:
    return sum(parameter.numel() for parameter in of.parameters())


def test_the_published_number_of_parameters():
    cnn = network(spatial_size=512)
    assert parameters(cnn) == 5_238_147
    assert [layer.in_features for layer in cnn.classifier if isinstance(layer, nn.Linear)] == [16384, 256, 64]


def test_the_default_size_is_512():
    assert parameters(medkit.network("compact_cnn", in_channels=1, out_channels=3)) == 5_238_147


def test_layer_by_layer_it_is_the_architecture_of_its_description():
    torch.manual_seed(1)
    expected = nn.Sequential()
    for before, after in ((1, 64), (64, 128), (128, 256)):
        expected.extend(
            [nn.Conv2d(before, after, 5, stride=2, padding=2), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]
        )
    expected.extend([nn.Flatten(), nn.Linear(256 * 4, 256), nn.ReLU(), nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, 3)])
    cnn = network(spatial_size=128)
    cnn.load_state_dict(dict(zip(cnn.state_dict(), expected.state_dict().values(), strict=True)))
    pixels = torch.rand(2, 1, 128, 128, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(cnn(pixels), expected(pixels), rtol=1e-4, atol=1e-5)


@settings(max_examples=10, deadline=None)
@given(rows=st.integers(43, 150), columns=st.integers(43, 150), pool=st.booleans(), channels=st.integers(1, 3))
def test_any_size_from_the_smallest_on_gives_logits(rows, columns, pool, channels):
    cnn = network(in_channels=channels, channels=(4, 4, 8), spatial_size=(rows, columns), pool=pool).eval()
    logits = cnn(torch.rand(2, channels, rows, columns))
    assert logits.shape == (2, 3)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("blocks", [1, 2, 3, 4])
def test_the_smallest_side_is_exactly_the_smallest(blocks):
    side = smallest_side(blocks)
    network(channels=[2] * blocks, spatial_size=side).eval()(torch.rand(1, 1, side, side))
    with pytest.raises(ConfigError, match=f"{side - 1}×{side - 1} are too small for {blocks} blocks.*at least {side} "):
        network(channels=[2] * blocks, spatial_size=side - 1)


def test_volumes_have_logits_too():
    cnn = network(spatial_dims=3, channels=(4, 8), spatial_size=(16, 20, 24))
    assert cnn(torch.rand(2, 1, 16, 20, 24)).shape == (2, 3)


def test_logits_are_not_probabilities():
    cnn = network()
    nn.init.constant_(cnn.classifier[-1].bias, 7.0)
    assert (cnn(torch.rand(4, 1, 64, 64)) > 1).all()


def test_pool_drops_most_parameters_and_takes_other_sizes():
    cnn = network(spatial_size=512, pool=True).eval()
    assert parameters(cnn) == 5_238_147 - (16384 - 256) * 256
    assert cnn(torch.rand(1, 1, 100, 80)).shape == (1, 3)


def test_dropout_acts_in_training_only_and_changes_no_key():
    plain, dropped = network().eval(), network(dropout=0.5).eval()
    dropped.load_state_dict(plain.state_dict())
    pixels = torch.rand(4, 1, 64, 64)
    torch.testing.assert_close(plain(pixels), dropped(pixels))
    dropped.classifier.train()
    assert not torch.equal(dropped(pixels), dropped(pixels))


def test_it_learns_to_tell_bright_from_dark_on_the_left():
    cnn = network(channels=(8, 8, 8), hidden=(16,), out_channels=2)
    random = torch.Generator().manual_seed(0)
    target = torch.arange(32) % 2
    pixels = 0.1 * torch.rand(32, 1, 64, 64, generator=random)
    pixels[target == 1, :, :, :32] += 0.5
    optimizer = torch.optim.AdamW(cnn.parameters(), lr=1e-3)
    for _ in range(20):
        loss = nn.functional.cross_entropy(cnn(pixels), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (cnn.eval()(pixels).argmax(1) == target).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spatial_size": [64, 42]}, r"64×42 are too small for 3 blocks: give at least 43 pixels a side"),
        ({"spatial_size": [64]}, "has 1 sides: give 2, or one"),
        ({"spatial_dims": 1}, "spatial_dims is 1: choose 2 or 3"),
        ({"channels": []}, "at least one block"),
        ({"dropout": 1.0}, "dropout 1.0"),
        ({"spatial_sizes": 64}, 'Did you mean "spatial_size"'),
    ],
)
def test_a_wrong_option_says_what_to_give(options, message):
    with pytest.raises(ConfigError, match=message):
        network(**options)


def test_images_of_another_size_are_named():
    with pytest.raises(DataError, match=r"built for images of 64×64, found 64×96: resize, or set spatial_size"):
        network()(torch.rand(1, 1, 64, 96))
