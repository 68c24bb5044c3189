import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import BCEWithLogitsLoss

import medkit
from medkit.errors import ConfigError

NAN = math.nan


def loss_of(**options):
    return medkit.loss("weighted_cross_entropy", **options)


def batch(rows=5, classes=3, seed=0, dtype=torch.float32):
    random = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(rows, classes, generator=random, dtype=dtype)
    return logits, (torch.rand(rows, classes, generator=random) < 0.3).to(dtype)


def log_sigmoid(x):
    return -math.log1p(math.exp(-x))


def test_small_matrix_by_hand():
    logits = torch.tensor([[0.5, -1.0], [2.0, 0.0]])
    target = torch.tensor([[1.0, 0.0], [0.0, NAN]])
    # one positive, two negatives, three known: weights 3/1 and 3/2, divided by 3
    paper = 3 / 1 * -log_sigmoid(0.5) + 3 / 2 * (-log_sigmoid(1.0) - log_sigmoid(-2.0))
    assert loss_of(reduction="sum")(logits, target).item() == pytest.approx(paper, rel=1e-6)
    assert loss_of()(logits, target).item() == pytest.approx(paper / 3, rel=1e-6)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("pos_weight", [None, [0.5, 2.0, 7.0]])
def test_without_weighting_it_equals_torch(pos_weight, reduction):
    logits, target = batch(dtype=torch.float64)
    theirs = BCEWithLogitsLoss(
        pos_weight=None if pos_weight is None else torch.tensor(pos_weight, dtype=torch.float64), reduction=reduction
    )
    ours = loss_of(weighting="none", pos_weight=pos_weight, reduction=reduction)
    torch.testing.assert_close(ours(logits, target), theirs(logits, target))


def test_class_weights_equal_torch_weights_and_mixed_labels_too():
    logits, _ = batch(dtype=torch.float64)
    target = torch.rand(5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    weights = torch.tensor([1.0, 0.0, 3.0], dtype=torch.float64)
    ours = loss_of(weighting="none", class_weights=[1.0, 0.0, 3.0])
    torch.testing.assert_close(ours(logits, target), BCEWithLogitsLoss(weight=weights)(logits, target))


def test_weighting_equals_torch_with_the_weights_of_the_paper():
    logits, target = batch(dtype=torch.float64)
    ones, total = target.sum(), target.numel()
    weights = torch.where(target == 1, total / ones, total / (total - ones))
    torch.testing.assert_close(loss_of()(logits, target), BCEWithLogitsLoss(weight=weights)(logits, target))


def test_one_number_for_all_classes_is_enough():
    logits, target = batch()
    both = [loss_of(weighting="none", pos_weight=weight)(logits, target) for weight in (2.5, [2.5] * 3)]
    torch.testing.assert_close(*both)


@pytest.mark.parametrize("options", [{}, {"pos_weight": [1.0, 2.0, 3.0], "class_weights": [3.0, 1.0, 0.5]}])
def test_gradient_is_that_of_finite_differences(options):
    logits, target = batch(dtype=torch.float64)
    target[1, 2] = target[3, 0] = NAN
    assert torch.autograd.gradcheck(lambda x: loss_of(**options)(x, target), logits.requires_grad_())


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 6),
    hidden=st.floats(0, 1),
    options=st.sampled_from([{}, {"weighting": "none"}, {"class_weights": [1.0, 2.0, 4.0]}, {"reduction": "sum"}]),
)
def test_unknown_labels_change_nothing(seed, rows, hidden, options):
    logits, target = batch(rows, seed=seed)
    unknown = torch.rand(rows, 3, generator=torch.Generator().manual_seed(seed)) < hidden
    with_unknown = torch.where(unknown, NAN, target)
    results = []
    for fill in (logits, torch.where(unknown, torch.inf, logits)):
        fill = fill.clone().requires_grad_()
        value = loss_of(**options)(fill, with_unknown)
        value.backward()
        results.append((value.detach(), fill.grad))
        assert (fill.grad[unknown] == 0).all()
    assert torch.isfinite(results[0][0])
    torch.testing.assert_close(*results, rtol=0, atol=0)


def test_unknown_rows_equal_a_batch_without_them():
    logits, target = batch(rows=8)
    padded = torch.cat([target, torch.full((3, 3), NAN)])
    torch.testing.assert_close(loss_of()(torch.cat([logits, logits[:3]]), padded), loss_of()(logits, target))


@pytest.mark.parametrize("options", [{}, {"weighting": "none"}, {"reduction": "sum"}, {"pos_weight": 3.0}])
def test_batch_without_known_labels_is_zero_with_a_gradient_of_zero(options):
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    value = loss_of(**options)(logits, torch.full((4, 3), NAN))
    value.backward()
    assert value.item() == 0
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("fill", [0.0, 1.0])
def test_batch_of_one_kind_is_the_plain_mean(fill):
    logits, _ = batch()
    target = torch.full((5, 3), fill)
    torch.testing.assert_close(loss_of()(logits, target), BCEWithLogitsLoss()(logits, target))


def test_undecided_network_costs_twice_log_two_whatever_the_batch():
    for rows in (2, 64):
        _, target = batch(rows)
        assert loss_of()(torch.zeros_like(target), target).item() == pytest.approx(2 * math.log(2), rel=1e-5)


def test_huge_logits_stay_finite():
    logits = torch.tensor([[1e4, -1e4]], requires_grad=True)
    value = loss_of()(logits, torch.tensor([[0.0, 1.0]]))
    value.backward()
    assert value.item() == pytest.approx(2e4)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_logits_are_computed_in_float32(dtype):
    logits, target = batch(rows=400)
    value = loss_of()(logits.to(dtype), target)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss_of()(logits.to(dtype).float(), target), rtol=0, atol=0)


def test_autocast_changes_nothing():
    logits, target = batch()
    network = torch.nn.Linear(3, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = network(logits)
        value = loss_of()(half, target)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(value, loss_of()(half.float(), target), rtol=0, atol=0)


def test_weights_move_with_the_module_and_stay_out_of_checkpoints():
    loss = loss_of(pos_weight=[1.0, 2.0, 3.0], class_weights=[1.0, 1.0, 2.0])
    assert loss.state_dict() == {}
    assert {buffer.device.type for buffer in loss.to("meta").buffers()} == {"meta"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu_under_mixed_precision_it_equals_the_cpu():
    logits, target = batch(rows=64)
    target[::5] = NAN
    loss = loss_of(pos_weight=[1.0, 2.0, 3.0])  # not moved: MONAI's trainer does not move losses
    with torch.autocast("cuda", dtype=torch.float16):
        value = loss(logits.cuda(), target.cuda())
    torch.testing.assert_close(value.cpu(), loss(logits, target))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weighting": "epoch"}, "Choices: batch, none"),
        ({"reduction": "none"}, "Choices: mean, sum"),
        ({"pos_weight": [1.0, -1.0]}, "pos_weight must be finite and at least 0"),
        ({"class_weights": [NAN]}, "class_weights must be finite"),
        ({"class_weight": [1.0]}, 'no option "class_weight". Did you mean "class_weights"'),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        loss_of(**options)


def test_wrong_shapes_are_named():
    logits, target = batch()
    with pytest.raises(ConfigError, match="pos_weight has 2 values for 3 classes"):
        loss_of(pos_weight=[1.0, 2.0])(logits, target)
    with pytest.raises(ValueError, match=r"\(5, 3\) and target \(5, 2\)"):
        loss_of()(logits, target[:, :2])
