"""Training that can be killed continues to the same result, and what it leaves is checked."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ignite.engine import Events
from monai.data import CacheDataset, DataLoader, MetaTensor
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.handlers import LrScheduleHandler, ValidationHandler
from monai.transforms import EnsureTyped, RandGaussianNoised
from torch import nn

import medkit
from medkit.card import read_card
from medkit.checkpoint import read_checkpoint
from medkit.errors import CheckpointError, ConfigError, DataError, TrainingError
from medkit.tables import read_csv


def samples(count=24):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(count, 1, 6, 5)).astype(np.float32)
    labels = (images.mean(axis=(1, 2, 3)) > 0).astype(np.float32)
    return [{"image": torch.from_numpy(i), "label": np.array([y, 1 - y])} for i, y in zip(images, labels)]


class Random(torch.utils.data.Sampler):
    def __init__(self, count):
        self.count, self.epoch = count, 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return self.count

    def __iter__(self):
        return iter(torch.randperm(self.count, generator=torch.Generator().manual_seed(self.epoch)).tolist())


def training(
    folder,
    epochs=4,
    on=None,
    action=None,
    labels=("up", "down"),
    data=None,
    told=({"synthetic": True},),
    loss=None,
):
    """Build a small but complete training: random transform, dropout, schedule, validation."""
    medkit.setup(seed=3)
    data = samples() if data is None else data
    noise = medkit.SafeCompose([EnsureTyped("image"), RandGaussianNoised("image", prob=0.5)], (6, 5), 2)
    dataset = CacheDataset(data, noise, progress=False)
    network = nn.Sequential(nn.Flatten(), nn.Linear(30, 16), nn.Dropout(0.3), nn.ReLU(), nn.Linear(16, 2))
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.02, total_steps=3 * epochs)
    validator = SupervisedEvaluator(
        device="cpu",
        val_data_loader=DataLoader(CacheDataset(data, noise, progress=False), batch_size=8),
        network=network,
        key_val_metric={"auroc": medkit.MacroAUROC()},
    )
    handlers = [
        medkit.EpochSeed(seed=3, dataset=dataset),
        LrScheduleHandler(schedule, print_lr=False, epoch_level=False),
        ValidationHandler(interval=1, validator=validator, epoch_level=True),
        medkit.History(str(folder / "history.csv"), optimizer, validator),
        medkit.Problems(str(folder / "problems.csv"), "train"),
        medkit.Checkpoints(network, optimizer, str(folder / "model.pt"), schedule, validator, labels=labels, data=told),
    ]
    trainer = SupervisedTrainer(
        device="cpu",
        max_epochs=epochs,
        train_data_loader=DataLoader(dataset, batch_size=8, sampler=Random(len(data))),
        network=network,
        optimizer=optimizer,
        loss_function=loss or nn.BCEWithLogitsLoss(),
        train_handlers=handlers,
    )
    if on is not None:
        trainer.add_event_handler(on, action)
    return trainer


def interrupt(_):
    raise KeyboardInterrupt


def test_an_interrupted_training_ends_with_the_same_bits(tmp_path):
    training(tmp_path / "whole").run()
    interrupted = training(tmp_path / "cut", on=Events.ITERATION_COMPLETED(once=8), action=interrupt)
    with pytest.raises(KeyboardInterrupt):
        interrupted.run()
    assert not (tmp_path / "cut" / "model.pt").exists()
    assert read_checkpoint(tmp_path / "cut" / "checkpoint.pt")["epoch"] == 2
    training(tmp_path / "cut").run()
    whole, cut = (read_checkpoint(tmp_path / run / "model.pt") for run in ("whole", "cut"))
    assert whole.keys() == cut.keys()
    assert all(torch.equal(value, cut[key]) for key, value in whole.items())
    assert (tmp_path / "whole" / "model.pt").read_bytes() == (tmp_path / "cut" / "model.pt").read_bytes()
    rows = [[{**r, "seconds": 0} for r in read_csv(tmp_path / run / "history.csv")] for run in ("whole", "cut")]
    assert rows[0] == rows[1]
    assert [row["epoch"] for row in rows[0]] == ["1", "2", "3", "4"]


LEAVES = """
import atexit, os
if os.environ["RANK"] == "0":
    threads = lambda: [open(f"/proc/self/task/{thread}/comm").read() for thread in os.listdir("/proc/self/task")]
    atexit.register(lambda: print("gloo's threads:", sum("gloo" in name for name in threads())))
import ignite.distributed as idist
import medkit
from torch import nn
medkit.setup()
network = medkit.on_device(nn.Linear(2, 2), "cpu")
object.__setattr__(network, "a_cycle", network)  # as an engine and its handlers are
idist.finalize()
del network
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted in /proc")
def test_a_process_of_several_leaves_no_thread_that_could_abort_it(tmp_path):
    (tmp_path / "leaves.py").write_text(LEAVES)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run([*torchrun, tmp_path / "leaves.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "gloo's threads: 0" in done.stdout


def test_a_completed_training_leaves_nothing_to_resume(tmp_path):
    training(tmp_path).run()
    left = {path.name for path in tmp_path.iterdir()} - {".problems.csv.lock"}
    assert left == {"model.pt", "model.json", "history.csv", "problems.csv"}


def test_the_card_says_what_the_model_is(tmp_path):
    training(tmp_path).run()
    card = read_card(tmp_path / "model.pt")
    assert card.labels == ["up", "down"]
    assert card.synthetic is True
    best = max(read_csv(tmp_path / "history.csv"), key=lambda row: float(row["validation_auroc"]))
    assert card.epoch == int(best["epoch"])
    (tmp_path / "model.pt").write_bytes(b"other")
    with pytest.raises(CheckpointError, match=r"have sha256"):
        read_card(tmp_path / "model.pt")


def test_a_loss_that_is_not_a_number_stops_and_keeps_the_last_good_epoch(tmp_path):
    def poison(engine):
        for parameter in engine.network.parameters():
            parameter.data.fill_(float("nan"))

    broken = training(tmp_path, on=Events.ITERATION_STARTED(once=5), action=poison)
    with pytest.raises(TrainingError, match=r"the loss is nan in epoch 2, iteration 5: training stopped, .* last good"):
        broken.run()
    saved = read_checkpoint(tmp_path / "checkpoint.pt")
    assert saved["epoch"] == 1
    assert all(torch.isfinite(v).all() for v in saved["model"].values())


def evaluator(network, *handlers, data=None):
    whole = medkit.SafeCompose([EnsureTyped("image")], (6, 5), 2)
    return SupervisedEvaluator(
        device="cpu",
        val_data_loader=DataLoader(CacheDataset(data or samples(4), whole, progress=False), batch_size=2),
        network=network,
        val_handlers=list(handlers),
    )


def net(width=16):
    return nn.Sequential(nn.Flatten(), nn.Linear(30, width), nn.Dropout(0.3), nn.ReLU(), nn.Linear(width, 2))


def test_a_checkpoint_of_another_network_is_refused_with_its_keys(tmp_path):
    training(tmp_path, epochs=1).run()
    other = net(width=7)
    with pytest.raises(CheckpointError, match=r"3 of another shape: 1.bias is \(16,\), the network's is \(7,\)"):
        evaluator(other, medkit.LoadCheckpoint(str(tmp_path / "model.pt"), other)).run()
    deeper = nn.Sequential(*net(), nn.Linear(2, 2))
    with pytest.raises(CheckpointError, match=r"2 missing: 5.bias, 5.weight"):
        evaluator(deeper, medkit.LoadCheckpoint(str(tmp_path / "model.pt"), deeper)).run()


def test_a_checkpoint_for_other_findings_is_refused(tmp_path):
    training(tmp_path, epochs=1).run()
    network = net()
    with pytest.raises(CheckpointError, match=r"trained for \['up', 'down'\], the bundle asks for \['left', 'right'\]"):
        evaluator(network, medkit.LoadCheckpoint(str(tmp_path / "model.pt"), network, labels=["left", "right"])).run()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04broken"])
def test_a_file_that_is_no_checkpoint_is_one_line(tmp_path, content):
    (tmp_path / "model.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"cannot be read as a file of weights") as caught:
        read_checkpoint(tmp_path / "model.pt")
    assert "\n" not in str(caught.value)


def test_a_pickle_with_code_is_refused(tmp_path):
    torch.save({"a": interrupt}, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match=r"cannot be read as a file of weights"):
        read_checkpoint(tmp_path / "model.pt")


@pytest.mark.parametrize("says", [True, False])
def test_a_card_says_synthetic_where_only_the_files_do(says, tmp_path):
    data = samples()
    facts = {"source": {"synthetic": says}, "spatial_shape": np.array((6, 5))}
    data[9]["image"] = MetaTensor(data[9]["image"], np.eye(4), meta=facts)
    interrupted = training(tmp_path, on=Events.ITERATION_COMPLETED(once=5), action=interrupt, data=data, told=data)
    with pytest.raises(KeyboardInterrupt):
        interrupted.run()
    assert read_checkpoint(tmp_path / "checkpoint.pt")["synthetic"] is says
    training(tmp_path, data=data, told=data).run()
    assert read_card(tmp_path / "model.pt").synthetic is says


def test_a_synthetic_model_refuses_real_images_unless_allowed(tmp_path):
    training(tmp_path, epochs=1).run()
    network = net()
    path = str(tmp_path / "model.pt")
    with pytest.raises(ConfigError, match=r"--allow-synthetic-model"):
        evaluator(network, medkit.LoadCheckpoint(path, network)).run()
    evaluator(network, medkit.LoadCheckpoint(path, network, allow_synthetic_model=True)).run()
    synthetic = [{**s, "synthetic": True} for s in samples(4)]
    evaluator(network, medkit.LoadCheckpoint(path, network), data=synthetic).run()


class Mean:
    """A part that learns: the mean of the first label."""

    def __init__(self):
        self.value = None

    def __call__(self, sample):
        return sample

    def fit(self, fitted):
        self.value = float(np.mean([s["label"][0] for s in fitted]))

    def state_dict(self):
        return {"value": self.value}

    def load_state_dict(self, state):
        self.value = state["value"]


def test_what_was_fitted_belongs_to_one_checkpoint(tmp_path):
    checkpoint, fitted, network = tmp_path / "model.pt", str(tmp_path / "fit.json"), net()
    torch.save(network.state_dict(), checkpoint)
    part = Mean()
    evaluator(network, medkit.Fit({"mean": part}, fitted, str(checkpoint))).run()
    other = Mean()
    evaluator(network, medkit.LoadFit({"mean": other}, fitted, str(checkpoint))).run()
    assert other.value == part.value == pytest.approx(np.mean([s["label"][0] for s in samples(4)]))
    with pytest.raises(CheckpointError, match=r'holds nothing for "boxes"'):
        evaluator(network, medkit.LoadFit({"boxes": other}, fitted, str(checkpoint))).run()
    torch.save(net().state_dict(), checkpoint)
    with pytest.raises(CheckpointError, match=r"was fitted for another checkpoint"):
        evaluator(network, medkit.LoadFit({"mean": other}, fitted, str(checkpoint))).run()
    with pytest.raises(CheckpointError, match=r"run the fit stage"):
        evaluator(network, medkit.LoadFit({"mean": other}, str(tmp_path / "no.json"), str(checkpoint))).run()


def test_problems_of_a_stage_replace_its_own_rows_only(tmp_path):
    path = str(tmp_path / "problems.csv")
    bad = [{"image": "missing.png"}, *samples(3)]
    evaluator(net(), medkit.Problems(path, "fit"), data=bad).run()
    evaluator(net(), medkit.Problems(path, "test"), data=bad).run()
    evaluator(net(), medkit.Problems(path, "test"), data=samples(3)).run()
    assert [(row["stage"], row["status"], row["file"]) for row in read_csv(path)] == [("fit", "error", "missing.png")]


def test_nothing_readable_at_all_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"none of 2 files could be read; the first, a.png: "):
        evaluator(net(), medkit.Problems(str(tmp_path / "p.csv"), "x"), data=[{"image": "a.png"}, {"image": "b"}]).run()
    assert len(read_csv(tmp_path / "p.csv")) == 2


def test_a_training_that_can_read_nothing_says_why_and_not_that_nothing_could_be_measured(tmp_path):
    bad = [{**sample, "image": f"{n}.png"} for n, sample in enumerate(samples())]
    with pytest.raises(DataError, match=r"none of 24 files could be read; the first, \d+.png: "):
        training(tmp_path, data=bad, loss=lambda logits, labels: 0 * logits.sum()).run()
    assert len(read_csv(tmp_path / "problems.csv")) == 24
