"""Engines take whatever target a batch has, and validation measures whatever the network gives."""

import numpy as np
import pytest
import torch
from ignite.engine import Events
from monai.data import DataLoader, Dataset
from monai.engines import PrepareBatchExtraInput, SupervisedEvaluator, SupervisedTrainer
from monai.engines.utils import default_prepare_batch
from monai.metrics import MeanIoU
from sklearn.metrics import f1_score
from torch import nn

import medkit
from medkit.errors import ConfigError, DataError
from medkit.handlers import merged

NAN = float("nan")
LABELS = torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 1], [NAN] * 3, [0, 1, 0.0]])
MASKS = torch.zeros(5, 1, 4, 4)
MASKS[0, :, :2] = MASKS[1, :, 1:3, 1:3] = 1
MASKS[3] = NAN
BATCH = {"image": torch.rand(5, 1, 4, 4), "label": LABELS, "mask": MASKS, "gate": torch.rand(5), "file": list("abcde")}


class Said(nn.Module):
    """A network that says what it was told."""

    def __init__(self, *said):
        super().__init__()
        self.said = said if len(said) > 1 else said[0]

    def forward(self, images):
        return self.said


def validate(network, metric, batch=BATCH, target="label"):
    """Return the metric of one batch, and the samples that handlers saw."""
    data = [{key: value[i] for key, value in batch.items()} for i in range(len(batch["file"]))]
    seen = []
    evaluator = SupervisedEvaluator(
        device="cpu",
        val_data_loader=DataLoader(Dataset(data), batch_size=len(data)),
        network=network,
        prepare_batch=medkit.PrepareBatch(target),
        key_val_metric={"metric": metric},
    )
    evaluator.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: seen.extend(merged(engine)))
    evaluator.run()
    return evaluator.state.metrics["metric"], seen


def same(found, expected):
    if isinstance(expected, tuple):
        assert isinstance(found, tuple)
        assert len(found) == len(expected)
        for pair in zip(found, expected):
            same(*pair)
    else:
        torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


def test_a_batch_is_prepared_as_monai_does_it():
    same(medkit.PrepareBatch()(BATCH, "cpu"), default_prepare_batch(BATCH, "cpu"))
    same(medkit.PrepareBatch(extra="gate")(BATCH, "cpu"), PrepareBatchExtraInput("gate")(BATCH, "cpu"))


def test_targets_may_be_another_key_or_several():
    same(medkit.PrepareBatch("mask")(BATCH), (BATCH["image"], MASKS))
    same(medkit.PrepareBatch(["label", "mask"])(BATCH), (BATCH["image"], (LABELS, MASKS)))


def test_everything_moves_to_the_device():
    image, targets, extra, _ = medkit.PrepareBatch(["label", "mask"], extra=["gate", "file"])(BATCH, "meta")
    assert [value.device.type for value in (image, *targets, extra[0])] == ["meta"] * 4
    assert extra[1] == list("abcde")


def test_a_key_that_is_not_there_is_named():
    with pytest.raises(DataError, match='asked for "box", the batch has file, gate, image, label, mask'):
        medkit.PrepareBatch("box")(BATCH)


def test_a_trainer_gives_the_loss_all_targets_and_the_network_what_else_it_wants():
    class Gated(nn.Conv2d):
        def forward(self, images, gate):
            maps = super().forward(images) * gate[:, None, None, None]
            return maps.mean((2, 3)), maps

    given = []

    def loss(pred, target):
        given.append(target)
        return sum(nn.functional.mse_loss(p, t.nan_to_num()) for p, t in zip(pred, target))

    data = [{"image": i, "label": i.mean((1, 2)), "mask": i, "gate": g} for i, g in zip(BATCH["image"], BATCH["gate"])]
    network = Gated(1, 1, 1)
    before = network.weight.item()
    SupervisedTrainer(
        device="cpu",
        max_epochs=1,
        train_data_loader=DataLoader(Dataset(data), batch_size=5),
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=0.1),
        loss_function=loss,
        prepare_batch=medkit.PrepareBatch(["label", "mask"], extra=["gate"]),
    ).run()
    same(given[0], (BATCH["image"].mean((2, 3)), BATCH["image"]))
    assert network.weight.item() != before


@pytest.mark.parametrize("target", ["label", "mask", ["label", "mask"]])
def test_handlers_see_the_label_whatever_the_target(target):
    _, seen = validate(Said(torch.ones(5, 1, 4, 4)), medkit.MeanIoU(), target=target)
    same(torch.stack([sample["label"] for sample in seen]), LABELS)


def test_mean_iou_equals_monais_over_known_masks():
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=MASKS.shape)).float()
    logits[4] = -1  # empty, and rightly so
    value, _ = validate(Said(logits), medkit.MeanIoU(), target="mask")
    expected = MeanIoU(ignore_empty=False)((logits > 0).float(), MASKS)[[0, 1, 2, 4]].mean()
    assert value == pytest.approx(expected.item())
    assert 0.25 < value < 1


def test_validation_without_lesions_rewards_what_is_left_empty():
    batch = BATCH | {"mask": torch.zeros_like(MASKS)}
    logits = -torch.ones_like(MASKS)
    assert validate(Said(logits), medkit.MeanIoU(), batch)[0] == 1
    logits[:2, :, 0, 0] = 1
    assert validate(Said(logits), medkit.MeanIoU(), batch)[0] == pytest.approx(3 / 5)


def test_iou_that_cannot_be_measured_is_an_error():
    for logits, batch, message in (
        (MASKS, BATCH | {"mask": MASKS * NAN}, "validation has no image with a mask"),
        (MASKS * NAN, BATCH, "did training diverge"),
        (MASKS[:, :, :2], BATCH, r"masks \(1, 4, 4\) were asked for, the network gave \(1, 2, 4\)"),
    ):
        with pytest.raises(DataError, match=message):
            validate(Said(logits), medkit.MeanIoU(), batch)


LOGITS = torch.tensor([[3, 1, 2], [0, -1, 1], [0, 0, 5], [9, 0, 0], [1, 2, 0.0]])  # right, wrong, right, unknown, right


@pytest.mark.parametrize("maps", [(), (MASKS,)], ids=["logits", "logits and maps"])
@pytest.mark.parametrize("target", ["label", ["label", "mask"]])
def test_accuracy_and_auroc_take_the_logits_and_skip_unknown_labels(maps, target):
    assert validate(Said(LOGITS, *maps), medkit.Accuracy(), target=target)[0] == pytest.approx(3 / 4)
    value, _ = validate(Said(LOGITS, *maps), medkit.MacroAUROC(), target=target)
    assert value == pytest.approx((3 / 3 + 2 / 4 + 3 / 3) / 3)


def test_accuracy_that_cannot_be_measured_is_an_error():
    for logits, label, message in (
        (LOGITS, LABELS * NAN, "no image of a known class"),
        (LOGITS, torch.ones(5, 3), r"labels \[1.0, 1.0, 1.0\] were found"),
        (LOGITS, torch.zeros(5, 3), "one class an image was asked for"),
        (LOGITS * NAN, LABELS, "did training diverge"),
    ):
        with pytest.raises(DataError, match=message):
            validate(Said(logits), medkit.Accuracy(), BATCH | {"label": label})


def many(seed):
    """Return a batch of 40 with logits of few values, unknown labels, and a class that no image shows."""
    random = np.random.default_rng(seed)
    logits = np.round(random.normal(size=(40, 4)), 1).astype(np.float32)
    labels = (random.random((40, 4)) < [0.5, 0.2, 0.05, 0]).astype(np.float32)
    labels[random.random((40, 4)) < 0.2] = NAN
    labels[0, :3] = 1
    batch = {"image": torch.rand(40, 1, 2, 2), "label": torch.from_numpy(labels), "file": list(map(str, range(40)))}
    return logits, labels, batch


def f1(labels, logits, cut):
    known = ~np.isnan(labels)
    return f1_score(labels[known], logits[known] >= cut)


@pytest.mark.parametrize("seed", range(4))
def test_macro_f1_equals_that_of_scikit_learn_over_the_findings_that_are_shown(seed):
    logits, labels, batch = many(seed)
    said = Said(torch.from_numpy(logits))
    columns = list(zip(labels.T, logits.T))[:3]
    best = np.mean([max(f1(*column, cut) for cut in np.unique(column[1])) for column in columns])
    assert validate(said, medkit.MacroF1(), batch)[0] == pytest.approx(best)
    for threshold in (0.5, 0.3, 0.999):
        cut = np.log(threshold / (1 - threshold))
        at = np.mean([f1(*column, cut) for column in columns])
        assert validate(said, medkit.MacroF1(threshold), batch)[0] == pytest.approx(at)


def test_macro_f1_takes_the_first_of_a_tuple_and_begins_anew_with_each_run():
    metric = medkit.MacroF1(threshold=0.6)
    assert validate(Said(-LOGITS, MASKS), metric)[0] == pytest.approx((0 + 2 / 3 + 0) / 3)
    assert validate(Said(LOGITS, MASKS), metric)[0] == pytest.approx((2 / 3 + 2 / 4 + 2 / 4) / 3)


def test_macro_f1_that_cannot_be_measured_is_an_error():
    for logits, label, message in (
        (LOGITS, LABELS * NAN, "validation shows no finding at all"),
        (LOGITS, torch.zeros(5, 3), "validation shows no finding at all"),
        (LOGITS * NAN, LABELS, "did training diverge"),
    ):
        with pytest.raises(DataError, match=message):
            validate(Said(logits), medkit.MacroF1(), BATCH | {"label": label})
    with pytest.raises(ConfigError, match="threshold is 1: give a probability"):
        medkit.MacroF1(threshold=1)
