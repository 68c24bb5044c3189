"""The pixels of a picture are the maps of a hook of its own, scaled; layers that are not there are named."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import medkit
from medkit.errors import CheckpointError, ConfigError, DataError
from medkit.tables import read_csv


class Net(nn.Module):
    """Three convolutions that run in another order than they are declared in, and one that never runs."""

    def __init__(self):
        super().__init__()
        self.late = nn.Conv2d(6, 20, 3, stride=4, padding=1)
        self.stem = nn.Sequential(nn.Conv2d(1, 5, 3, padding=1), nn.BatchNorm2d(5), nn.ReLU(inplace=True))
        self.block = nn.ModuleDict({"conv": nn.Conv2d(5, 6, 5, stride=2, padding=2)})
        self.unused = nn.Conv2d(1, 1, 1)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, images):
        return self.activation(self.late(self.activation(self.block["conv"](self.stem(images))))).mean(dim=(2, 3))


@pytest.fixture
def network():
    torch.manual_seed(0)
    net = Net()
    with torch.no_grad():
        net.train()(torch.rand(8, 1, 40, 32))  # running statistics that differ from a batch's
    return net


@pytest.fixture
def dataset():
    images = torch.rand((4, 1, 40, 32), generator=torch.Generator().manual_seed(1))
    return [{"image": image, "status": "error" if n == 1 else "ok"} for n, image in enumerate(images)]


def pictures(network, dataset, folder, **options):
    handler = medkit.handler("feature_maps", network=network, dataset=dataset, output_dir=str(folder), **options)
    return {row["picture"]: np.asarray(Image.open(folder / row["picture"])) for row in read_csv(handler.run())}


def places(picture, tile):
    """Return where (row, column) the tile stands in the picture, pixel by pixel."""
    views = np.lib.stride_tricks.sliding_window_view(picture, tile.shape)
    corners = (views[..., 0, 0] == tile[0, 0]) & (views[..., -1, -1] == tile[-1, -1])
    candidates = np.argwhere(corners & (views[..., -1, 0] == tile[-1, 0]) & (views[..., 0, -1] == tile[0, -1]))
    return [tuple(place) for place in candidates.tolist() if (views[tuple(place)] == tile).all()]


def tile(values, smallest):
    """Return the values from 0 to 255, each pixel repeated until the longer side has the smallest size."""
    values = np.asarray(values, np.float64)
    levels = np.rint((values - values.min()) / (values.max() - values.min()) * 255)
    times = int(np.ceil(smallest / max(values.shape[-2:])))
    return np.kron(levels, np.ones((times, times))).astype(np.uint8)


@pytest.mark.parametrize(("layer", "name", "shown"), [("first", "00_stem.0", 5), ("late", "02_late", 7)])
def test_the_pixels_are_those_of_an_independent_hook(network, dataset, tmp_path, layer, name, shown):
    picture = pictures(network, dataset, tmp_path, layers=[layer], maps=7)[f"{name}.png"]
    seen = []
    module = network.get_submodule(name.split("_")[1])
    with module.register_forward_hook(lambda module, inputs, output: seen.append(output.detach().clone())):
        network.eval()(torch.stack([dataset[0]["image"], dataset[2]["image"]]))
    found = [places(picture, tile(one, 128)) for maps in seen[0].numpy() for one in maps[:7]]
    assert [len(corners) for corners in found] == [1] * (2 * shown)
    assert sorted(found) == found  # in reading order: the first image's maps, then the second's


def test_the_filters_are_scaled_over_their_first_channels(network, dataset, tmp_path):
    picture = pictures(network, dataset, tmp_path, layers=["block.conv"], images=1)["01_block.conv.png"]
    weight = network.block["conv"].weight.detach().numpy()
    found = [places(picture, tile(weight[k, :4], 64)[c]) for c in range(4) for k in range(6)]
    assert [len(corners) for corners in found] == [1] * 24
    assert sorted(found) == found  # a line a channel
    assert not places(picture, tile(weight[0], 64)[4])


def test_the_deepest_layers_come_without_asking_and_numbers_count_in_running_order(network, dataset, tmp_path):
    assert list(pictures(network, dataset, tmp_path)) == ["01_block.conv.png", "02_late.png"]
    first, _ = read_csv(tmp_path / "feature_maps.csv")
    assert list(first.values()) == ["block.conv", "1", "01_block.conv.png", "6x5x5x5", "6x20x16"]
    assert list(pictures(network, dataset, tmp_path, layers=[-1, 0, "last", "stem.0"])) == [
        "02_late.png",
        "00_stem.0.png",
    ]
    assert list(pictures(network, dataset, tmp_path, layers=1)) == ["01_block.conv.png"]


def test_more_images_than_there_are_are_all_that_can_be_read(network, dataset, tmp_path):
    three = pictures(network, dataset, tmp_path, images=9, layers="last")["02_late.png"]
    two = pictures(network, dataset, tmp_path, images=2, layers="last")["02_late.png"]
    assert three.shape[0] > two.shape[0]
    assert (three[: two.shape[0] - 12] == two[:-12]).all()


def test_the_checkpoint_is_loaded_and_the_network_left_in_its_mode(network, dataset, tmp_path):
    torch.save(network.state_dict(), tmp_path / "model.pt")
    expected = pictures(network, dataset, tmp_path, layers="last")
    torch.manual_seed(5)
    other = Net().train()
    assert (pictures(other, dataset, tmp_path, layers="last")["02_late.png"] != expected["02_late.png"]).any()
    path = str(tmp_path / "model.pt")
    loaded = pictures(other, dataset, tmp_path, layers="last", checkpoint=path)
    np.testing.assert_array_equal(loaded["02_late.png"], expected["02_late.png"])
    assert other.training
    assert not any(module._forward_hooks for module in other.modules())
    assert all(torch.equal(a, b) for a, b in zip(other.state_dict().values(), network.state_dict().values()))
    with pytest.raises(CheckpointError, match=r"none\.pt does not exist"):
        pictures(other, dataset, tmp_path, checkpoint=str(tmp_path / "none.pt"))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (["block.con"], 'no convolution layer "block.con". Did you mean "block.conv"? .* stem.0, block.conv, late$'),
        (["unused"], 'no convolution layer "unused"'),
        (["stem"], 'no convolution layer "stem"'),
        ([3], 'no convolution layer "3". Give first, last, a number below 3, or one of'),
        ([-4], 'no convolution layer "-4"'),
    ],
)
def test_a_layer_that_is_not_there_is_named(network, dataset, tmp_path, layers, message):
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        pictures(network, dataset, tmp_path / "new", layers=layers)
    assert not (tmp_path / "new").exists()


def test_a_network_with_many_layers_names_some(dataset, tmp_path):
    network = nn.Sequential(*(nn.Conv2d(1, 1, 1) for _ in range(30)))
    with pytest.raises(ConfigError, match=r"0, 1, 2, 3, 4, 5, …, 24, 25, 26, 27, 28, 29$"):
        pictures(network, dataset, tmp_path, layers=["thirty"])


def test_nothing_to_show_is_an_error(network, dataset, tmp_path):
    with pytest.raises(DataError, match="none of 1 images could be read"):
        pictures(network, dataset[1:2], tmp_path)
    with pytest.raises(ConfigError, match="the network has no 2D convolution"):
        pictures(nn.Sequential(nn.Flatten(), nn.Linear(1280, 2)), dataset, tmp_path)
    for options in ({"images": 0}, {"maps": 0}):
        with pytest.raises(ConfigError, match="both are at least 1"):
            pictures(network, dataset, tmp_path, **options)
