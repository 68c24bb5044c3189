"""A GAN that trains as its README says, and what of its images may be used."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from ignite.engine import Events
from medkit_image_gan.copies import nearest, signatures
from monai.bundle import ConfigParser
from monai.engines import GanTrainer
from PIL import Image
from torch import nn
from torch.nn import functional

import medkit
from medkit.checkpoint import read_checkpoint
from medkit.errors import CheckpointError, ConfigError, DataError, TrainingError
from medkit.tables import read_csv

SIZE = 16
FINDINGS = ["Mass", "Nodule"]
README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def pictures(count, seed):
    """Smooth patterns (N,1,H,W) of 8-bit grey values in 0…1, no two alike."""
    coarse = torch.rand(count, 1, 5, 5, generator=torch.Generator().manual_seed(seed))
    return functional.interpolate(coarse, SIZE, mode="bicubic").clamp(0, 1).mul(255).round() / 255


TRAINING, HELD_OUT = pictures(18, 0), pictures(8, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a label table; one training image is cut short."""
    place = tmp_path_factory.mktemp("chest")
    rows = ["image,patient_id,section,Mass,Nodule"]
    for n, picture in enumerate(torch.cat([TRAINING, HELD_OUT])):
        Image.fromarray((picture[0].numpy() * 255).astype(np.uint8)).save(place / f"{n:02d}.png")
        rows.append(f"{n:02d}.png,p{n},{'training' if n < len(TRAINING) else 'validation'},{n % 2},{int(n % 3 == 0)}")
    (place / "labels.csv").write_text("\n".join(rows))
    (place / "03.png").write_bytes((place / "03.png").read_bytes()[:60])
    return place


def stage(folder, out, **changes) -> ConfigParser:
    """Return the README's configuration, small."""
    config = yaml.safe_load(re.search(r"```yaml\n(.*?)```", README, re.DOTALL)[1])
    config["generator_def"]["width"] = config["discriminator_def"]["width"] = 4
    small = {"image_size": SIZE, "latent_size": 8, "batch_size": 8, "max_epochs": 2, "count": 6, "quiet": True}
    parser = ConfigParser(config | small | {"dataset_dir": str(folder), "output_dir": str(out), "findings": FINDINGS})
    parser.update(changes)
    parser.get_parsed_content("initialize")
    return parser


@pytest.fixture(scope="module")
def made(folder, tmp_path_factory):
    """What a run for one finding left behind."""
    out = tmp_path_factory.mktemp("out")
    stage(folder, out, finding="Mass").get_parsed_content("run")
    return out


def files(out):
    return {p.relative_to(out): p.read_bytes() for p in sorted((out / "generated").rglob("*")) if p.is_file()}


def test_the_readmes_stage_trains_and_writes_marked_images_with_a_label_table(made):
    check = json.loads((made / "generated/copy_check.json").read_text())
    rows = read_csv(made / "generated/labels.csv")
    kept = [entry["image"] for entry in check["images"] if not entry["copy"]]
    assert [row["image"] for row in rows] == kept
    assert len(kept) == 6 - check["copies"] > 0
    assert check["training_images"] == 8  # of nine with a mass one cannot be read
    assert check["held_out"]["images"] == 8
    for row in rows:
        assert row["image"].startswith("SYNTHETIC_")
        with Image.open(made / "generated/images" / row["image"]) as image:
            assert (image.size, image.mode) == ((SIZE, SIZE), "L")
            assert image.info["Comment"].startswith("SYNTHETIC ")
        assert (row["section"], row["Mass"], row["Nodule"]) == ("training", "1", "")
    assert len({row["patient_id"] for row in rows}) == len(rows)
    assert [Path(row["file"]).name for row in read_csv(made / "problems.csv")] == ["03.png"]
    card = json.loads((made / "models/gan.json").read_text())
    assert (card["images"], card["synthetic"]) == (9, False)


def test_the_table_is_read_as_any_other_and_as_synthetic(made):
    where = {"section": "training", "dataset_dir": str(made / "generated"), "findings": FINDINGS[::-1]}
    real, own = medkit.dataset("chest_xray", **where), medkit.dataset("generated", **where)
    assert [s["image"] for s in own] == [s["image"] for s in real]
    assert [s["patient_id"] for s in own] == [s["patient_id"] for s in real]
    for mine, theirs in zip(own, real, strict=True):
        np.testing.assert_array_equal(mine["label"], np.array([np.nan, 1], np.float32))
        np.testing.assert_array_equal(mine["label"], theirs["label"])
        assert mine["synthetic"] is theirs["synthetic"] is True
    read = medkit.transform("load_image", keys="image")(own[0])
    assert read["image"].meta["source"]["synthetic"] is True


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(folder, made, tmp_path):
    stage(folder, tmp_path / "again", finding="Mass").get_parsed_content("run")
    assert files(tmp_path / "again") == files(made)
    parser = stage(folder, tmp_path / "other", finding="Mass")
    parser["generated"] |= {"seed": 1, "weights": str(made / "models/gan.pt")}
    parser.get_parsed_content("run#1")
    other = files(tmp_path / "other")
    assert other.keys() == files(made).keys()
    assert not [path for path in other if path.suffix == ".png" and other[path] == files(made)[path]]


def test_the_images_of_a_checkpoint_are_those_of_its_training(folder, made, tmp_path):
    parser = stage(folder, tmp_path, finding="Mass", seed=9)
    parser["generated"] |= {"seed": 0, "weights": str(made / "models/gan.pt")}
    parser.get_parsed_content("run#1")
    assert files(tmp_path) == files(made)
    parser["generated"]["weights"] = str(made / "models/other.pt")
    torch.save({"discriminator.weight": torch.zeros(1)}, made / "models/other.pt")
    parser.parse(reset=True)
    with pytest.raises(CheckpointError, match="belongs to another network"):
        parser.get_parsed_content("generated").run()


class Killed(Exception):
    pass


def test_interrupted_training_continues_to_the_same_bits(folder, made, tmp_path):
    trainer = stage(folder, tmp_path, finding="Mass").get_parsed_content("trainer")

    @trainer.on(Events.ITERATION_COMPLETED(once=3))
    def kill(_):
        raise Killed

    with pytest.raises(Killed):
        trainer.run()
    assert (tmp_path / "models/checkpoint.pt").is_file()
    trainer = stage(folder, tmp_path, finding="Mass").get_parsed_content("trainer")
    trainer.run()
    assert trainer.state.epoch == 2
    whole, resumed = (read_checkpoint(out / "models/gan.pt") for out in (made, tmp_path))
    assert whole.keys() == resumed.keys()
    assert {key.partition(".")[0] for key in whole} == {"generator", "discriminator"}
    assert not [key for key in whole if not torch.equal(whole[key], resumed[key])]
    assert not (tmp_path / "models/checkpoint.pt").exists()


def test_a_schedule_goes_on_where_training_was_interrupted(folder, tmp_path):
    decay = {"_target_": "torch.optim.lr_scheduler.ExponentialLR", "optimizer": "@g_optimizer", "gamma": 0.5}
    with_schedule = {"schedule": decay, "trainer#train_handlers#4#lr_scheduler": "@schedule"}

    def training():
        parser = stage(folder, tmp_path, **with_schedule)
        return parser.get_parsed_content("schedule"), parser.get_parsed_content("trainer")

    schedule, trainer = training()

    @trainer.on(Events.ITERATION_COMPLETED)
    def step(engine):
        schedule.step()
        if engine.state.epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        trainer.run()
    resumed, trainer = training()
    trainer.run()  # without a step
    assert resumed.last_epoch == schedule.last_epoch - 1 > 0


def test_a_loss_that_is_no_number_stops_training_and_is_not_saved(folder, tmp_path):
    parser = stage(folder, tmp_path)
    trainer = parser.get_parsed_content("trainer")
    nn.init.constant_(next(parser.get_parsed_content("discriminator").parameters()), torch.nan)
    with pytest.raises(TrainingError, match="the GAN's d_loss is nan in epoch 1: training stopped"):
        trainer.run()
    assert not (tmp_path / "models").exists()


def test_training_moves_both_networks_each_by_its_own_loss(folder, tmp_path):
    parser = stage(folder, tmp_path)
    networks = [parser.get_parsed_content(name) for name in ("generator", "discriminator")]
    before = [[p.clone() for p in network.parameters()] for network in networks]
    trainer = parser.get_parsed_content("trainer")
    assert isinstance(trainer, GanTrainer)
    trainer.run()
    for network, old in zip(networks, before, strict=True):
        assert not any(torch.equal(a, b) for a, b in zip(network.parameters(), old, strict=True) if a.grad.any())


def test_the_losses_are_cross_entropies_and_the_discriminators_leaves_the_generator_alone():
    scores = nn.Linear(1, 1)
    loss = medkit.loss("gan_loss", discriminator=scores)
    fake, real = torch.randn(3, 1, requires_grad=True), torch.randn(2, 1)
    p_fake, p_real = (1 / (1 + np.exp(-scores(x).detach().numpy())) for x in (fake, real))
    by_hand = -(np.log(1 - p_fake).sum() + np.log(p_real).sum()) / 5
    assert loss(fake, real).item() == pytest.approx(by_hand, rel=1e-5)
    loss(fake, real).backward()
    assert fake.grad is None
    assert loss(fake).item() == pytest.approx(-np.log(p_fake).mean(), rel=1e-5)
    loss(fake).backward()
    assert fake.grad is not None
    assert torch.isfinite(loss(fake, real[:0]))  # a batch without a readable image


def test_placeholders_of_unreadable_files_are_no_real_images():
    batch = {"image": torch.arange(3.0).reshape(3, 1, 1, 1), "status": ["ok", "error", "ok"]}
    assert medkit.transform("gan_batch")(batch, "cpu").flatten().tolist() == [0, 2]


@pytest.mark.parametrize("size", [8, 16, 64, 256])
def test_the_networks_fit_each_other_at_any_size(size):
    with torch.device("meta"):
        generator = medkit.network("gan_generator", in_channels=5, image_size=size, width=2)
        images = generator(torch.empty(3, 5))
        assert images.shape == (3, 1, size, size)
        assert medkit.network("gan_discriminator", image_size=size, width=2)(images).shape == (3, 1)


def test_generated_images_lie_in_0_to_1():
    torch.manual_seed(0)
    images = medkit.network("gan_generator", image_size=16, width=4)(100 * torch.randn(9, 64))
    assert 0 <= images.min() < 0.3 < 0.7 < images.max() <= 1


# -- copies ------------------------------------------------------------------------------------------------------------
def by_brute_force(image, others):
    """Return the least distance of standardised pixels and whose it is, from 16×16 images."""
    distances = []
    for other in others:
        views = [(view - view.mean()) / view.std() for view in (image, other, other[:, ::-1])]
        distances.append(min(np.sqrt(np.mean((views[0] - view) ** 2)) for view in views[1:]))
    return min(distances), int(np.argmin(distances))


def test_nearest_neighbours_are_those_of_a_brute_force_search(monkeypatch):
    monkeypatch.setattr("medkit_image_gan.copies._BLOCK", 100)  # several blocks
    images, others = pictures(9, 4), pictures(7, 5)
    large = functional.interpolate(others, scale_factor=3)  # reduced to 16×16 again
    distances, which = nearest(signatures(images), signatures(large))
    expected = [by_brute_force(x[0].numpy().astype(float), others[:, 0].numpy().astype(float)) for x in images]
    np.testing.assert_allclose(distances, [d for d, _ in expected], atol=1e-5)
    assert which.tolist() == [n for _, n in expected]


class Replay(nn.Module):
    """A generator that has learned images by heart."""

    latent_size = 2

    def __init__(self, images):
        super().__init__()
        self.images = images

    def forward(self, latents):
        return self.images[: len(latents)]


def samples(images, name):
    return [{"image": x, "file": f"{name}{n}.png", "status": "ok"} for n, x in enumerate(images)]


def written(out, images, **options):
    given = {"training": samples(TRAINING, "train"), "held_out": samples(HELD_OUT, "test"), "findings": FINDINGS}
    options = given | {"count": len(images), "output_dir": str(out)} | options
    medkit.handler("generated_images", generator=Replay(images), **options).run()
    return json.loads((out / "copy_check.json").read_text())


def test_a_planted_copy_is_found_and_fresh_images_are_none(tmp_path):
    noise = torch.rand(3, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(7))
    copies = [TRAINING[4], 0.5 * TRAINING[9].flip(-1) + 0.2, (TRAINING[6] + 0.03 * noise[0]).clamp(0, 1)]
    fresh = [*noise, *pictures(3, 11), torch.full((1, SIZE, SIZE), 0.5)]
    images = torch.stack([*copies, *fresh])
    check = written(tmp_path, images, quantile=0.2)
    assert [entry["copy"] for entry in check["images"]] == [True] * 3 + [False] * 7
    assert check["copies"] == 3
    assert [entry["nearest"] for entry in check["images"][:3]] == ["train4.png", "train9.png", "train6.png"]
    for image, entry in zip(images[:-1], check["images"]):  # the last is flat
        other = TRAINING[int(entry["nearest"][5:-4])]
        views = [np.corrcoef((image * 255).round().flatten(), v.flatten())[0, 1] for v in (other, other.flip(-1))]
        assert entry["correlation"] == pytest.approx(max(views), abs=1e-5)
    assert check["images"][-1]["correlation"] == 0
    usual = sorted(by_brute_force(x[0].numpy(), TRAINING[:, 0].numpy())[0] for x in HELD_OUT)
    assert check["limit"] == pytest.approx(usual[1], abs=1e-5)  # 0.2 of eight, the lower
    with (tmp_path / "labels.csv").open() as stream:
        assert [row["image"] for row in csv.DictReader(stream)] == [f"SYNTHETIC_{n:05d}.png" for n in range(3, 10)]
    assert len(list((tmp_path / "copies").iterdir())) == 3
    assert len(list((tmp_path / "images").iterdir())) == 7

    written(tmp_path, torch.stack(fresh[:2]))  # the next run leaves nothing of this one
    assert [path.name for path in sorted((tmp_path / "images").iterdir())] == [
        "SYNTHETIC_00000.png",
        "SYNTHETIC_00001.png",
    ]
    assert not list((tmp_path / "copies").iterdir())


def test_unreadable_images_do_not_count_and_the_right_neighbour_is_named(tmp_path):
    training = samples(TRAINING, "train")
    training[0] |= {"status": "error", "image": torch.zeros(1, SIZE, SIZE)}
    check = written(tmp_path, TRAINING[[5]], training=training)
    assert check["images"][0]["nearest"] == "train5.png"
    assert check["training_images"] == 17


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"held_out": samples(TRAINING[:3], "x")}, "100% of 3 held-out images are training images too"),
        ({"held_out": [{"image": TRAINING[0], "status": "error"}]}, "none of 1 held-out images could be read"),
        ({"training": samples(torch.zeros(2, 1, 8, 8), "x")}, "training images of 1×8×8, generated ones of 1×16×16"),
    ],
)
def test_a_check_that_can_tell_nothing_is_refused_before_anything_is_written(options, message, tmp_path):
    with pytest.raises(DataError, match=message):
        written(tmp_path, TRAINING[:2], **options)
    assert not list(tmp_path.iterdir())


# -- findings and options ----------------------------------------------------------------------------------------------
def test_samples_are_chosen_by_a_finding():
    labels = [[1, 0], [0, 0], [np.nan, 1], [1, 1], [np.nan, 0]]
    data = [{"image": str(n), "label": np.array(label, np.float32)} for n, label in enumerate(labels)]

    def chosen(finding):
        options = {"data": data, "findings": FINDINGS, "finding": finding}
        return [int(sample["image"]) for sample in medkit.transform("only_finding", **options)]

    assert chosen("Mass") == [0, 3]
    assert chosen("Nodule") == [2, 3]
    assert chosen("No Finding") == [1]
    assert chosen(None) == [0, 1, 2, 3, 4]
    with pytest.raises(ConfigError, match=r'finding "Noduel" is unknown. Did you mean "Nodule"\? Known: Mass, Nodule'):
        chosen("Noduel")
    data = data[1:2]
    with pytest.raises(DataError, match="none of 1 samples shows Mass"):
        chosen("Mass")


def test_what_is_known_of_generated_images(tmp_path):
    for finding, row in (("Nodule", ["", "1"]), ("No Finding", ["0", "0"]), (None, ["", ""])):
        written(tmp_path, pictures(1, 12), finding=finding, quantile=0)
        assert [read_csv(tmp_path / "labels.csv")[0][name] for name in FINDINGS] == row


def test_wrong_tables_are_refused(tmp_path):
    def read(section="training", findings=FINDINGS):
        return medkit.dataset("generated", section, str(tmp_path), findings=findings)

    with pytest.raises(DataError, match="names no generated image: run generated_images"):
        read()
    written(tmp_path, pictures(2, 12), quantile=0)
    assert len(read("all")) == 2
    with pytest.raises(ConfigError, match='section "test" of generated images: they are for training only'):
        read("test")
    with pytest.raises(DataError, match=r'no column "Masses".* Did you mean "Mass"'):
        read(findings=["Masses"])
    (tmp_path / "images/SYNTHETIC_00001.png").unlink()
    with pytest.raises(DataError, match=r"SYNTHETIC_00001.png is not there or no generated image"):
        read()
    (tmp_path / "labels.csv").write_text("image,patient_id,section,Mass,Nodule\nreal.png,p,training,1,0\n")
    (tmp_path / "images/real.png").touch()
    with pytest.raises(DataError, match=r"real.png is not there or no generated image"):
        read()


@pytest.mark.parametrize(
    ("component", "options", "message"),
    [
        ("gan_generator", {"image_size": 48}, "image_size 48: give a power of two from 8 on"),
        ("gan_discriminator", {"image_size": 4}, "image_size 4: give a power of two from 8 on"),
        ("gan_generator", {"width": 0}, "width 0"),
        ("gan_generator", {"spatial_dims": 3}, "spatial_dims is 3"),
        ("gan_discriminator", {"out_channels": 2}, "out_channels 2: real or generated is 1 logit"),
    ],
)
def test_a_wrong_option_of_a_network_says_what_to_give(component, options, message):
    with pytest.raises(ConfigError, match=message):
        medkit.network(component, **options)


def test_wrong_images_and_options_are_refused(tmp_path):
    with pytest.raises(DataError, match="made for images of 1×16×16, found 1×8×8: resize, or set image_size"):
        medkit.network("gan_discriminator", image_size=16)(torch.zeros(1, 1, 8, 8))
    for options, message in (({"count": 0}, "count 0"), ({"quantile": 1}, "quantile 1"), ({"finding": "X"}, '"X" is')):
        with pytest.raises(ConfigError, match=message):
            written(tmp_path, TRAINING[:1], **options)
    with pytest.raises(ConfigError, match="writes grey images, the generator gives 3×16×16: out_channels: 1"):
        written(tmp_path, TRAINING[:1].expand(-1, 3, -1, -1))
