import gc

import pytest
import torch
from monai.networks.nets import DenseNet, ResNet
from monai.visualize import GradCAM, GradCAMpp
from torch import nn
from torch.nn import functional as F

import medkit
from medkit.errors import ConfigError

KINDS = ("grad_cam", "grad_cam_plus_plus", "cam")


class Vgg(nn.Sequential):
    """Convolutions, pooling, fully connected layers: a head without a closed form."""

    def __init__(self) -> None:
        features = nn.Sequential(
            *(nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
            *(nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
        )
        head = (nn.Linear(8 * 3 * 2, 16), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(16, 5))
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((3, 2))
        self.classifier = nn.Sequential(nn.Flatten(1), *head)


class FunctionalResidual(nn.Module):
    """The last ReLU, the pooling and the head's shape are in the code of ``forward`` alone."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, stride=2)
        self.block = _Residual()
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        return self.fc(F.adaptive_avg_pool2d(self.block(self.stem(x)), 1).flatten(1))


class _Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)

    def forward(self, x):
        return F.relu(self.norm(self.conv(x)) + x)


def densenet() -> nn.Module:
    return DenseNet(2, 1, 5, init_features=8, growth_rate=4, block_config=(2, 2, 2))


def resnet() -> nn.Module:
    return ResNet("basic", [1, 1, 1, 1], [4, 8, 8, 16], spatial_dims=2, n_input_channels=1, num_classes=5)


NETWORKS = {"densenet": densenet, "vgg": Vgg, "resnet": resnet, "functional": FunctionalResidual}


def made(name: str) -> nn.Module:
    """A network with statistics of its own in its batch normalisation, so that maps differ from image to image."""
    torch.manual_seed(0)
    network = NETWORKS[name]()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
    return network.double().eval()


def images(count: int = 2) -> torch.Tensor:
    return torch.randn(count, 1, 80, 48, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def monai_maps(method: type, network: nn.Module, layer: str, pixels: torch.Tensor) -> torch.Tensor:
    """MONAI's raw maps, class by class and, because its Grad-CAM++ mixes images, image by image."""
    explainer = method(network, layer)
    pixels = pixels.requires_grad_()  # else its hooks on the first layer warn
    rows = [[explainer.compute_map(one[None], class_idx=k)[0, 0] for k in range(5)] for one in pixels]
    return torch.stack([torch.stack(row) for row in rows]).detach()


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert found.dtype == torch.float32
    assert (expected.amax((-2, -1)) > 0).any()
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-6 * float(expected.max()))


@pytest.mark.parametrize("count", [1, 8])
@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("densenet", "class_layers.relu"),
        ("densenet", "features.denseblock2"),
        ("densenet", "features.conv0"),
        ("vgg", "features.4"),
        ("vgg", "features.5"),
        ("resnet", "layer4"),
        ("resnet", "layer2"),
        ("functional", "block"),
    ],
)
def test_all_maps_equal_monai_class_by_class(name, layer, count):
    logits, maps = medkit.localizer("grad_cam", target_layer=layer)(images(count), made(name))
    close(maps, monai_maps(GradCAM, made(name), layer, images(count)))
    torch.testing.assert_close(logits, made(name)(images(count)).detach().float())


@pytest.mark.parametrize(
    ("name", "layer"),
    [("densenet", "class_layers.relu"), ("vgg", "features.4"), ("resnet", "layer4.0.act"), ("functional", "block")],
)
def test_the_default_layer_is_the_last_that_makes_maps(name, layer):
    network = made(name)
    _, found = medkit.localizer("grad_cam")(images(), network)
    _, named = medkit.localizer("grad_cam", target_layer=layer)(images(), network)
    assert torch.equal(found, named)


def test_grad_cam_plus_plus_equals_monai_but_for_the_factor_exp_logit():
    network = made("densenet")
    network.class_layers.out.weight.data *= 30  # gradients so large that MONAI's 1e-7 in a denominator does not show
    logits, maps = medkit.localizer("grad_cam_plus_plus")(images(), network)
    expected = monai_maps(GradCAMpp, network, "class_layers.relu", images())
    expected /= logits.double().exp()[:, :, None, None]
    torch.testing.assert_close(maps.double(), expected, rtol=1e-3, atol=1e-3 * float(expected.max()))


def test_grad_cam_plus_plus_follows_the_paper_where_gradients_vary():
    network = made("vgg")
    _, maps = medkit.localizer("grad_cam_plus_plus")(images(), network)
    features = network.features[:5](images()).detach().requires_grad_()
    logits = network.classifier(network.avgpool(network.features[5](features)))
    for k in range(5):
        (gradient,) = torch.autograd.grad(logits[:, k].sum(), features, retain_graph=True)
        below = 2 * gradient**2 + gradient**3 * features.sum((2, 3), keepdim=True)
        alpha = torch.where(gradient != 0, gradient**2 / torch.where(below != 0, below, 1), 0)
        weight = (alpha * gradient.relu()).sum((2, 3), keepdim=True)
        close(maps[:, k], (weight * features).sum(1).relu().detach())


def test_cam_is_grad_cam_times_the_number_of_cells():
    network = made("resnet")
    _, cam = medkit.localizer("cam")(images(), network)
    _, grad_cam = medkit.localizer("grad_cam")(images(), network)
    close(cam, grad_cam.double() * cam.shape[2] * cam.shape[3])


@pytest.mark.parametrize(("name", "layer"), [("vgg", None), ("densenet", "features.denseblock2")])
def test_cam_refuses_a_layer_without_average_and_linear_above(name, layer):
    with pytest.raises(ConfigError, match="use grad_cam"):
        medkit.localizer("cam", target_layer=layer)(images(), made(name))


def test_maximum_pooling_is_not_taken_for_the_average():
    network = made("densenet")
    network.class_layers.pool = nn.AdaptiveMaxPool2d(1)
    _, maps = medkit.localizer("grad_cam")(images(), network)
    close(maps, monai_maps(GradCAM, network, "class_layers.relu", images()))


def test_a_head_that_changes_its_linear_layer_is_not_taken_for_one():
    class Scaled(nn.Linear):
        def forward(self, x):
            return super().forward(x * torch.arange(self.in_features))

    network = made("densenet")
    network.class_layers.out = Scaled(network.class_layers.out.in_features, 5).double()
    _, maps = medkit.localizer("grad_cam")(images(), network)
    close(maps, monai_maps(GradCAM, network, "class_layers.relu", images()))


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_is_left_behind(name):
    network = made(name).train()
    first = next(iter(network.children()))
    first.eval()
    frozen = list(first.parameters())
    for parameter in frozen:
        parameter.requires_grad_(False)
    modes = [module.training for module in network.modules()]
    state = {key: value.clone() for key, value in network.state_dict().items()}
    wanted = [parameter.requires_grad for parameter in network.parameters()]
    for parameter in network.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.ones_like(parameter)
    pixels = images().requires_grad_()
    logits, maps = medkit.localizer("grad_cam")(pixels, network)
    assert not logits.requires_grad
    assert not maps.requires_grad
    assert torch.is_grad_enabled()
    assert pixels.grad is None
    assert [module.training for module in network.modules()] == modes
    assert [parameter.requires_grad for parameter in network.parameters()] == wanted
    assert all((p.grad == 1).all() for p in network.parameters() if p.requires_grad)
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert not any(module._forward_hooks or module._backward_hooks for module in network.modules())


def test_hooks_go_when_the_network_fails():
    network = made("vgg")
    with pytest.raises(RuntimeError, match="channels"):
        medkit.localizer("grad_cam", target_layer="features.4")(images().expand(-1, 2, -1, -1), network)
    assert not any(module._forward_hooks for module in network.modules())
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("name", ["densenet", "vgg"])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_callers_mode_does_not_matter(name, mode):
    network = made(name).requires_grad_(False)
    expected = medkit.localizer("grad_cam")(images(), network)[1]
    with mode():
        assert torch.equal(medkit.localizer("grad_cam")(images(), network)[1], expected)
        assert not torch.is_grad_enabled()


def test_a_no_grad_block_inside_the_network_does_not_matter():
    class Frozen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.vgg = made("vgg")

        def forward(self, x):
            with torch.no_grad():
                x = self.vgg.features(x)
            return self.vgg.classifier(self.vgg.avgpool(x))

    _, maps = medkit.localizer("grad_cam")(images(), Frozen())
    assert torch.equal(maps, medkit.localizer("grad_cam")(images(), made("vgg"))[1])


@pytest.mark.parametrize("kind", KINDS)
def test_autocast_gives_float32_maps_near_the_exact_ones(kind):
    network = made("densenet").float()
    exact = medkit.localizer(kind)(images().float(), network)[1]
    with torch.autocast("cpu", torch.bfloat16):
        logits, maps = medkit.localizer(kind)(images().float(), network)
    assert logits.dtype == maps.dtype == torch.float32
    torch.testing.assert_close(maps, exact, rtol=0.1, atol=0.05 * float(exact.max()))


def test_a_network_wrapped_for_distribution_is_unwrapped():
    network = made("vgg")
    _, maps = medkit.localizer("grad_cam", target_layer="features.4")(images(), nn.DataParallel(network))
    assert torch.equal(maps, medkit.localizer("grad_cam")(images(), torch.compile(network))[1])


@pytest.mark.parametrize("kind", KINDS)
def test_volumes_have_maps_of_three_dimensions(kind):
    network = DenseNet(3, 1, 4, init_features=4, growth_rate=2, block_config=(1, 1))
    logits, maps = medkit.localizer(kind)(torch.rand(2, 1, 32, 24, 16), network)
    assert logits.shape == (2, 4)
    assert maps.shape == (2, 4, 4, 3, 2)


def test_gradients_in_several_parts_are_the_same(monkeypatch):
    network = made("vgg")
    _, whole = medkit.localizer("grad_cam")(images(), network)
    monkeypatch.setattr("medkit_grad_cam.gradients.MOST_VALUES", 2 * images().numel())
    assert torch.allclose(medkit.localizer("grad_cam")(images(), network)[1], whole)


def test_monai_evaluator_takes_it_as_inferer():
    from monai.engines import SupervisedEvaluator

    network = made("densenet").float()
    batch = [{"image": images(2).float(), "label": torch.zeros(2, 5)}]
    evaluator = SupervisedEvaluator(torch.device("cpu"), batch, network, inferer=medkit.localizer("grad_cam"))
    evaluator.run()
    assert [tuple(item["pred"][1].shape) for item in evaluator.state.output] == [(5, 5, 3)] * 2


def test_networks_are_not_kept_alive():
    localizer = medkit.localizer("grad_cam")
    network = made("vgg")
    localizer(images(), network)
    del network
    gc.collect()
    assert not localizer._last_layers


def test_a_misspelt_layer_names_the_right_one():
    with pytest.raises(ConfigError, match=r'"features.denseblok2".*Did you mean "features.denseblock2"'):
        medkit.localizer("grad_cam", target_layer="features.denseblok2")(images(), made("densenet"))


@pytest.mark.parametrize(
    ("layer", "message"), [("class_layers.out", r"found shape \(2, 5\)"), ("unused", "takes no part")]
)
def test_a_layer_that_cannot_be_explained_says_why(layer, message):
    network = made("densenet")
    network.unused = nn.ReLU()
    with pytest.raises(ConfigError, match=message):
        medkit.localizer("grad_cam", target_layer=layer)(images(), network)


def test_logits_that_do_not_depend_on_the_layer_are_reported():
    class Aside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.aside, self.vgg = nn.Conv2d(1, 1, 1).double(), made("vgg")

        def forward(self, x):
            self.aside(x)
            return self.vgg(x)

    with pytest.raises(ConfigError, match="do not depend"):
        medkit.localizer("grad_cam", target_layer="aside")(images(), Aside())


def test_what_is_no_classifier_is_reported():
    with pytest.raises(ConfigError, match=r"logits \(B,K\), found \(2, 3, 78, 46\)"):
        medkit.localizer("grad_cam")(images().float(), nn.Sequential(nn.Conv2d(1, 3, 3)))
    with pytest.raises(ConfigError, match="no layer with spatial maps"):
        medkit.localizer("grad_cam")(images(), nn.Flatten())
    with pytest.raises(ConfigError, match="need a network"):
        medkit.localizer("grad_cam")(images())
