import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.networks import nets

import medkit
from medkit.errors import ConfigError

SMALL = {"channels": (4, 6, 8), "strides": (2, 2)}


def unet(seed=0, **options):
    torch.manual_seed(seed)
    return medkit.network("unet", **{"in_channels": 1, "out_channels": 1, **SMALL, **options})


def images(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_where_nothing_is_padded_it_is_monais_under_the_same_keys():
    network = unet(num_res_units=2).eval()
    original = nets.UNet(2, 1, 1, (4, 6, 8), (2, 2), num_res_units=2).eval()
    original.load_state_dict(network.state_dict())
    x = images(2, 1, 16, 24)
    torch.testing.assert_close(network(x), original(x))


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    norm=st.sampled_from(["instance", "batch"]),
    units=st.integers(0, 2),
)
def test_any_size_gives_logits_of_that_size(rows, columns, norm, units):
    logits = unet(norm=norm, num_res_units=units)(images(2, 1, rows, columns))
    assert logits.shape == (2, 1, rows, columns)
    assert torch.isfinite(logits).all()


def test_padding_repeats_the_last_rows_and_columns():
    network = unet().eval()
    x = images(1, 1, 13, 15)
    repeated = x[:, :, [*range(13), 12, 12, 12]][:, :, :, [*range(15), 14]]
    torch.testing.assert_close(network(x), network(repeated)[:, :, :13, :15])


def test_strides_that_differ_by_level_and_volumes():
    assert unet(strides=(2, 4))(images(1, 1, 9, 30)).shape == (1, 1, 9, 30)
    assert unet(spatial_dims=3)(images(1, 1, 9, 10, 11)).shape == (1, 1, 9, 10, 11)


def test_dropout_acts_in_training_only():
    network = unet(dropout=0.3)
    x = images(1, 1, 16, 16)
    assert not torch.equal(network(x), network(x))
    network.eval()
    torch.testing.assert_close(network(x), network(x))


@pytest.mark.parametrize("loss", ["dice", "bce", "mse", "dice_bce"])
def test_it_learns_bright_squares_with_every_loss(loss):
    network = unet(norm="batch", num_res_units=0)
    target = torch.zeros(8, 1, 20, 20)
    for i in range(7):  # the eighth mask is empty
        target[i, :, i : i + 8, 10 - i : 18 - i] = 1
    x = 0.7 * target + 0.2 * images(8, 1, 20, 20)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    measure = medkit.loss(loss)
    for _ in range(80):
        value = measure(network(x), target)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    found = network(x) > 0
    assert (found == (target > 0)).float().mean() > 0.98


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strides": (2,)}, "1 strides for 3 channels: give one stride fewer"),
        ({"channels": (4,), "strides": ()}, r"channels \[4\] make too few levels: give at least 2"),
        ({"norm": "layer"}, 'norm "layer" is unknown: choose instance or batch'),
        ({"dropout": 1.0}, "dropout 1.0"),
        ({"chanels": (4, 8)}, 'Did you mean "channels"'),
    ],
)
def test_a_wrong_option_says_what_to_give(options, message):
    with pytest.raises(ConfigError, match=message):
        unet(**options)
