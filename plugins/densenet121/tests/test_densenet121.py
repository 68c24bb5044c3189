import json
import urllib.error

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.networks.nets import DenseNet
from torch import nn

import medkit
from medkit.card import write_card
from medkit.errors import CheckpointError, ConfigError
from medkit.pretrained import mean_and_deviation

SMALL = {"blocks": (2, 1, 2), "growth_rate": 4, "init_features": 8}


def small(**options) -> nn.Module:
    torch.manual_seed(options.pop("seed", 0))
    network = medkit.network("densenet121", **{"in_channels": 1, "out_channels": 3, **SMALL, **options})
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and options.get("weights") is None:
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return network.eval()


def images(channels: int = 1) -> torch.Tensor:
    return torch.rand(2, channels, 64, 96, generator=torch.Generator().manual_seed(1))


def torchvision_keys(blocks: tuple[int, ...]) -> set[str]:
    """The keys of torchvision's DenseNet, by its rule."""
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    keys = {"features.conv0.weight", "classifier.weight", "classifier.bias"}
    keys |= {f"features.{layer}.{part}" for layer in ("norm0", "norm5") for part in norm}
    for block, layers in enumerate(blocks, 1):
        for layer in range(1, layers + 1):
            for n in (1, 2):
                at = f"features.denseblock{block}.denselayer{layer}."
                keys |= {f"{at}conv{n}.weight", *(f"{at}norm{n}.{part}" for part in norm)}
        if block < len(blocks):
            at = f"features.transition{block}."
            keys |= {f"{at}conv.weight", *(f"{at}norm.{part}" for part in norm)}
    return keys


def old_style(state: dict) -> dict:
    """Keys of the files of 2017: ``norm.1`` for ``norm1``, no ``num_batches_tracked``."""
    names = ("norm1", "norm2", "conv1", "conv2")
    old = {}
    for key, value in state.items():
        for name in names:
            key = key.replace(f".{name}.", f".{name[:4]}.{name[4]}.")
        if not key.endswith("num_batches_tracked"):
            old[key] = value
    return old


def chexnet(state: dict) -> dict:
    old = {key.replace("classifier.", "classifier.0."): value for key, value in old_style(state).items()}
    return {"epoch": 4, "state_dict": {f"module.densenet121.{key}": value for key, value in old.items()}}


def monai_style(state: dict) -> dict:
    network = DenseNet(2, 1, 3, block_config=(2, 1, 2), growth_rate=4, init_features=8)
    return dict(zip(network.state_dict(), state.values(), strict=True))


FORMATS = {
    "plain": dict,
    "old": old_style,
    "chexnet": chexnet,
    "monai": monai_style,
    "xray vision": lambda state: {**state, "op_threshs": torch.rand(3)},
    "in a checkpoint": lambda state: {"model": dict(state), "optimizer": {"state": {}, "param_groups": []}},
    "distributed": lambda state: {f"module.{key}": value for key, value in state.items()},
}


@pytest.fixture
def saved(tmp_path):
    """Return a function that writes a state as a weights file with a card."""

    def save(state, **card):
        path = tmp_path / "weights.pt"
        torch.save(state, path)
        if card:
            write_card(path, **card)
        return path

    return save


ABC = ["A", "B", "C"]


def test_it_has_exactly_torchvisions_keys():
    network = medkit.network("densenet121", in_channels=3, out_channels=1000)
    assert set(network.state_dict()) == torchvision_keys((6, 12, 24, 16))
    assert {name for name, _ in network.named_parameters()} <= torchvision_keys((6, 12, 24, 16))
    assert sum(parameter.numel() for parameter in network.parameters()) == 7_978_856


def test_it_gives_what_monais_densenet_gives():
    network = small()
    original = DenseNet(2, 1, 3, block_config=(2, 1, 2), growth_rate=4, init_features=8).eval()
    original.load_state_dict(monai_style(network.state_dict()))
    torch.testing.assert_close(network(images()), original(images()))


@given(st.sampled_from([4, 8, 16]), st.integers(32, 80), st.integers(32, 80), st.sampled_from([1, 3]))
@settings(max_examples=8, deadline=None)
def test_stride_is_input_pixels_a_cell(stride, rows, columns, channels):
    network = small(in_channels=channels, stride=stride)
    pixels = torch.rand(2, channels, rows, columns)
    assert network(pixels).shape == (2, 3)
    cells = network.features(pixels).shape[2:]
    assert all(abs(cell - size / stride) < 1 for cell, size in zip(cells, (rows, columns)))


def test_a_finer_stride_has_the_same_keys_and_finer_maps():
    plain, fine = small(), small(stride=8)
    fine.load_state_dict(plain.state_dict())
    assert plain.features(images()).shape[2:] == (4, 6)
    assert fine.features(images()).shape[2:] == (8, 12)


def test_volumes_have_logits_too():
    assert small(spatial_dims=3)(torch.rand(1, 1, 32, 48, 32)).shape == (1, 3)


@pytest.mark.parametrize("form", FORMATS)
def test_every_public_form_loads_to_the_same_outputs(form, saved):
    origin = small()
    path = saved(FORMATS[form](origin.state_dict()), labels=ABC)
    assert torch.equal(small(weights=path, labels=ABC, seed=5)(images()), origin(images()))


def test_an_old_zip_less_file_loads(tmp_path):
    origin = small()
    torch.save(chexnet(origin.state_dict()), tmp_path / "model.pth.tar", _use_new_zipfile_serialization=False)
    write_card(tmp_path / "model.pth.tar", labels=ABC)
    loaded = small(weights=tmp_path / "model.pth.tar", labels=ABC, seed=5)
    assert torch.equal(loaded(images()), origin(images()))


def test_a_file_of_python_objects_is_refused_with_the_way_out(saved):
    with pytest.raises(CheckpointError, match=r"hold Python objects \(monai\S+DenseNet\).*model.state_dict"):
        small(weights=saved(DenseNet(2, 1, 1, block_config=(1,))))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a checkpoint", "hold something else than tensors|not a readable PyTorch file"),
        (b"", "not a readable PyTorch file"),
        (b"PK\x03\x04 cut short", "not a readable PyTorch file"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, content, message):
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as caught:
        small(weights=path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"nowhere.pt.*no such file"):
        small(weights=tmp_path / "nowhere.pt")


def test_what_is_no_densenet_is_said_to_be_none(saved):
    with pytest.raises(CheckpointError, match="hold no DenseNet"):
        small(weights=saved({"fc.weight": torch.zeros(2)}))
    two = saved({f"{name}.{key}": value for name in "ab" for key, value in small().state_dict().items()})
    with pytest.raises(CheckpointError, match=r"hold 2 DenseNets \(a.features"):
        small(weights=two)


def test_the_key_report_lists_missing_unexpected_and_shapes_in_one_line(saved):
    state = dict(small(in_channels=3).state_dict())
    del state["features.norm0.bias"]
    state["features.extra"] = torch.zeros(1)
    with pytest.raises(CheckpointError) as caught:
        small(weights=saved(state, labels=ABC), labels=ABC)
    message = str(caught.value)
    assert "\n" not in message
    assert "1 missing (features.norm0.bias)" in message
    assert "1 unexpected (features.extra)" in message
    assert "1 of another shape (features.conv0.weight: file 8×3×7×7, network 8×1×7×7)" in message
    assert "first_layer: sum" in message


def test_another_members_weights_do_not_load(saved):
    path = saved(small(blocks=(2, 1, 2, 1)).state_dict(), labels=ABC)
    with pytest.raises(CheckpointError, match=r"unexpected \(features.transition3.*build the network"):
        small(weights=path, labels=ABC)


@pytest.mark.parametrize(("channels", "others"), [(1, 3), (3, 1)])
def test_a_summed_first_layer_keeps_the_response_to_grey_images(channels, others, saved):
    origin = small(in_channels=others)
    loaded = small(in_channels=channels, weights=saved(origin.state_dict(), labels=ABC), labels=ABC, first_layer="sum")
    grey = images()
    expected = origin(grey.expand(-1, others, -1, -1))
    torch.testing.assert_close(loaded(grey.expand(-1, channels, -1, -1)), expected, rtol=1e-4, atol=1e-5)


def test_a_new_head_is_the_networks_own_and_the_rest_is_the_files(saved):
    origin = small(out_channels=14)
    path = saved({**origin.state_dict(), "decoder.weight": torch.zeros(1)})
    loaded = small(weights=path, head="new", seed=5)
    assert torch.equal(loaded.features(images()), origin.features(images()))
    assert loaded(images()).shape == (2, 3)


def test_a_head_of_another_size_names_both(saved):
    with pytest.raises(CheckpointError, match=r"have 14 outputs, the network 3: .*head: new"):
        small(weights=saved(small(out_channels=14).state_dict()))


def test_findings_are_found_by_name_in_the_files_head(saved):
    origin = small(out_channels=4)
    path = saved(origin.state_dict(), labels=["A", "B", "C", "D"])
    loaded = small(weights=path, labels=["D", "A", "B"])
    torch.testing.assert_close(loaded(images()), origin(images())[:, [3, 0, 1]])


def test_findings_that_the_file_lacks_are_listed(saved):
    path = saved(small().state_dict(), labels=ABC)
    with pytest.raises(CheckpointError, match=r"do not know Mass, Nodule; they know A, B, C: .*head: new"):
        small(weights=path, labels=["Mass", "A", "Nodule"])


@pytest.mark.parametrize(
    ("card", "labels", "do"),
    [({}, ABC, "write a card"), ({"source": "x"}, ABC, "write a card"), ({"labels": ABC}, None, "give labels")],
)
def test_a_head_of_unknown_order_is_warned_about(card, labels, do, saved):
    origin = small()
    with pytest.warns(UserWarning, match=f"which finding each of the 3 outputs means is not verified: {do}"):
        loaded = small(weights=saved(origin.state_dict(), **card), labels=labels)
    assert torch.equal(loaded(images()), origin(images()))


def test_a_card_of_another_file_is_refused(saved):
    path = saved(small().state_dict(), labels=ABC)
    torch.save(small(seed=1).state_dict(), path)
    with pytest.raises(CheckpointError, match=r"have sha256 \w{12}…, their card \"weights.json\" says \w{12}…"):
        small(weights=path, labels=ABC)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lables": []}, 'unknown field "lables". Did you mean "labels"'),
        ({"input_scaling": {"mean": 1}}, "input_scaling of the card must be"),
        ({"labels": ["A"]}, "have 3 outputs, their card names 1 labels"),
    ],
)
def test_a_wrong_card_says_what_is_wrong(change, message, saved):
    path = saved(small().state_dict(), labels=ABC)
    card = path.with_suffix(".json")
    card.write_text(json.dumps(json.loads(card.read_text()) | change))
    with pytest.raises(CheckpointError, match=message):
        small(weights=path, labels=ABC)


@pytest.mark.parametrize(
    ("given", "mean", "std"),
    [
        ({"range": [-1024, 1024]}, [0.5], [1 / 2048]),
        ({"mean": 0.5, "std": [0.1, 0.2, 0.4]}, [0.5, 0.5, 0.5], [0.1, 0.2, 0.4]),
    ],
)
def test_a_card_gives_mean_and_deviation(given, mean, std):
    torch.testing.assert_close(mean_and_deviation(given), torch.tensor([mean, std]))


def test_input_scaling_becomes_part_of_the_network_and_its_checkpoint(saved):
    origin = small()
    path = saved(origin.state_dict(), labels=ABC, input_scaling={"range": [-1024, 1024]})
    loaded = small(weights=path, labels=ABC)
    torch.testing.assert_close(loaded(images()), origin(images() * 2048 - 1024), rtol=1e-4, atol=1e-3)
    assert set(loaded.state_dict()) - torchvision_keys((2, 1, 2)) == {"input_scaling"}

    later = small(seed=5)
    later.load_state_dict(loaded.state_dict())
    assert torch.equal(later(images()), loaded(images()))
    later.load_state_dict(origin.state_dict())
    assert torch.equal(later(images()), origin(images()))

    again = small(weights=saved(loaded.state_dict(), labels=ABC), labels=ABC)
    assert torch.equal(again(images()), loaded(images()))


def test_imagenet_comes_with_its_scaling_and_a_new_head(monkeypatch):
    torch.manual_seed(3)
    published = medkit.network("densenet121", in_channels=3, out_channels=1000).eval()
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *_, **__: old_style(published.state_dict()))
    network = medkit.network("densenet121", in_channels=3, out_channels=2, weights="imagenet").eval()
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    scaled = (images(3) - mean[:, None, None]) / std[:, None, None]
    assert network(images(3)).shape == (2, 2)
    network.classifier = published.classifier = nn.Identity()
    torch.testing.assert_close(network(images(3)), published(scaled))


def test_imagenet_without_network_is_one_line(monkeypatch):
    def offline(*_, **__):
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    with pytest.raises(CheckpointError, match=r"could not be downloaded .*no route.*give its path"):
        medkit.network("densenet121", in_channels=3, out_channels=2, weights="imagenet")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 32}, r"stride 32 with 3 blocks: choose one of \[4, 8, 16\]"),
        ({"labels": ["A"]}, "1 labels for 3 out_channels"),
        ({"weights": "x.pt", "head": "old"}, 'head "old" is not known: choose one of strict, new'),
        ({"weights": "x.pt", "first_layer": "mean"}, 'first_layer "mean" is not known'),
        ({"strid": 8}, 'Did you mean "stride"'),
    ],
)
def test_a_wrong_option_says_what_to_choose(options, message):
    with pytest.raises(ConfigError, match=message):
        small(**options)
