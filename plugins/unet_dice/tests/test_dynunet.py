import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.networks import nets
from torch.nn import functional

import medkit
from medkit.errors import ConfigError


def dynunet(seed=0, **options):
    torch.manual_seed(seed)
    return medkit.network(
        "dynunet", **{"in_channels": 1, "out_channels": 1, "channels": (4, 6, 8), "strides": (2, 2, 2), **options}
    )


def images(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("first", [1, 2])
def test_it_is_monais_enlarged_to_the_image(first):
    network = dynunet(strides=(first, 2, 2)).eval()
    original = nets.DynUNet(2, 1, 1, [3] * 3, [first, 2, 2], [2, 2], filters=(4, 6, 8), norm_name="batch").eval()
    original.load_state_dict(network.state_dict())
    x = images(2, 1, 16, 24)
    expected = original(x)
    if first == 2:
        expected = functional.interpolate(expected, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(network(x), expected)


@settings(max_examples=20, deadline=None)
@given(
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    norm=st.sampled_from(["instance", "batch"]),
    residual=st.booleans(),
)
def test_any_size_gives_logits_of_that_size(rows, columns, norm, residual):
    logits = dynunet(norm=norm, residual=residual)(images(2, 1, rows, columns))
    assert logits.shape == (2, 1, rows, columns)
    assert torch.isfinite(logits).all()


def test_volumes_have_masks_too():
    assert dynunet(spatial_dims=3)(images(1, 1, 17, 16, 18)).shape == (1, 1, 17, 16, 18)


def test_dropout_acts_in_training_only():
    network, x = dynunet(dropout=0.3), images(1, 1, 16, 16)
    assert not torch.equal(network(x), network(x))
    network.eval()
    torch.testing.assert_close(network(x), network(x))


def test_it_finds_where_a_bright_square_is():
    network = dynunet()
    target = torch.zeros(8, 1, 24, 24)
    for i in range(7):  # the eighth mask is empty
        target[i, :, i : i + 12, 10 - i : 22 - i] = 1
    x = 0.7 * target + 0.2 * images(8, 1, 24, 24)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    loss = medkit.loss("dice_bce")
    for _ in range(60):
        value = loss(network(x), target)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    assert ((network(x) > 0) == (target > 0)).float().mean() > 0.97


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strides": (2, 2)}, "2 strides for 3 channels: give as many strides"),
        ({"channels": (4, 8), "strides": (2, 2)}, "make too few levels: give at least 3"),
        ({"norm": "layer"}, "choose instance or batch"),
        ({"filters": (4, 8)}, 'has no option "filters"'),
    ],
)
def test_a_wrong_option_says_what_to_give(options, message):
    with pytest.raises(ConfigError, match=message):
        dynunet(**options)
