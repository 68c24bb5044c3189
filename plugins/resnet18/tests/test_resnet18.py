import urllib.error

import pytest
import torch
from medkit_resnet18 import network as code
from torch import nn
from torch.nn import functional

import medkit
from medkit.card import write_card
from medkit.errors import CheckpointError, ConfigError

ABC = ["A", "B", "C"]
NORM = ("weight", "bias", "running_mean", "running_var")


@pytest.fixture
def thin(monkeypatch):
    """The same network with few maps."""
    monkeypatch.setattr(code, "WIDTHS", (4, 6, 8, 8))


def resnet18(seed=0, **options) -> nn.Module:
    torch.manual_seed(seed)
    network = medkit.network("resnet18", **{"in_channels": 1, "out_channels": 3, **options})
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and options.get("weights") is None:
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return network


def images(channels=1) -> torch.Tensor:
    return torch.rand(2, channels, 70, 50, generator=torch.Generator().manual_seed(1))


def torchvision_shapes() -> dict[str, tuple[int, ...]]:
    """The keys and shapes of torchvision's ResNet18 for three channels and 1000 classes."""
    shapes = {"conv1.weight": (64, 3, 7, 7), "fc.weight": (1000, 512), "fc.bias": (1000,)}
    norms = {"bn1": 64}
    for layer, (before, width) in enumerate([(64, 64), (64, 128), (128, 256), (256, 512)], 1):
        shapes |= {f"layer{layer}.0.conv1.weight": (width, before, 3, 3)}
        shapes |= {f"layer{layer}.{at}.weight": (width, width, 3, 3) for at in ("0.conv2", "1.conv1", "1.conv2")}
        norms |= {f"layer{layer}.{at}": width for at in ("0.bn1", "0.bn2", "1.bn1", "1.bn2")}
        if layer > 1:
            shapes[f"layer{layer}.0.downsample.0.weight"] = (width, before, 1, 1)
            norms[f"layer{layer}.0.downsample.1"] = width
    for norm, width in norms.items():
        shapes |= {f"{norm}.{part}": (width,) for part in NORM} | {f"{norm}.num_batches_tracked": ()}
    return shapes


def test_it_has_exactly_torchvisions_keys_and_shapes():
    with torch.device("meta"):
        network = resnet18(in_channels=3, out_channels=1000)
        assert network.encode(torch.empty(2, 3, 224, 200)).shape == (2, 512)
    assert {key: tuple(value.shape) for key, value in network.state_dict().items()} == torchvision_shapes()
    assert sum(parameter.numel() for parameter in network.parameters()) == 11_689_512


def by_hand(state, x):
    """Return the logits by the paper's layers, in evaluation mode."""

    def norm(x, at):
        weight, bias, mean, var = (state[f"{at}.{part}"][:, None, None] for part in NORM)
        return (x - mean) / torch.sqrt(var + 1e-5) * weight + bias

    x = functional.conv2d(x, state["conv1.weight"], stride=2, padding=3)
    x = functional.max_pool2d(norm(x, "bn1").clamp(min=0), 3, stride=2, padding=1)
    for layer in (1, 2, 3, 4):
        for block in (0, 1):
            at = f"layer{layer}.{block}"
            stride = 2 if layer > 1 and block == 0 else 1
            y = functional.conv2d(x, state[f"{at}.conv1.weight"], stride=stride, padding=1)
            y = functional.conv2d(norm(y, f"{at}.bn1").clamp(min=0), state[f"{at}.conv2.weight"], padding=1)
            if f"{at}.downsample.0.weight" in state:
                x = functional.conv2d(x, state[f"{at}.downsample.0.weight"], stride=stride)
                x = norm(x, f"{at}.downsample.1")
            x = (norm(y, f"{at}.bn2") + x).clamp(min=0)
    return x.mean((2, 3)) @ state["fc.weight"].T + state["fc.bias"]


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.usefixtures("thin")
def test_layer_by_layer_it_is_the_architecture_of_its_paper(frozen):
    network = resnet18(frozen=frozen).eval()
    torch.testing.assert_close(network(images()), by_hand(network.state_dict(), images()))
    assert torch.equal(network.head(network.encode(images())), network(images()))


def trained(network, parameters):
    optimizer = torch.optim.AdamW(parameters, lr=0.01, weight_decay=0.1)
    network.train()
    for _ in range(4):
        optimizer.zero_grad()
        functional.cross_entropy(network(images()), torch.tensor([0, 2])).backward()
        optimizer.step()


@pytest.mark.parametrize("only_trainable", [True, False])
@pytest.mark.usefixtures("thin")
def test_frozen_all_but_the_last_layer_stays_to_the_bit_batch_norm_included(only_trainable):
    network = resnet18(frozen=True)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    trained(network, [p for p in network.parameters() if p.requires_grad or not only_trainable])
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key]) == (not key.startswith("fc.")), key
    assert [name for name, parameter in network.named_parameters() if parameter.grad is not None] == list(
        code.RESNET.last
    )
    assert not network.encode(images().requires_grad_()).requires_grad


@pytest.mark.usefixtures("thin")
def test_thawed_all_of_it_trains():
    network = resnet18(frozen=False)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    trained(network, network.parameters())
    assert not any(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@pytest.mark.usefixtures("thin")
def test_a_frozen_network_never_leaves_evaluation_mode_but_for_its_last_layer():
    network = resnet18(frozen=True)
    for _ in range(2):
        assert {name for name, module in network.named_modules() if module.training} == {"", "fc"}
        network.eval()
        assert not any(module.training for module in network.modules())
        network.train()
    assert all(module.training for module in resnet18().modules())


@pytest.mark.usefixtures("thin")
def test_a_file_of_its_keys_loads_whole_or_without_its_last_layer(tmp_path):
    origin = resnet18(in_channels=3, seed=1).eval()
    path = tmp_path / "resnet18.pth"
    torch.save({"state_dict": {f"module.{key}": value for key, value in origin.state_dict().items()}}, path)
    write_card(path, labels=ABC)
    whole = resnet18(weights=path, first_layer="sum", labels=["C", "A", "B"]).eval()
    grey = images().expand(-1, 3, -1, -1)
    torch.testing.assert_close(whole(images()), origin(grey)[:, [2, 0, 1]])

    part = resnet18(in_channels=3, out_channels=8, weights=path, frozen=True).eval()
    assert torch.equal(part.encode(grey), origin.encode(grey))
    assert part(grey).shape == (2, 8)
    with pytest.raises(CheckpointError, match=r"do not know D; .*train a new head with labels: null"):
        resnet18(in_channels=3, out_channels=4, weights=path, labels=[*ABC, "D"])


@pytest.mark.usefixtures("thin")
def test_imagenet_is_torchvisions_file_with_its_scaling(monkeypatch):
    origin = resnet18(in_channels=3, out_channels=1000, seed=3).eval()
    files = {"https://download.pytorch.org/models/resnet18-f37072fd.pth": origin.state_dict()}
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda url, **_: files[url])
    network = resnet18(in_channels=3, weights="imagenet").eval()
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    scaled = (images(3) - mean[:, None, None]) / std[:, None, None]
    torch.testing.assert_close(network.encode(images(3)), origin.encode(scaled))


def test_imagenet_without_network_is_one_line(monkeypatch):
    def offline(*_, **__):
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    with (
        torch.device("meta"),
        pytest.raises(CheckpointError, match=r"^weights imagenet could not be downloaded .*no route.*give its path$"),
    ):
        resnet18(in_channels=3, weights="imagenet")


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
        resnet18(**options)
