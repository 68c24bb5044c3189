import urllib.error

import pytest
import torch
from medkit_bn_inception import network as code
from torch import nn
from torch.nn import functional

import medkit
from medkit.card import write_card
from medkit.errors import CheckpointError, ConfigError

ABC = ["A", "B", "C"]
NORM = ("weight", "bias", "running_mean", "running_var")
URL = "http://data.lip6.fr/cadene/pretrainedmodels/bn_inception-52deb4733.pth"
BRANCHES = {"1x1": 1, "3x3_reduce": 1, "3x3": 3, "double_3x3_reduce": 1, "double_3x3_1": 3, "double_3x3_2": 3}
BRANCHES |= {"pool_proj": 1}
PUBLISHED = {  # the maps that go in, and those of each branch's layers
    "3a": (192, 64, 64, 64, 64, 96, 96, 32),
    "3b": (256, 64, 64, 96, 64, 96, 96, 64),
    "3c": (320, None, 128, 160, 64, 96, 96, None),
    "4a": (576, 224, 64, 96, 96, 128, 128, 128),
    "4b": (576, 192, 96, 128, 96, 128, 128, 128),
    "4c": (576, 160, 128, 160, 128, 160, 160, 128),
    "4d": (608, 96, 128, 192, 160, 192, 192, 128),
    "4e": (608, None, 128, 192, 192, 256, 256, None),
    "5a": (1056, 352, 192, 320, 160, 224, 224, 128),
    "5b": (1024, 352, 192, 320, 192, 224, 224, 128),
}


@pytest.fixture
def thin(monkeypatch):
    """The same network with few maps."""
    monkeypatch.setattr(code, "STEM", (4, 3, 5))
    few = {name: tuple(w if callable(w) else -(-w // 64) for w in widths) for name, widths in code.BLOCKS.items()}
    monkeypatch.setattr(code, "BLOCKS", few)


def bn_inception(seed=0, **options) -> nn.Module:
    torch.manual_seed(seed)
    network = medkit.network("bn_inception", **{"in_channels": 1, "out_channels": 3, **options})
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and options.get("weights") is None:
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.1, 0.3)
            nn.init.normal_(module.bias, std=0.3)
    return network


def images(channels=1, rows=76, columns=50) -> torch.Tensor:
    return torch.rand(2, channels, rows, columns, generator=torch.Generator().manual_seed(1))


def published_shapes() -> dict[str, tuple[int, ...]]:
    """The keys and shapes of the published file, in its order."""
    layers = {"conv1_7x7_s2": (64, 3, 7), "conv2_3x3_reduce": (64, 64, 1), "conv2_3x3": (192, 64, 3)}
    for name, (given, *widths) in PUBLISHED.items():
        maps = dict(zip(BRANCHES, widths, strict=True))
        before = dict.fromkeys(BRANCHES, given) | {
            "3x3": maps["3x3_reduce"],
            "double_3x3_1": maps["double_3x3_reduce"],
            "double_3x3_2": maps["double_3x3_1"],
        }
        layers |= {
            f"inception_{name}_{part}": (maps[part], before[part], size)
            for part, size in BRANCHES.items()
            if maps[part]
        }
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, (width, before, size) in layers.items():
        shapes |= {f"{layer}.weight": (width, before, size, size), f"{layer}.bias": (width,)}
        shapes |= {f"{layer}_bn.{part}": (width,) for part in NORM} | {f"{layer}_bn.num_batches_tracked": ()}
    return shapes | {"last_linear.weight": (1000, 1024), "last_linear.bias": (1000,)}


def maps_of(network, x) -> dict[str, torch.Tensor]:
    """Return what each named layer gives."""
    maps: dict[str, torch.Tensor] = {}
    for name, layer in network.named_children():
        layer.register_forward_hook(lambda _layer, _given, output, name=name: maps.__setitem__(name, output))
    network(x)
    return maps


def test_it_has_exactly_the_published_keys_and_shapes():
    with torch.device("meta"):
        network = bn_inception(in_channels=3, out_channels=1000)
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    assert shapes == published_shapes()
    assert list(shapes) == list(published_shapes())
    assert len(shapes) == 485
    assert sum(parameter.numel() for parameter in network.parameters()) == 11_295_240


def test_its_maps_have_the_papers_sizes():
    with torch.device("meta"):
        maps = maps_of(bn_inception(in_channels=3, out_channels=28), torch.empty(2, 3, 224, 192))
    sizes = {"conv1_7x7_s2": (64, 112, 96), "conv2_3x3": (192, 56, 48), "last_linear": (28,)}
    for given, after, rows, columns in [("3b", 320, 28, 24), ("4d", 608, 14, 12), ("5b", 1024, 7, 6)]:
        sizes |= {f"inception_{given}_output": (after, rows, columns)}
    sizes |= {"inception_3c_output": (576, 14, 12), "inception_4e_output": (1056, 7, 6)}
    sizes |= {"inception_3c_double_3x3_1": (96, 28, 24), "inception_5b_pool_proj": (128, 7, 6)}
    assert {name: tuple(maps[name].shape[1:]) for name in sizes} == sizes


@pytest.mark.parametrize(
    ("side", "sides"), [(224, [56, 28, 14, 7]), (112, [28, 14, 7, 4]), (100, [25, 12, 6, 3]), (7, [2, 1, 1, 1])]
)
@pytest.mark.usefixtures("thin")
def test_pooling_rounds_up_and_any_size_passes(side, sides):
    with torch.device("meta"):
        maps = maps_of(bn_inception(), torch.empty(2, 1, side, side))
    layers = ["conv2_3x3", *(f"inception_{name}_output" for name in ("3b", "4d", "5b"))]
    assert [maps[layer].shape[2] for layer in layers] == sides


def by_hand(state, x):
    """Return the logits by the published layers, in evaluation mode."""

    def layer(x, name, stride=1):
        weight = state[f"{name}.weight"]
        x = functional.conv2d(x, weight, state[f"{name}.bias"], stride=stride, padding=weight.shape[-1] // 2)
        gamma, beta, mean, var = (state[f"{name}_bn.{part}"][:, None, None] for part in NORM)
        return ((x - mean) / torch.sqrt(var + 1e-5) * gamma + beta).clamp(min=0)

    def halve(x):
        rows, columns = (-(-(side - 3) // 2) + 1 for side in x.shape[2:])
        cells = [
            [x[..., 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].amax((2, 3)) for j in range(columns)] for i in range(rows)
        ]
        return torch.stack([torch.stack(row, -1) for row in cells], -2)

    x = halve(layer(x, "conv1_7x7_s2", 2))
    x = halve(layer(layer(x, "conv2_3x3_reduce"), "conv2_3x3"))
    for name in PUBLISHED:
        at, stride = f"inception_{name}_", 2 if name in ("3c", "4e") else 1
        three = layer(layer(x, f"{at}3x3_reduce"), f"{at}3x3", stride)
        double = layer(layer(x, f"{at}double_3x3_reduce"), f"{at}double_3x3_1")
        double = layer(double, f"{at}double_3x3_2", stride)
        if stride == 2:
            x = torch.cat([three, double, halve(x)], 1)
            continue
        around = functional.unfold(x, 3, padding=1).unflatten(1, (x.shape[1], 9)).unflatten(3, x.shape[2:])
        pooled = around.amax(2) if name == "5b" else around.mean(2)
        x = torch.cat([layer(x, f"{at}1x1"), three, double, layer(pooled, f"{at}pool_proj")], 1)
    return x.mean((2, 3)) @ state["last_linear.weight"].T + state["last_linear.bias"]


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.usefixtures("thin")
def test_layer_by_layer_it_is_the_published_network(frozen):
    network = bn_inception(frozen=frozen).eval()
    x = images(rows=96, columns=64)
    expected = by_hand(network.state_dict(), x)
    assert expected.std(0).min() > 0
    torch.testing.assert_close(network(x), expected)
    assert torch.equal(network.head(network.encode(x)), network(x))


@pytest.mark.usefixtures("thin")
def test_the_logits_are_a_linear_layer_of_the_average_of_the_last_named_maps():
    network = bn_inception().eval()
    maps = maps_of(network, images())["inception_5b_output"]
    torch.testing.assert_close(network.last_linear(maps.mean((2, 3))), network(images()))


def trained(network, parameters):
    optimizer = torch.optim.AdamW(parameters, lr=0.01, weight_decay=0.1)
    network.train()
    for _ in range(2):
        optimizer.zero_grad()
        functional.cross_entropy(network(images()), torch.tensor([0, 2])).backward()
        optimizer.step()


@pytest.mark.parametrize("only_trainable", [True, False])
@pytest.mark.usefixtures("thin")
def test_frozen_all_but_the_last_layer_stays_to_the_bit_batch_norm_included(only_trainable):
    network = bn_inception(frozen=True)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    trained(network, [p for p in network.parameters() if p.requires_grad or not only_trainable])
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key]) == (not key.startswith("last_linear.")), key
    graded = [name for name, parameter in network.named_parameters() if parameter.grad is not None]
    assert graded == list(code.BN_INCEPTION.last)
    assert not network.encode(images().requires_grad_()).requires_grad


@pytest.mark.usefixtures("thin")
def test_thawed_all_of_it_trains():
    network = bn_inception(frozen=False)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    trained(network, network.parameters())
    assert not [key for key, value in network.state_dict().items() if torch.equal(value, before[key])]


@pytest.mark.usefixtures("thin")
def test_a_frozen_network_never_leaves_evaluation_mode_but_for_its_last_layer():
    network = bn_inception(frozen=True)
    for _ in range(2):
        assert {name for name, module in network.named_modules() if module.training} == {"", "last_linear"}
        network.eval()
        assert not any(module.training for module in network.modules())
        network.train()
    assert all(module.training for module in bn_inception().modules())


@pytest.mark.usefixtures("thin")
def test_a_file_of_its_keys_loads_whole_or_without_its_last_layer(tmp_path):
    origin = bn_inception(in_channels=3, seed=1).eval()
    path = tmp_path / "bn_inception.pth"
    torch.save({"state_dict": {f"module.{key}": value for key, value in origin.state_dict().items()}}, path)
    write_card(path, labels=ABC)
    whole = bn_inception(weights=path, first_layer="sum", labels=["C", "A", "B"]).eval()
    grey = images().expand(-1, 3, -1, -1)
    torch.testing.assert_close(whole(images()), origin(grey)[:, [2, 0, 1]])

    part = bn_inception(in_channels=3, out_channels=8, weights=path, frozen=True).eval()
    assert torch.equal(part.encode(grey), origin.encode(grey))
    assert part(grey).shape == (2, 8)
    with pytest.raises(CheckpointError, match=r"do not know D; .*train a new head with labels: null"):
        bn_inception(in_channels=3, out_channels=4, weights=path, labels=[*ABC, "D"])


@pytest.fixture
def published(thin, monkeypatch):
    """A network of the published file's shapes, which ``imagenet`` downloads."""
    origin = bn_inception(in_channels=3, out_channels=1000, seed=3).eval()
    old = {key: value for key, value in origin.state_dict().items() if not key.endswith("num_batches_tracked")}
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda url, **_: {URL: dict(old)}[url])
    return origin


def test_imagenet_takes_red_green_blue_in_0_to_1_to_the_published_input(published):
    network = bn_inception(in_channels=3, weights="imagenet").eval()
    blue_first = images(3).flip(1) * 255 - torch.tensor([104.0, 117, 128])[:, None, None]
    torch.testing.assert_close(network.encode(images(3)), published.encode(blue_first))


def test_imagenet_takes_one_grey_channel_less_the_average_of_the_means(published):
    network = bn_inception(weights="imagenet", first_layer="sum").eval()
    grey = (images() * 255 - 349 / 3).expand(-1, 3, -1, -1)
    torch.testing.assert_close(network.encode(images()), published.encode(grey))


@pytest.mark.parametrize(("first_layer", "weights"), [("average", [1 / 3, 1 / 3, 1 / 3]), ("copy_green", [0, 1, 0])])
def test_imagenet_takes_a_fourth_channel(first_layer, weights, published):
    network = bn_inception(in_channels=4, weights="imagenet", first_layer=first_layer).eval()
    kernel = published.conv1_7x7_s2.weight.flip(1)
    assert torch.equal(network.conv1_7x7_s2.weight[:, :3], kernel)
    expected = sum(weight * part for weight, part in zip(weights, kernel.unbind(1), strict=True))
    torch.testing.assert_close(network.conv1_7x7_s2.weight[:, 3], expected)
    assert network(images(4)).shape == (2, 3)


def test_the_published_file_with_a_card_is_what_imagenet_is(published, tmp_path):
    path = tmp_path / "bn_inception-52deb4733.pth"
    torch.save(published.state_dict(), path)
    write_card(path, input_scaling=code.BN_INCEPTION.card.input_scaling)
    fetched, network = (bn_inception(in_channels=3, weights=weights).eval() for weights in (path, "imagenet"))
    assert torch.equal(fetched(images(3)), network(images(3)))


def test_imagenet_without_network_is_one_line(monkeypatch):
    def offline(*_, **__):
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    message = r"^weights imagenet could not be .*no route.*pretrained-models.pytorch's BNInception .*give its path$"
    with torch.device("meta"), pytest.raises(CheckpointError, match=message):
        bn_inception(in_channels=3, weights="imagenet")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spatial_dims": 3}, "spatial_dims is 3: it is made for 2"),
        ({"labels": ["A"]}, "1 labels for 3 out_channels"),
        ({"first_layer": "mean"}, 'first_layer "mean" is not known'),
        ({"freeze": True}, 'Did you mean "frozen"'),
    ],
)
def test_a_wrong_option_says_what_to_give(options, message):
    with torch.device("meta"), pytest.raises(ConfigError, match=message):
        bn_inception(**options)
