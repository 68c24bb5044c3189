"""The encoder in the classifier, reconstructions against the mean image, and the README's stage in a bundle."""

import json
import logging
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from ignite.engine import Engine
from monai.bundle import ConfigWorkflow
from monai.data import Dataset
from monai.engines import SupervisedEvaluator
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader

import medkit
from medkit.card import read_card, write_card
from medkit.checkpoint import read_checkpoint
from medkit.configuration import load_config
from medkit.errors import CheckpointError, ConfigError, DataError
from medkit.tables import write_csv
from medkit.trust import audit

ROOT = Path(__file__).parents[3]
FINDINGS = ["Mass", "Nodule"]
SMALL = {"component": "densenet121", "blocks": [1, 1], "growth_rate": 4, "init_features": 4}
ENCODERS = {
    "densenet121": (SMALL, "class_layers.relu", "classifier."),
    "vgg16": ({"component": "vgg16", "head": "average"}, "features.29", "classifier."),
    "resnet18": ({"component": "resnet18"}, "layer4.1.act", "fc."),
}
TAKING = {"densenet121": {**SMALL, "head": "new"}, "vgg16": ENCODERS["vgg16"][0], "resnet18": ENCODERS["resnet18"][0]}


@pytest.fixture(autouse=True)
def thin(monkeypatch):
    """The published networks with few maps."""
    monkeypatch.setattr("medkit_vgg.network.WIDTHS", (4, 4, 8, 8, 8))
    monkeypatch.setattr("medkit_vgg.network.HIDDEN", {"published": (4, 4), "average": ()})
    monkeypatch.setattr("medkit_resnet18.network.WIDTHS", (4, 4, 8, 8))


def autoencoder(encoder=SMALL, seed=0, **options):
    torch.manual_seed(seed)
    given = {"in_channels": 1, "out_channels": 2, "spatial_size": 32, "width": 16, "encoder": encoder}
    return medkit.network("autoencoder", **given | options)


def images(count=4, side=32, seed=1):
    return torch.rand(count, 1, side, side, generator=torch.Generator().manual_seed(seed))


def write(network, path, data=({"synthetic": True}, {})):
    engine = Engine(lambda *_: None)
    medkit.handler("encoder_file", network=network, path=str(path), data=list(data)).attach(engine)
    engine.run([0], max_epochs=2)


@pytest.mark.parametrize("name", ENCODERS)
def test_after_training_every_encoder_weight_in_the_classifier_is_the_auto_encoders(name, tmp_path):
    encoder, layer, head = ENCODERS[name]
    network = autoencoder(encoder)
    assert network.maps.layer == layer
    before = {key: value.clone() for key, value in network.encoder.state_dict().items()}
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01, weight_decay=0.1)
    nn.functional.mse_loss(network(images()), images()).backward()
    optimizer.step()
    write(network, tmp_path / "encoder.pt")
    classifier = medkit.network(**TAKING[name], in_channels=1, out_channels=5, weights=str(tmp_path / "encoder.pt"))
    taken = classifier.state_dict()
    own = network.encoder.state_dict()
    parameters = dict(network.encoder.named_parameters())
    for key, value in own.items():
        if key.startswith(head):  # neither run nor decayed
            assert torch.equal(value, before[key])
        else:
            assert torch.equal(value, taken[key])
            assert key not in parameters or not torch.equal(value, before[key])
    assert set(read_checkpoint(tmp_path / "encoder.pt")) == {key for key in own if not key.startswith(head)}
    card = read_card(tmp_path / "encoder.pt")
    assert (card.synthetic, card.images, card.epoch, card.labels) == (True, 2, 2, None)


def test_an_input_scaling_goes_with_the_encoder(tmp_path):
    torch.save(medkit.network(**SMALL, in_channels=1, out_channels=3).state_dict(), tmp_path / "public.pt")
    write_card(tmp_path / "public.pt", input_scaling={"mean": 0.5, "std": 0.25})
    network = autoencoder({**SMALL, "weights": str(tmp_path / "public.pt"), "head": "new"})
    write(network, tmp_path / "encoder.pt")
    taken = medkit.network(**TAKING["densenet121"], in_channels=1, out_channels=2, weights=tmp_path / "encoder.pt")
    torch.testing.assert_close(taken.input_scaling, torch.tensor([[0.5], [0.25]]))


def test_without_a_new_head_the_file_is_refused(tmp_path):
    write(autoencoder(), tmp_path / "encoder.pt")
    with pytest.raises(CheckpointError, match=r"2 missing .*train a new head with head: new"):
        medkit.network(**SMALL, in_channels=1, out_channels=2, weights=str(tmp_path / "encoder.pt"))


@pytest.mark.parametrize(
    ("encoder", "maps"),
    [
        (SMALL, (8, 4, 4)),
        ({"component": "vgg_like", "spatial_size": 32, "channels": [4, 6], "convolutions": [1, 1]}, (6, 16, 16)),
        ({"component": "vgg16", "head": "published"}, (8, 2, 2)),
        ({"component": "resnet18"}, (8, 1, 1)),
    ],
)
def test_the_last_maps_of_any_classifier_are_decoded_to_the_images_size(encoder, maps):
    network = autoencoder(encoder).eval()
    assert network.maps.shape == maps
    with torch.no_grad():
        assert network(images()).shape == (4, 1, 32, 32)


def test_the_encoder_gives_what_the_head_is_given():
    from medkit_autoencoder.maps import run_to

    network = autoencoder({"component": "resnet18"}).eval()
    with torch.no_grad():
        maps = run_to(network.encoder, network.maps, images(side=64))
        torch.testing.assert_close(maps.mean((2, 3)), network.encoder.encode(images(side=64)))


def test_images_of_odd_sizes_come_back_in_their_size():
    assert autoencoder(spatial_size=[33, 50]).eval()(torch.rand(2, 1, 33, 50)).shape == (2, 1, 33, 50)


def batch(statuses):
    readable = torch.tensor([status == "ok" for status in statuses])
    return {"image": images(len(statuses)) * readable.reshape(-1, 1, 1, 1), "status": statuses}


def step(network, statuses):
    network.zero_grad()
    prepare = medkit.transform("reconstruction_batch")
    inputs, target, args, options = prepare(batch(statuses))
    assert torch.equal(inputs, target)
    loss = nn.functional.mse_loss(network(inputs, *args, **options), target, reduction="sum")
    loss.backward()
    return loss, {key: p.grad for key, p in network.named_parameters() if p.requires_grad}, network.state_dict()


def test_files_that_could_not_be_read_teach_nothing():
    loss, gradients, state = step(autoencoder(), ["ok", "error", "ok", "not_assessed"])
    network = autoencoder()
    made = network(images()[[0, 2]])
    expected = nn.functional.mse_loss(made, images()[[0, 2]], reduction="sum")
    expected.backward()
    torch.testing.assert_close(loss, expected)
    for key, parameter in network.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(gradients[key], parameter.grad)
    for key, value in network.state_dict().items():  # batch norm's statistics among them
        torch.testing.assert_close(state[key], value)

    network = autoencoder()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    loss, gradients, state = step(network, ["error", "error"])
    assert loss == 0
    assert all(not gradient.any() for gradient in gradients.values())
    assert all(torch.equal(value, before[key]) for key, value in state.items())
    assert network.training


def samples(pixels, failed=()):
    one = [{"image": torch.as_tensor(p, dtype=torch.float32), "status": "ok", "patient_id": str(n // 2)}
           for n, p in enumerate(pixels)]  # fmt: skip
    return [{**sample, "status": "error"} if n in failed else sample for n, sample in enumerate(one)]


class Drawn(nn.Module):
    """Images times a factor, as reconstructions."""

    def __init__(self, factor):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, images, readable):
        return images * self.factor


def measure(path, network, training, validation):
    evaluator = SupervisedEvaluator(
        "cpu",
        DataLoader(Dataset(validation), batch_size=3),
        network,
        prepare_batch=medkit.transform("reconstruction_batch"),
        val_handlers=[medkit.handler("reconstruction_error", path=str(path), dataset=Dataset(training))],
    )
    evaluator.run()
    return json.loads(path.read_text())


def test_errors_are_those_that_numpy_gives(tmp_path, caplog):
    random = np.random.default_rng(0)
    training, validation = random.random((5, 1, 4, 4)), random.random((8, 1, 4, 4)).astype(np.float32)
    written = measure(tmp_path / "a.json", Drawn(0.9), samples(training, failed=[1]), samples(validation, failed=[6]))
    kept, mean = np.delete(validation, 6, axis=0), np.delete(training, 1, axis=0).mean(axis=0)
    by_hand = ((0.1 * kept) ** 2).mean(), ((kept - mean) ** 2).mean()
    np.testing.assert_allclose(written["reconstruction"]["value"], by_hand[0], rtol=1e-5)
    np.testing.assert_allclose(written["mean_image"]["value"], by_hand[1], rtol=1e-5)
    np.testing.assert_allclose(written["gain"]["value"], by_hand[1] - by_hand[0], rtol=1e-5)
    for name in ("reconstruction", "mean_image", "gain"):
        assert written[name]["low"] < written[name]["value"] < written[name]["high"]
        assert written[name]["n"] == 7
    assert written["warnings"] == []
    assert not caplog.records


def test_reconstructions_that_are_no_better_than_the_mean_image_are_said_to_be(tmp_path, caplog):
    pixels = np.random.default_rng(0).random((6, 1, 4, 4))
    with caplog.at_level(logging.WARNING):
        written = measure(tmp_path / "a.json", Drawn(0.0), samples(pixels), samples(pixels))
    assert written["gain"]["high"] < 0
    assert "not better than the mean image" in written["warnings"][0]
    assert caplog.messages == written["warnings"]


def test_without_a_readable_image_there_is_nothing_to_compare(tmp_path):
    good, bad = samples(np.ones((2, 1, 4, 4))), samples(np.ones((2, 1, 4, 4)), failed=[0, 1])
    with pytest.raises(DataError, match="none of 2 training images could be read"):
        measure(tmp_path / "a.json", Drawn(1.0), bad, good)
    with pytest.raises(DataError, match="no validation image could be read"):
        measure(tmp_path / "a.json", Drawn(1.0), good, bad)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": {"blocks": [1]}}, "give {component: NAME"),
        ({"encoder": {**SMALL, "groth_rate": 1}}, 'Did you mean "growth_rate"'),
        ({"encoder": {"component": "resnet18", "frozen": True}}, "resnet18 is frozen: let it train"),
        ({"spatial_size": [32]}, "has 1 sides: give 2, or one"),
        ({"width": 0}, "width 0: give at least 1"),
    ],
)
def test_wrong_options_say_what_to_give(options, message):
    with pytest.raises(ConfigError, match=message):
        autoencoder(**options)


def test_the_encoder_of_another_network_is_none():
    with pytest.raises(ConfigError, match="the network is Linear: give the network autoencoder"):
        write(nn.Linear(1, 1), "encoder.pt")


@pytest.fixture
def folder(tmp_path):
    """36 images of a bright blob on black, which the mean image smears; one of them cannot be read."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:32, :32]
    table = []
    for n in range(36):
        y, x = random.uniform(6, 26, 2)
        blob = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 30)
        Image.fromarray((255 * blob).astype(np.uint8)).save(tmp_path / f"{n}.png")
        section = "validation" if n >= 28 else "training"
        table.append({"image": f"{n}.png", "patient_id": n, "section": section, **dict.fromkeys(FINDINGS, "")})
    (tmp_path / "3.png").write_bytes(b"no image")
    write_csv(tmp_path / "labels.csv", ["image", "patient_id", "section", *FINDINGS], table)
    return tmp_path


def test_the_readmes_stage_learns_in_a_bundle_from_images_without_labels(folder, tmp_path):
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    stage = tmp_path / "pretrain.yaml"
    stage.write_text(re.search(r"```yaml\n(# pretrain\.yaml.*?)```", readme, re.DOTALL)[1], encoding="utf-8")
    bundle = ROOT / "bundles" / "chest_gradcam"
    files = [str(bundle / "configs" / "train.yaml"), str(stage)]
    assert audit(load_config(files, bundle_root=bundle, outside=True)).untrusted == ()
    workflow = ConfigWorkflow(
        config_file=files,
        bundle_root=str(bundle),
        output_dir=str(tmp_path / "out"),
        dataset_dir=str(folder),
        findings=FINDINGS,
        image_size=[32, 32],
        batch_size=9,
        max_epochs=16,
        device="cpu",
        quiet=True,
        **{"network_def#encoder": SMALL, "network_def#width": 16, "optimizer#lr": 0.01, "lr_scheduler#max_lr": 0.02},
        **{"train#dataset#num_workers": 0, "validate#dataset#num_workers": 0},
    )
    workflow.initialize()
    workflow.run()
    workflow.finalize()
    out = tmp_path / "out"
    written = json.loads((out / "autoencoder.json").read_text())
    assert written["reconstruction"]["high"] < written["mean_image"]["low"]
    assert written["warnings"] == []
    assert {path.name for path in (out / "pretrain").iterdir()} == {
        *("model.pt", "model.json", "encoder.pt", "encoder.json", "history.csv")
    }
    assert "3.png" in (out / "problems.csv").read_text()
    classifier = medkit.network(
        **SMALL, in_channels=1, out_channels=2, head="new", weights=str(out / "pretrain" / "encoder.pt")
    ).state_dict()
    final = read_checkpoint(out / "pretrain" / "model.pt")
    for key, value in read_checkpoint(out / "pretrain" / "encoder.pt").items():
        assert torch.equal(classifier[key], value)
        assert torch.equal(final[f"encoder.{key}"], value)
