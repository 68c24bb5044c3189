"""The mean against numpy's, and its way through training, a resume and evaluation."""

import numpy as np
import pytest
import torch
from ignite.engine import Events
from monai.data import CacheDataset, DataLoader, Dataset
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.transforms import Compose, EnsureTyped, OneOf, RandFlipd
from torch import nn

import medkit
from medkit.checkpoint import read_checkpoint
from medkit.errors import CheckpointError, ConfigError, DataError

SHAPE = (2, 12, 10)
IMAGES = np.random.default_rng(0).random((9, *SHAPE), np.float32)
SAMPLES = [{"image": image, "label": np.array([i % 2], np.float32)} for i, image in enumerate(IMAGES)]
MEAN = IMAGES.astype(np.float64).mean(axis=0)


def network(seed=0, **options):
    torch.manual_seed(seed)
    inner = {"component": "compact_cnn", "channels": [4], "hidden": [], "spatial_size": SHAPE[1:]}
    given = {"in_channels": 2, "out_channels": 1, "spatial_size": SHAPE[1:], "network": inner, **options}
    return medkit.network("average_image", **given)


def preprocessing(*transforms, shape=SHAPE):
    return medkit.SafeCompose([EnsureTyped("image"), *transforms], shape[1:], 1, shape[0])


def training(folder, epochs=3, data=SAMPLES, net=None, handler=True, augmented=()):
    """Return a trainer like a bundle's, not yet run, and its network."""
    medkit.setup(seed=1)
    net = net or network()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    dataset = CacheDataset(data, preprocessing(*augmented), progress=False)
    plain = Dataset(data, preprocessing())
    fit = [medkit.handler("average_image", network=net, dataset=plain)] if handler else []
    trainer = SupervisedTrainer(
        "cpu",
        epochs,
        DataLoader(dataset, batch_size=4, shuffle=True),
        net,
        optimizer,
        medkit.loss("weighted_cross_entropy"),
        train_handlers=[
            medkit.EpochSeed(seed=1, dataset=dataset),
            *fit,
            medkit.Checkpoints(net, optimizer, str(folder / "model.pt")),
        ],
    )
    return trainer, net


def evaluate(net, *handlers):
    loader = DataLoader(Dataset(SAMPLES, preprocessing()), batch_size=4)
    SupervisedEvaluator("cpu", loader, net, val_handlers=list(handlers)).run()


def test_training_begins_with_the_mean_that_numpy_gives_and_keeps_it_in_the_file(tmp_path):
    trainer, net = training(tmp_path, augmented=[RandFlipd("image", prob=0.5)])
    assert not net.fitted
    trainer.run()
    np.testing.assert_allclose(net.average_image.numpy(), MEAN, rtol=1e-6)
    stored = read_checkpoint(tmp_path / "model.pt")["average_image"]
    assert torch.equal(stored, net.average_image)


def test_the_network_sees_the_image_minus_the_average():
    net = network().eval()
    net.average_image.copy_(torch.from_numpy(MEAN))
    images = torch.from_numpy(IMAGES)
    torch.testing.assert_close(net(images), net.network(images - torch.from_numpy(MEAN).float()))
    assert not torch.allclose(net(images), net.network(images))
    images.requires_grad_()
    net(images).sum().backward()
    assert images.grad.any()
    assert "average_image" not in dict(net.named_parameters())


def test_files_that_cannot_be_read_do_not_count(tmp_path):
    data = [SAMPLES[0], {"image": "missing.png"}, *SAMPLES[1:], {"image": "none.png"}]
    trainer, net = training(tmp_path, 1, data)
    trainer.run()
    np.testing.assert_allclose(net.average_image.numpy(), MEAN, rtol=1e-6)
    with pytest.raises(DataError, match="none of 2 training images could be read: there is no average image"):
        training(tmp_path / "none", 1, [{"image": "missing.png"}, {"image": "none.png"}])[0].run()


def test_a_killed_run_continues_with_the_same_average_to_the_same_bits(tmp_path, monkeypatch):
    training(tmp_path / "whole")[0].run()
    trainer, _ = training(tmp_path / "cut")

    def die(engine):
        raise KeyboardInterrupt

    trainer.add_event_handler(Events.ITERATION_STARTED(once=5), die)
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    saved = read_checkpoint(tmp_path / "cut" / "checkpoint.pt")["model"]["average_image"]
    resumed, net = training(tmp_path / "cut", net=network(seed=5))
    monkeypatch.setattr("medkit_average_image.handler.DataLoader", None)  # it is not taken again
    resumed.run()
    assert torch.equal(net.average_image, saved)
    assert (tmp_path / "whole" / "model.pt").read_bytes() == (tmp_path / "cut" / "model.pt").read_bytes()


def test_a_network_with_an_average_keeps_it(tmp_path):
    net = network()
    net.average_image.fill_(0.25)
    training(tmp_path, 1, net=net)[0].run()
    assert (net.average_image == 0.25).all()


def test_taking_the_mean_uses_up_no_random_numbers():
    net = network()
    fit = medkit.handler("average_image", network=net, dataset=Dataset(SAMPLES, preprocessing()))
    state = torch.get_rng_state()
    fit.fit(None)
    assert net.fitted
    assert torch.equal(state, torch.get_rng_state())


def test_without_an_average_nothing_runs(tmp_path):
    message = "no average image yet: put the handler average_image into training, or load"
    with pytest.raises(ConfigError, match=message):
        evaluate(network().eval())
    with pytest.raises(ConfigError, match=message):
        training(tmp_path, handler=False)[0].run()


def test_evaluation_has_the_average_of_the_file_and_wants_one_in_it(tmp_path):
    training(tmp_path, 1)[0].run()
    path, net = str(tmp_path / "model.pt"), network(seed=3)
    evaluate(net, medkit.LoadCheckpoint(path, net))
    np.testing.assert_allclose(net.average_image.numpy(), MEAN, rtol=1e-6)
    weights = read_checkpoint(path)
    del weights["average_image"]
    torch.save(weights, tmp_path / "without.pt")
    with pytest.raises(CheckpointError, match="1 missing: average_image"):
        evaluate(net, medkit.LoadCheckpoint(str(tmp_path / "without.pt"), net))


def test_a_data_parallel_network_is_filled_inside():
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        net = nn.parallel.DistributedDataParallel(network())
        medkit.handler("average_image", network=net, dataset=Dataset(SAMPLES, preprocessing())).fit(None)
        net(torch.from_numpy(IMAGES)).sum().backward()
    finally:
        torch.distributed.destroy_process_group()
    np.testing.assert_allclose(net.module.average_image.numpy(), MEAN, rtol=1e-6)


@pytest.mark.parametrize("random", [RandFlipd("image"), Compose([RandFlipd("image")]), OneOf([EnsureTyped("image")])])
def test_a_random_transform_in_the_data_set_is_refused(random):
    with pytest.raises(ConfigError, match=r"random transform (RandFlipd|OneOf): give .* without augmentation"):
        medkit.handler("average_image", network=network(), dataset=Dataset(SAMPLES, preprocessing(random)))


def test_another_network_is_refused():
    with pytest.raises(ConfigError, match="the network is Linear: wrap it in the network average_image"):
        medkit.handler("average_image", network=nn.Linear(1, 1), dataset=Dataset(SAMPLES))


def test_images_of_another_shape_are_named():
    net = network(spatial_size=[12, 11])
    message = "built for images of 2×12×11, found 2×12×10: resize"
    with pytest.raises(DataError, match=message):
        medkit.handler("average_image", network=net, dataset=Dataset(SAMPLES, preprocessing())).fit(None)
    with pytest.raises(DataError, match=message):
        net(torch.from_numpy(IMAGES))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spatial_size": [12]}, "has 1 sides: give 2, or one"),
        ({"network": {"channels": [4]}}, "give {component: NAME"),
        ({"network": "compact_cnn"}, "network is compact_cnn: give {component"),
        ({"network": {"component": "compact_cnn", "chanels": [4]}}, 'Did you mean "channels"'),
    ],
)
def test_wrong_options_say_what_to_give(options, message):
    with pytest.raises(ConfigError, match=message):
        network(**options)
