"""Public weights into a network of one's own, shown on a small one."""

import re
import urllib.error
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from ignite.engine import Engine, Events
from torch import nn

import medkit
from medkit.card import read_card, write_card
from medkit.errors import CheckpointError, ConfigError
from medkit.files import confined
from medkit.pretrained import Published, download, load_pretrained, mean_and_deviation, scale_input

TOY = Published(
    family="Toy",
    first="features.conv.weight",
    last=("head.2.weight", "head.2.bias"),
    body=("features.",),
    imagenet=lambda: Toy(3, 10, seed=7).state_dict(),
    renamed=[(re.compile(r"\.normalisation\."), ".norm.")],
    ignored=["thresholds"],
    new_head="new=True",
)
ABC = ["A", "B", "C"]


class Toy(nn.Module):
    def __init__(self, channels=1, outputs=3, weights=None, published=TOY, width=5, seed=0, **options):
        super().__init__()
        torch.manual_seed(seed)
        self.features = nn.Sequential()
        self.features.add_module("conv", nn.Conv2d(channels, 4, 3))
        self.features.add_module("norm", nn.BatchNorm2d(4))
        self.head = nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, outputs))
        load_pretrained(self.eval(), weights, published, **options)

    def forward(self, images):
        return self.head(self.features(scale_input(images, self.input_scaling)).relu().mean((2, 3)))


def images(channels=1):
    return torch.rand(2, channels, 8, 9, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def saved(tmp_path):
    def save(state, **card):
        path = tmp_path / "weights.pt"
        torch.save(state, path)
        if card:
            write_card(path, **card)
        return path

    return save


FORMS = {
    "plain": dict,
    "distributed": lambda state: {f"module.{key}": value for key, value in state.items()},
    "in a checkpoint": lambda state: {"epoch": 3, "model": {f"net.{k}": v for k, v in state.items()}, "optimizer": {}},
    "renamed": lambda state: {key.replace(".norm.", ".normalisation."): value for key, value in state.items()},
    "with more": lambda state: {**state, "thresholds": torch.rand(3)},
    "old": lambda state: {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_file_loads_to_the_same_outputs(form, saved):
    origin = Toy()
    loaded = Toy(weights=saved(FORMS[form](origin.state_dict()), labels=ABC), labels=ABC, seed=1)
    assert torch.equal(loaded(images()), origin(images()))


def test_no_weights_leave_the_network_and_its_keys_as_they_are():
    network = Toy()
    torch.manual_seed(0)
    assert torch.equal(network.features.conv.weight, nn.Conv2d(1, 4, 3).weight)
    assert "input_scaling" not in network.state_dict()


def test_an_anchor_finds_a_network_whose_first_key_ends_others_too(saved):
    published = replace(TOY, first="conv.weight", last=("fc.weight", "fc.bias"), body=("conv.", "block."))

    def network(seed, **options):
        torch.manual_seed(seed)
        module = nn.Module()
        module.conv, module.block, module.fc = nn.Conv2d(1, 2, 3), nn.Module(), nn.Linear(2, 3)
        module.block.conv = nn.Conv2d(2, 2, 3)
        load_pretrained(module, **options)
        return module.state_dict()

    state = network(0, weights=None, published=published)
    path = saved({f"module.{key}": value for key, value in state.items()}, labels=ABC)
    with pytest.raises(CheckpointError, match=r"hold 2 Toys \(module.conv.weight, module.block.conv.weight\)"):
        network(1, weights=path, published=published, labels=ABC)
    loaded = network(1, weights=path, published=replace(published, anchor="block.conv.weight"), labels=ABC)
    assert all(torch.equal(loaded[key], state[key]) for key in state)


def test_findings_are_found_by_name(saved):
    origin = Toy(outputs=4)
    path = saved(origin.state_dict(), labels=["A", "B", "C", "D"])
    loaded = Toy(weights=path, labels=["D", "A", "C"], seed=1)
    torch.testing.assert_close(loaded(images()), origin(images())[:, [3, 0, 2]])
    with pytest.raises(CheckpointError, match=r"do not know E; they know A, B, C, D: .*new head with new=True"):
        Toy(weights=path, labels=["A", "B", "E"])


def test_a_head_whose_order_nobody_wrote_down_is_warned_about_where_the_network_is_built(saved):
    path = saved(Toy().state_dict())
    with pytest.warns(UserWarning, match="which finding each of the 3 outputs means") as caught:
        Toy(weights=path, labels=ABC)
    assert caught[0].filename == __file__


@pytest.mark.parametrize(("width", "theirs"), [(5, True), (6, False)])
def test_a_new_head_takes_the_hidden_layers_where_all_of_them_fit(width, theirs, saved):
    origin = Toy(outputs=14, width=width)
    path = saved({**origin.state_dict(), "decoder.weight": torch.zeros(1)})
    loaded, own = Toy(weights=path, head="new", seed=1).state_dict(), Toy(seed=1).state_dict()
    expected = {key: origin.state_dict()[key] for key in own if key.startswith("features.")}
    expected |= {key: own[key] for key in own if key.startswith("head.")}
    if theirs:
        expected |= {key: origin.state_dict()[key] for key in ("head.0.weight", "head.0.bias")}
    assert loaded.keys() == expected.keys()
    assert all(torch.equal(loaded[key], expected[key]) for key in expected)


@pytest.mark.parametrize(("channels", "others"), [(1, 3), (3, 1)])
def test_a_summed_first_layer_keeps_the_response_to_grey_images(channels, others, saved):
    origin = Toy(others)
    path = saved(origin.state_dict(), labels=ABC)
    with pytest.raises(
        CheckpointError, match=rf"file 4×{others}×3×3, network 4×{channels}×3×3\): set first_layer: sum"
    ):
        Toy(channels, weights=path, labels=ABC)
    loaded = Toy(channels, weights=path, labels=ABC, first_layer="sum")
    grey = images()
    torch.testing.assert_close(loaded(grey.expand(-1, channels, -1, -1)), origin(grey.expand(-1, others, -1, -1)))


MEAN, STD = [0.1, 0.2, 0.6], [0.5, 0.25, 0.3]


@pytest.mark.parametrize(
    ("first_layer", "weights", "mean", "std"),
    [
        ("average", [1 / 3] * 3, 0.3, 0.35),
        *[
            (f"copy_{c}", w, m, s)
            for c, w, m, s in zip(("red", "green", "blue"), torch.eye(3).tolist(), MEAN, STD, strict=True)
        ],
    ],
)
def test_a_channel_more_is_the_mean_or_a_copy_and_the_others_stay(first_layer, weights, mean, std, saved):
    origin = Toy(3)
    path = saved(origin.state_dict(), labels=ABC, input_scaling={"mean": MEAN, "std": STD})
    with pytest.raises(
        CheckpointError, match=r"file 4×3×3×3, network 4×5×3×3\): set first_layer: average to load more"
    ):
        Toy(5, weights=path, labels=ABC)
    loaded = Toy(5, weights=path, labels=ABC, first_layer=first_layer, seed=1)
    kernel, kernels = origin.features.conv.weight, loaded.features.conv.weight
    assert torch.equal(kernels[:, :3], kernel)
    for new in (3, 4):
        torch.testing.assert_close(kernels[:, new], torch.einsum("ocij,c->oij", kernel, torch.tensor(weights)))
    torch.testing.assert_close(loaded.input_scaling, torch.tensor([[*MEAN, mean, mean], [*STD, std, std]]))


@pytest.mark.parametrize("held", [1, 3])
def test_an_averaged_first_layer_keeps_the_response_to_the_same_sum_of_grey_channels(held, saved):
    origin = Toy(held)
    loaded = Toy(4, weights=saved(origin.state_dict(), labels=ABC), labels=ABC, first_layer="average")
    grey = images()
    torch.testing.assert_close(loaded(grey.expand(-1, 4, -1, -1) * held / 4), origin(grey.expand(-1, held, -1, -1)))


@pytest.mark.parametrize(
    ("held", "channels", "first_layer"), [(4, 3, "average"), (3, 1, "average"), (2, 3, "copy_red"), (3, 4, "sum")]
)
def test_a_first_layer_that_has_no_answer_is_an_error(held, channels, first_layer, saved):
    path = saved(Toy(held).state_dict(), labels=ABC)
    with pytest.raises(CheckpointError, match=f"file 4×{held}×3×3, network 4×{channels}×3×3"):
        Toy(channels, weights=path, labels=ABC, first_layer=first_layer)


def test_channels_that_a_card_says_are_blue_first_become_red_first(saved):
    origin = Toy(3)
    scaling = {"mean": MEAN, "std": 0.5, "order": "BGR"}
    loaded = Toy(3, weights=saved(origin.state_dict(), labels=ABC, input_scaling=scaling), labels=ABC)
    scaled = (images(3).flip(1) - torch.tensor(MEAN)[:, None, None]) * 2
    torch.testing.assert_close(loaded(images(3)), origin(scaled))
    again = Toy(3, weights=saved(loaded.state_dict(), labels=ABC, input_scaling=scaling), labels=ABC, seed=1)
    assert torch.equal(again(images(3)), loaded(images(3)))
    more = Toy(
        4, weights=saved(origin.state_dict(), labels=ABC, input_scaling=scaling), labels=ABC, first_layer="copy_red"
    )
    assert torch.equal(more.features.conv.weight[:, 3], origin.features.conv.weight[:, 2])
    torch.testing.assert_close(more.input_scaling[0], torch.tensor([0.6, 0.2, 0.1, 0.6]))


def test_the_report_of_keys_is_one_line_with_what_to_do(saved):
    state = dict(Toy().state_dict())
    state["features.extra"] = state.pop("features.norm.bias")
    with pytest.raises(CheckpointError) as caught:
        Toy(weights=saved(state, labels=ABC), labels=ABC)
    assert str(caught.value).endswith(
        "keys 1 missing (features.norm.bias); 1 unexpected (features.extra): build the network that the file is of"
    )
    with pytest.raises(CheckpointError, match=r"3 of another shape \(head.0.*: train a new head with new=True"):
        Toy(weights=saved(Toy(width=6).state_dict(), labels=ABC), labels=ABC)


def test_input_scaling_becomes_part_of_the_network_and_its_state(saved):
    origin = Toy(3)
    scaling = {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.25, 0.2]}
    loaded = Toy(3, weights=saved(origin.state_dict(), labels=ABC, input_scaling=scaling), labels=ABC)
    scaled = (images(3) - torch.tensor([0.1, 0.2, 0.3])[:, None, None]) * torch.tensor([2, 4, 5])[:, None, None]
    torch.testing.assert_close(loaded(images(3)), origin(scaled))

    other = Toy(3, seed=1)
    other.load_state_dict(loaded.state_dict())
    assert torch.equal(other(images(3)), loaded(images(3)))
    again = Toy(3, weights=saved(loaded.state_dict(), labels=ABC), labels=ABC, seed=1)
    assert torch.equal(again(images(3)), loaded(images(3)))
    other.load_state_dict(origin.state_dict())
    assert torch.equal(other(images(3)), origin(images(3)))

    grey = Toy(1, weights=saved(loaded.state_dict(), labels=ABC), labels=ABC, first_layer="sum")
    torch.testing.assert_close(grey.input_scaling, torch.tensor([[0.2], [0.95 / 3]]))
    two = saved(origin.state_dict(), labels=ABC, input_scaling={"mean": [0, 0], "std": [1, 1]})
    with pytest.raises(CheckpointError, match="input scaling of 2 channels, the network takes 3"):
        Toy(3, weights=two, labels=ABC)


def test_a_card_gives_mean_and_deviation_or_a_range():
    torch.testing.assert_close(mean_and_deviation({"range": [-1, 3]}), torch.tensor([[0.25], [0.25]]))
    with pytest.raises(CheckpointError, match="input_scaling of the card must be"):
        mean_and_deviation({"mean": 0})
    with pytest.raises(CheckpointError, match="where the first channel is blue"):
        mean_and_deviation({"mean": 0, "std": 1, "order": "GBR"})


def test_volumes_are_scaled_too():
    scaled = scale_input(torch.ones(1, 2, 3, 4, 5), torch.tensor([[0.0, 1.0], [0.5, 1.0]]))
    assert scaled[:, 0].eq(2).all()
    assert scaled[:, 1].eq(0).all()


def test_imagenet_has_its_scaling_and_a_new_last_layer():
    network, published = Toy(3, weights="imagenet", labels=ABC), Toy(3, 10, seed=7)
    torch.testing.assert_close(network.input_scaling[:, 0], torch.tensor([0.485, 0.229]))
    assert torch.equal(network.features.conv.weight, published.features.conv.weight)
    assert torch.equal(network.head[0].weight, published.head[0].weight)
    assert torch.equal(network.head[2].weight, Toy(3).head[2].weight)


@pytest.mark.parametrize("error", [urllib.error.URLError("no route"), RuntimeError("invalid hash value: no route")])
def test_imagenet_without_a_download_is_one_line(error):
    def offline():
        raise error

    with pytest.raises(CheckpointError, match=r"could not be downloaded .*no route.*torchvision's Toy .*give its path"):
        Toy(3, weights="imagenet", published=replace(TOY, imagenet=offline))


def test_a_download_is_checked_and_read_as_tensors_only(monkeypatch):
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda url, **options: (url, options))
    url, options = download("https://example.org/net-0123.pth")
    assert url == "https://example.org/net-0123.pth"
    assert options["check_hash"]
    assert options["weights_only"]


def test_a_download_stays_in_the_folder_that_writing_is_confined_to(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda url, **options: Path(options["model_dir"]))
    url, cache = "https://example.org/net-0123.pth", Path(torch.hub.get_dir(), "checkpoints")
    assert download(url) == cache
    with confined(tmp_path / "run"):
        assert download(url) == tmp_path / "run/downloads"
        cache.mkdir(parents=True)
        (cache / "net-0123.pth").touch()
        assert download(url) == cache, "what is there is read, not fetched again"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file: give the path"),
        (b"not a checkpoint", "something else than tensors|not a readable PyTorch file"),
        (b"", "not a readable PyTorch file"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(content, message, tmp_path):
    path = tmp_path / "weights.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as caught:
        Toy(weights=path)
    assert str(path) in str(caught.value)


def test_a_file_of_python_objects_is_refused_with_the_way_out(saved):
    with pytest.raises(CheckpointError, match=r"hold Python objects \(medkit.pretrained.Published\).*model.state_dict"):
        Toy(weights=saved(Published))


def test_what_is_another_network_is_said_to_be_none(saved):
    for content in ({"fc.weight": torch.zeros(1)}, [torch.zeros(1)]):
        with pytest.raises(CheckpointError, match=r"hold no Toy: .* one key that ends in features.conv.weight"):
            Toy(weights=saved(content))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head": "old"}, 'Toy: head "old" is not known: choose one of strict, new'),
        ({"first_layer": "mean"}, 'first_layer "mean" is not known: choose one of strict, sum, average, copy_red, '),
        ({"labels": ["A"]}, "1 labels for 3 out_channels"),
    ],
)
def test_a_wrong_option_says_what_to_choose(options, message):
    with pytest.raises(ConfigError, match=message):
        Toy(**options)


@pytest.mark.parametrize("synthetic", [True, False])
def test_the_card_of_a_training_says_what_it_started_from(synthetic, saved, tmp_path):
    network = Toy(weights=saved(Toy(seed=3).state_dict(), labels=ABC, synthetic=synthetic), labels=ABC)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    handler = medkit.Checkpoints(network, optimizer, str(tmp_path / "model.pt"))
    trainer = Engine(lambda engine, batch: None)
    trainer.add_event_handler(Events.COMPLETED, handler.finish)
    trainer.run([0])
    source = read_card(tmp_path / "model.pt").source
    assert source == "started from weights.pt" + (", which has learnt from synthetic images" if synthetic else "")
