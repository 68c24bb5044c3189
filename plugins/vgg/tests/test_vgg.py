import itertools
import urllib.error

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from medkit_vgg import network as code
from torch import nn
from torch.nn import functional

import medkit
from medkit.card import write_card
from medkit.errors import CheckpointError, ConfigError, DataError

GLOBAL = ("average", "max", "log_sum_exp")
HEADS = ("published", "1024-256", "convolutions", *GLOBAL)
ABC = ["A", "B", "C"]

# torchvision's layers: place in `features` → maps; the rest are ReLUs and, behind these, the five max-poolings.
VGG16 = {0: 64, 2: 64, 5: 128, 7: 128, 10: 256, 12: 256, 14: 256, 17: 512, 19: 512, 21: 512, 24: 512, 26: 512, 28: 512}
VGG19 = {0: 64, 2: 64, 5: 128, 7: 128, 10: 256, 12: 256, 14: 256, 16: 256}
VGG19 |= dict.fromkeys((19, 21, 23, 25, 28, 30, 32, 34), 512)
POOLS = {"vgg16": (4, 9, 16, 23, 30), "vgg19": (4, 9, 18, 27, 36)}


@pytest.fixture
def thin(monkeypatch):
    """The same networks with few maps."""
    monkeypatch.setattr(code, "WIDTHS", (2, 3, 4, 4, 4))
    monkeypatch.setitem(code.HIDDEN, "published", (6, 5))


def vgg(name="vgg16", seed=0, **options) -> nn.Module:
    torch.manual_seed(seed)
    return medkit.network(name, **{"in_channels": 1, "out_channels": 3, "head": "average", **options})


def images(channels=1, rows=64, columns=96) -> torch.Tensor:
    return torch.rand(2, channels, rows, columns, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("name", "maps", "count"), [("vgg16", VGG16, 138_357_544), ("vgg19", VGG19, 143_667_240)])
def test_published_it_has_exactly_torchvisions_keys_and_shapes(name, maps, count):
    expected = {}
    for before, (place, width) in zip([3, *maps.values()], maps.items()):
        expected |= {f"features.{place}.weight": (width, before, 3, 3), f"features.{place}.bias": (width,)}
    for place, (before, after) in {0: (25088, 4096), 3: (4096, 4096), 6: (4096, 1000)}.items():
        expected |= {f"classifier.{place}.weight": (after, before), f"classifier.{place}.bias": (after,)}
    with torch.device("meta"):
        network = vgg(name, in_channels=3, out_channels=1000, head="published")
        assert network(torch.empty(1, 3, 240, 200)).shape == (1, 1000)
    assert {key: tuple(value.shape) for key, value in network.state_dict().items()} == expected
    assert sum(parameter.numel() for parameter in network.parameters()) == count


def test_the_heads_have_the_widths_of_their_names():
    with torch.device("meta"):
        layers = {head: vgg("vgg19", head=head, spatial_size=[64, 96]).classifier for head in HEADS}
    shapes = {head: [tuple(v.shape) for v in layers[head].state_dict().values() if v.ndim == 2] for head in HEADS}
    assert shapes["1024-256"] == shapes["convolutions"] == [(1024, 512 * 2 * 3), (256, 1024), (3, 256)]
    extra = [tuple(v.shape) for v in layers["convolutions"].state_dict().values() if v.ndim == 4]
    assert extra == [(512, 512, 3, 3)] * 2
    assert shapes["average"] == shapes["max"] == shapes["log_sum_exp"] == [(3, 512)]


def by_hand(name, head, state, x):
    """Return the logits from the paper's layers and the head's description."""
    for place in range(POOLS[name][-1] + 1):
        if place in POOLS[name]:
            if place == POOLS[name][-1] and head in GLOBAL:
                break
            x = functional.max_pool2d(x, 2, 2)
        elif f"features.{place}.weight" in state:
            x = functional.conv2d(x, state[f"features.{place}.weight"], state[f"features.{place}.bias"], padding=1)
            x = x.clamp(min=0)
    if head == "published":
        x = functional.adaptive_avg_pool2d(x, (7, 7))
    elif head == "average":
        x = x.mean((2, 3))
    elif head == "max":
        x = x.amax((2, 3))
    elif head == "log_sum_exp":
        x = x.mul(4).exp().mean((2, 3)).log() / 4
    places = [place for place in range(13) if f"classifier.{place}.weight" in state]
    while head == "convolutions" and state[f"classifier.{places[0]}.weight"].ndim == 4:
        place = places.pop(0)
        x = functional.conv2d(x, state[f"classifier.{place}.weight"], state[f"classifier.{place}.bias"], padding=1)
        x = x.clamp(min=0)
    x = x.reshape(len(x), -1)
    for place in places:
        x = x @ state[f"classifier.{place}.weight"].T + state[f"classifier.{place}.bias"]
        x = x if place == places[-1] else x.clamp(min=0)
    return x


@pytest.mark.parametrize(("name", "head"), list(itertools.product(("vgg16", "vgg19"), HEADS)))
@pytest.mark.usefixtures("thin")
def test_layer_by_layer_it_is_the_architecture_of_its_description(name, head):
    network = vgg(name, head=head, spatial_size=(64, 96), sharpness=4).eval()
    for key, value in network.state_dict().items():
        if key.endswith("bias"):
            nn.init.uniform_(value, 0, 0.2)
    torch.testing.assert_close(network(images()), by_hand(name, head, network.state_dict(), images()))
    assert torch.equal(network.head(network.encode(images())), network(images()))


@given(st.integers(16, 80), st.integers(16, 80), st.sampled_from(["average", "max", "log_sum_exp", "published"]))
@settings(max_examples=12, deadline=None)
def test_any_size_from_the_smallest_on_gives_logits(rows, columns, head):
    with torch.device("meta"):
        network, pixels = vgg(head=head), torch.empty(2, 1, rows, columns)
        if head == "published" and min(rows, columns) < 32:
            with pytest.raises(DataError, match=rf"images of {rows}×{columns} are too small: give at least 32 pixels"):
                network(pixels)
        else:
            assert network(pixels).shape == (2, 3)


@pytest.mark.usefixtures("thin")
def test_images_that_the_head_is_not_made_for_are_named():
    with pytest.raises(DataError, match="made for images of 64×64, found 64×96: resize, or set spatial_size"):
        vgg(head="1024-256", spatial_size=64)(images())
    with pytest.raises(DataError, match="made for images of 64×64, found 64×96: resize, or set spatial_size"):
        vgg(head="convolutions", spatial_size=64)(images())
    with pytest.raises(DataError, match="images of 15×16 are too small: give at least 16 pixels a side"):
        vgg()(images(rows=15, columns=16))


def trained(network, parameters):
    optimizer = torch.optim.AdamW(parameters, lr=0.01, weight_decay=0.1)
    network.train()
    for _ in range(3):
        optimizer.zero_grad()
        functional.cross_entropy(network(images()), torch.tensor([0, 2])).backward()
        optimizer.step()


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("only_trainable", [True, False])
@pytest.mark.usefixtures("thin")
def test_frozen_convolutions_stay_as_they_are_to_the_bit_and_have_no_gradient(head, only_trainable):
    network = vgg(head=head, spatial_size=(64, 96), frozen=True)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    trained(network, [p for p in network.parameters() if p.requires_grad or not only_trainable])
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key]) == key.startswith("features."), key
    assert all(parameter.grad is None for parameter in network.features.parameters())
    assert not network.encode(images().requires_grad_()).requires_grad


@pytest.mark.usefixtures("thin")
def test_thawed_convolutions_train():
    network = vgg(frozen=False)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    trained(network, network.parameters())
    assert not any(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@pytest.mark.usefixtures("thin")
def test_a_frozen_part_never_leaves_evaluation_mode():
    network = vgg(head="published", frozen=True)
    for _ in range(2):
        assert network.training
        assert all(module.training for module in network.classifier.modules())
        assert not any(module.training for module in network.features.modules())
        network.eval()
        assert not any(module.training for module in network.modules())
        network.train()
    assert all(module.training for module in vgg().modules())


@pytest.mark.usefixtures("thin")
def test_dropout_acts_in_training_only():
    network = vgg(head="1024-256", spatial_size=(64, 96), frozen=True)
    assert not torch.equal(network(images()), network(images()))
    network.eval()
    assert torch.equal(network(images()), network(images()))


@pytest.mark.usefixtures("thin")
def test_a_file_of_its_keys_loads_whole_or_without_its_last_layer(tmp_path):
    origin = vgg("vgg19", head="published", in_channels=3).eval()
    torch.save({"state_dict": {f"module.{k}": v for k, v in origin.state_dict().items()}}, tmp_path / "vgg19.pth")
    write_card(tmp_path / "vgg19.pth", labels=ABC)
    options = {"weights": tmp_path / "vgg19.pth", "first_layer": "sum", "seed": 5}

    whole = vgg("vgg19", head="published", labels=["C", "A", "B"], **options).eval()
    grey = images().expand(-1, 3, -1, -1)
    torch.testing.assert_close(whole(images()), origin(grey)[:, [2, 0, 1]])

    for head in HEADS:
        state = vgg("vgg19", head=head, out_channels=8, spatial_size=64, **options).state_dict()
        other = vgg("vgg19", head=head, out_channels=8, spatial_size=64, seed=5).state_dict()
        assert torch.equal(state["features.2.weight"], origin.state_dict()["features.2.weight"])
        last = [key for key in state if key.startswith("classifier.")][-1]
        assert torch.equal(state[last], other[last])
        if head == "published":
            assert torch.equal(state["classifier.3.weight"], origin.state_dict()["classifier.3.weight"])


@pytest.mark.usefixtures("thin")
def test_a_file_that_does_not_fit_says_what_to_do(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(vgg().state_dict(), path)
    write_card(path, labels=ABC)
    with pytest.raises(CheckpointError, match=r"missing \(.*\): build the network that the file is of"):
        vgg("vgg19", weights=path)
    with pytest.raises(CheckpointError, match=r"classifier.3.*: train a new head with labels: null"):
        vgg(head="published", weights=path, labels=ABC)
    with pytest.raises(CheckpointError, match=r"do not know Mass; .*train a new head with labels: null"):
        vgg(weights=path, labels=["A", "B", "Mass"])


@pytest.mark.parametrize(("name", "file"), [("vgg16", "vgg16-397923af.pth"), ("vgg19", "vgg19-dcbb9e9d.pth")])
@pytest.mark.usefixtures("thin")
def test_imagenet_is_torchvisions_file_with_its_scaling(name, file, monkeypatch):
    origin = vgg(name, head="published", in_channels=3, out_channels=1000, seed=3).eval()
    files = {f"https://download.pytorch.org/models/{file}": origin.state_dict()}
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda url, **_: files[url])
    network = vgg(name, head="published", in_channels=3, weights="imagenet").eval()
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    scaled = (images(3) - mean[:, None, None]) / std[:, None, None]
    torch.testing.assert_close(network.encode(images(3)), origin.encode(scaled))
    assert torch.equal(network.classifier[3].weight, origin.classifier[3].weight)


@pytest.mark.usefixtures("thin")
def test_imagenet_without_network_is_one_line(monkeypatch):
    def offline(*_, **__):
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    with pytest.raises(CheckpointError, match=r"^weights imagenet could not be downloaded .*no route.*give its path$"):
        vgg(in_channels=3, weights="imagenet")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head": "gap"}, 'head "gap" is not known: choose one of published, 1024-256, convolutions, average'),
        ({"spatial_dims": 3}, "spatial_dims is 3: it is made for 2"),
        ({"dropout": 1.0}, "dropout 1.0"),
        ({"head": "1024-256", "spatial_size": [64]}, r"spatial_size \[64\]: give rows and columns"),
        ({"head": "1024-256", "spatial_size": (64, 31)}, "at least 32 pixels"),
        ({"head": "log_sum_exp", "sharpness": 0}, "sharpness 0: give a number above 0"),
        ({"labels": ["A"]}, "1 labels for 3 out_channels"),
        ({"first_layer": "mean"}, 'first_layer "mean" is not known'),
        ({"freeze": True}, 'Did you mean "frozen"'),
    ],
)
def test_a_wrong_option_says_what_to_give(options, message):
    with torch.device("meta"), pytest.raises(ConfigError, match=message):
        vgg(**options)
