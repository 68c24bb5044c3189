"""A head trained on cached features against the same head trained on images."""

import numpy as np
import pytest
import torch
from ignite.engine import Events
from monai.data import CacheDataset, DataLoader, Dataset
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.transforms import Compose, EnsureTyped, OneOf, RandFlipd, Resized, Transform
from torch import nn
from torch.utils.data import ConcatDataset, Subset

import medkit
from medkit.errors import ConfigError, DataError
from medkit.tables import read_csv

PIXELS = np.random.default_rng(0).random((11, 1, 64, 64), np.float32)
LABELS = np.random.default_rng(1).integers(0, 2, (11, 2)).astype(np.float32)
BROKEN = 4


@pytest.fixture(autouse=True)
def thin(monkeypatch):
    """The same networks with few maps."""
    monkeypatch.setattr("medkit_vgg.network.WIDTHS", (2, 3, 4, 4, 4))
    monkeypatch.setattr("medkit_resnet18.network.WIDTHS", (4, 6, 8, 8))


def network(name="resnet18", **options) -> nn.Module:
    torch.manual_seed(0)
    head = {"head": "1024-256", "spatial_size": 64} if name == "vgg19" else {}
    net = medkit.network(name, in_channels=1, out_channels=2, **{"frozen": True, **head, **options})
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
    return net


class Read(Transform):
    """In place of a reader: the image's name is its number."""

    def __call__(self, sample):
        if int(sample["image"]) == BROKEN:
            raise DataError("cut short")
        return {**sample, "image": PIXELS[int(sample["image"])]}


def images(*transforms) -> CacheDataset:
    data = [{"image": str(n), "label": label} for n, label in enumerate(LABELS)]
    return CacheDataset(
        data, medkit.SafeCompose([Read(), EnsureTyped("image"), *transforms], (64, 64), 2), progress=False
    )


def cached(dataset=None, net=None, **options):
    dataset = images() if dataset is None else dataset
    net = network() if net is None else net
    return medkit.transform("cached_features", dataset=dataset, network=net, **{"quiet": True, **options})


def trained(name, folder, from_features) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Return the weights after two epochs like a bundle's, and the files seen, in order."""
    medkit.setup(seed=3)
    net, data = network(name), images()
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=0.01)
    dataset = cached(data, net) if from_features else data
    sampler = medkit.sampler("balanced", labels=medkit.labels(data.data), seed=3)
    seen: list[str] = []
    trainer = SupervisedTrainer(
        "cpu",
        2,
        DataLoader(dataset, batch_size=4, sampler=sampler),
        net,
        optimizer,
        medkit.loss("weighted_cross_entropy"),
        inferer=medkit.transform("head_inferer") if from_features else None,
        train_handlers=[
            medkit.EpochSeed(seed=3, dataset=dataset),
            medkit.Problems(str(folder / "problems.csv"), "train"),
            medkit.Checkpoints(net, optimizer, str(folder / "model.pt")),
        ],
    )
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda e: seen.extend(s["file"] for s in e.state.batch))
    trainer.run()
    return net.state_dict(), seen


@pytest.mark.parametrize("name", ["vgg19", "resnet18"])
def test_a_head_trained_on_features_is_the_one_trained_on_images_to_the_bit(name, tmp_path):
    # dropout included (vgg19): neither encoder nor cache draws a random number
    before = network(name).state_dict()
    full, order = trained(name, tmp_path / "full", from_features=False)
    quick, same_order = trained(name, tmp_path / "quick", from_features=True)
    assert order == same_order
    assert str(BROKEN) in order
    changed = {key for key in full if not torch.equal(quick[key], before[key])}
    assert changed == {key for key in full if key.startswith(("classifier.", "fc."))}
    assert not [key for key in full if not torch.equal(full[key], quick[key])]
    problems = [read_csv(tmp_path / run / "problems.csv") for run in ("full", "quick")]
    assert problems[0] == problems[1] != []


def test_only_the_image_of_a_sample_changes():
    data, net = images(), network()
    dataset = cached(data, net, batch_size=5)
    assert len(dataset) == len(data)
    for plain, sample in zip(data, (dataset[n] for n in range(len(data))), strict=True):
        assert sample.keys() == plain.keys()
        assert sample["image"].dtype == torch.float32
        with torch.no_grad():
            expected = net.eval().encode(plain["image"][None])[0]
        torch.testing.assert_close(sample["image"], expected)
        assert all(np.array_equal(sample[k], plain[k], equal_nan=k == "label") for k in ("status", "label", "file"))
    assert [dataset[n]["status"] for n in (BROKEN, BROKEN + 1)] == ["error", "ok"]
    assert np.isnan(dataset[BROKEN]["label"]).all()
    dataset[0]["image"] = None  # a copy
    assert dataset[0]["image"].shape == (8,)


def test_features_are_computed_once_with_the_weights_of_the_first_access_and_without_randomness():
    net, calls = network(), []
    dataset = cached(net=net, batch_size=4)
    encode = net.encode
    net.encode = lambda x: calls.append(len(x)) or encode(x)
    net.conv1.weight.data.mul_(2)
    net.eval()
    state = torch.get_rng_state()
    features = torch.stack([dataset[n]["image"] for n in range(len(dataset))] * 2)
    assert calls == [4, 4, 4, 3]  # the first batch once more, to look at the encoder
    assert torch.equal(torch.get_rng_state(), state)
    assert not features.requires_grad
    assert not any(module.training for module in net.modules())
    torch.testing.assert_close(features[:11], encode(torch.stack([s["image"] for s in images()])))


def test_validation_on_features_gives_the_logits_of_images():
    net, logits = network().eval(), {}
    for name, dataset, inferer in (
        ("images", images(), None),
        ("features", cached(net=net), medkit.transform("head_inferer")),
    ):
        evaluator = SupervisedEvaluator("cpu", DataLoader(dataset, batch_size=4), net, inferer=inferer)
        out = logits.setdefault(name, [])
        evaluator.add_event_handler(
            Events.ITERATION_COMPLETED, lambda e, o=out: o.extend(s["pred"] for s in e.state.output)
        )
        evaluator.run()
    torch.testing.assert_close(torch.stack(logits["features"]), torch.stack(logits["images"]))


@pytest.mark.parametrize(
    "dataset",
    [
        lambda: images(RandFlipd("image", prob=1)),
        lambda: images(Compose([Resized("image", 64), Compose([RandFlipd("image", prob=0.1)])])),
        lambda: images(OneOf([RandFlipd("image"), RandFlipd("image")])),
        lambda: Dataset(images().data, Compose([EnsureTyped("image"), RandFlipd("image")])),
        lambda: Subset(images(RandFlipd("image")), [0, 1]),
        lambda: ConcatDataset([images(), images(RandFlipd("image"))]),
        lambda: Dataset(images(RandFlipd("image")), None),
    ],
)
def test_random_augmentation_is_refused_wherever_it_is(dataset):
    with pytest.raises(ConfigError, match=r"^cached_features: .* random transform (RandFlipd|OneOf), .*or train on im"):
        cached(dataset())


def thawed(net):
    net.layer3[0].conv1.weight.requires_grad_(True)


def unfixed(net):
    net.train = lambda mode=True: nn.Module.train(net, mode)


def with_dropout(net):
    net.avgpool = nn.Sequential(net.avgpool, nn.Dropout(0.1))
    unfixed(net)


@pytest.mark.parametrize(
    ("change", "found"),
    [(thawed, "parameter layer3.0.conv1.weight|layer3.weight"), (unfixed, "BatchNorm2d bn1"), (with_dropout, "B|Drop")],
)
def test_an_encoder_that_changes_in_training_is_refused_and_named(change, found):
    net = network()
    change(net)
    before, modes = {k: v.clone() for k, v in net.state_dict().items()}, [m.training for m in net.modules()]
    with pytest.raises(ConfigError, match=rf"encoder of ResNet18 changes in training \({found}.*frozen: true"):
        cached(net=net)[0]
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert [m.training for m in net.modules()] == modes


def test_thawed_networks_are_refused():
    for name in ("vgg19", "resnet18"):
        with pytest.raises(ConfigError, match=r"changes in training \(parameter .*weight"):
            cached(net=network(name, frozen=False))[0]


def test_other_networks_and_several_processes_are_refused(monkeypatch):
    with pytest.raises(ConfigError, match=r"the network Linear has no encode\(\)"):
        cached(net=nn.Linear(2, 2))
    with pytest.raises(ConfigError, match="batch_size 0"):
        cached(batch_size=0)
    infer = medkit.transform("head_inferer")
    with pytest.raises(ConfigError, match=r"takes features \(B,F\), found inputs of 2×1×64×64"):
        infer(torch.zeros(2, 1, 64, 64), network())
    net = network()
    monkeypatch.setattr("ignite.distributed.get_world_size", lambda: 2)
    for call in (lambda: cached(net=net), lambda: infer(torch.zeros(2, 8), net)):
        with pytest.raises(ConfigError, match="works in one process: train without torchrun"):
            call()


def test_a_loader_with_processes_of_its_own_is_refused(monkeypatch):
    dataset = cached()
    monkeypatch.setattr("medkit_cached_features.dataset.get_worker_info", lambda: object())
    with pytest.raises(ConfigError, match="num_workers: 0"):
        dataset[0]
