import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.losses import DiceCELoss, DiceLoss
from torch.nn import functional

import medkit
from medkit.errors import ConfigError

NAN = math.nan
NAMES = ["dice", "bce", "mse", "dice_bce"]


def masks(images=3, classes=1, side=6, seed=0, dtype=torch.float64):
    random = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(images, classes, side, side + 1, generator=random, dtype=dtype)
    return logits, (torch.rand(images, classes, side, side + 1, generator=random) < 0.4).to(dtype)


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("smooth", [1.0, 1e-5])
def test_dice_equals_monais(smooth, batch):
    logits, target = masks(classes=2)
    theirs = DiceLoss(sigmoid=True, smooth_nr=smooth, smooth_dr=smooth, batch=batch)
    torch.testing.assert_close(medkit.loss("dice", smooth=smooth, batch=batch)(logits, target), theirs(logits, target))


def test_bce_and_mse_equal_torchs():
    logits, target = masks()
    torch.testing.assert_close(
        medkit.loss("bce")(logits, target), functional.binary_cross_entropy_with_logits(logits, target)
    )
    torch.testing.assert_close(medkit.loss("mse")(logits, target), functional.mse_loss(logits.sigmoid(), target))


def test_dice_bce_equals_monais():
    logits, target = masks()
    theirs = DiceCELoss(sigmoid=True, smooth_nr=1.0, smooth_dr=1.0, lambda_dice=0.7, lambda_ce=0.2)
    ours = medkit.loss("dice_bce", dice_weight=0.7, bce_weight=0.2)
    torch.testing.assert_close(ours(logits, target), theirs(logits, target))


def test_dice_by_hand():
    target = torch.tensor([[[[1.0, 1.0], [0.0, 0.0]]], [[[0.0, 0.0], [0.0, 0.0]]]])
    logits = torch.zeros(2, 1, 2, 2)  # probabilities of 0.5
    first, second = 1 - (2 * 1 + 1) / (2 + 2 + 1), 1 - 1 / (2 + 1)
    assert medkit.loss("dice")(logits, target).item() == pytest.approx((first + second) / 2)
    assert medkit.loss("dice", batch=True)(logits, target).item() == pytest.approx(1 - (2 * 1 + 1) / (4 + 2 + 1))


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_prediction_on_an_empty_mask_costs_nothing(name):
    empty, full = torch.full((2, 1, 8, 8), -40.0), torch.full((2, 1, 8, 8), 40.0)
    assert medkit.loss(name)(empty, torch.zeros(2, 1, 8, 8)).item() == pytest.approx(0, abs=1e-6)
    assert medkit.loss(name)(full, torch.zeros(2, 1, 8, 8)) > 0.9


@pytest.mark.parametrize("name", NAMES)
def test_a_right_mask_costs_nothing_and_a_wrong_one_much(name):
    _, target = masks(dtype=torch.float32)
    right = 80 * (target - 0.5)
    assert medkit.loss(name)(right, target).item() == pytest.approx(0, abs=1e-5)
    assert medkit.loss(name)(-right, target) > 0.9


@pytest.mark.parametrize("name", NAMES)
def test_gradient_is_that_of_finite_differences(name):
    logits, target = masks(images=2, side=3)
    target[0, 0, 1, 2] = NAN
    assert torch.autograd.gradcheck(lambda x: medkit.loss(name)(x, target), logits.requires_grad_())


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), hidden=st.floats(0, 1), name=st.sampled_from(NAMES))
def test_unknown_pixels_change_nothing(seed, hidden, name):
    logits, target = masks(seed=seed)
    unknown = torch.rand(target.shape, generator=torch.Generator().manual_seed(seed)) < hidden
    with_unknown = target.masked_fill(unknown, NAN)
    results = []
    for fill in (0.0, 50.0, torch.inf, NAN):
        x = logits.masked_fill(unknown, fill).requires_grad_()
        value = medkit.loss(name)(x, with_unknown)
        value.backward()
        assert (x.grad[unknown] == 0).all()
        results.append(torch.cat([value.detach()[None], x.grad.flatten()]))
    assert torch.isfinite(results[0]).all()
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=0, atol=0)


@pytest.mark.parametrize("batch", [False, True])
def test_unknown_pixels_are_like_pixels_cut_off(batch):
    logits, target = masks()
    target[..., -2:] = NAN
    loss = medkit.loss("dice_bce", batch=batch)
    torch.testing.assert_close(loss(logits, target), loss(logits[..., :-2], target[..., :-2]))


@pytest.mark.parametrize("name", NAMES)
def test_unknown_images_equal_a_batch_without_them(name):
    logits, target = masks()
    padded = torch.cat([target, torch.full_like(target[:2], NAN)])
    loss = medkit.loss(name)
    torch.testing.assert_close(loss(torch.cat([logits, logits[:2]]), padded), loss(logits, target))


@pytest.mark.parametrize("options", [("dice", {}), ("dice", {"batch": True}), ("bce", {}), ("mse", {})], ids=str)
def test_nothing_known_is_zero_with_a_gradient_of_zero(options):
    logits, target = masks()
    logits.requires_grad_()
    value = medkit.loss(options[0], **options[1])(logits, torch.full_like(target, NAN))
    value.backward()
    assert value.item() == 0
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_logits_are_computed_in_float32(dtype, name):
    logits, target = masks(side=300, dtype=torch.float32)  # 90,000 pixels: more than float16 can count
    value = medkit.loss(name)(logits.to(dtype), target)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, medkit.loss(name)(logits.to(dtype).float(), target), rtol=0, atol=0)


def test_volumes_and_classes_are_welcome():
    logits, target = torch.zeros(2, 3, 4, 5, 6), torch.ones(2, 3, 4, 5, 6)
    assert medkit.loss("dice_bce")(logits, target).ndim == 0


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("dice", {"smooth": 0.0}, "smooth 0.0: give a number above 0"),
        ("dice", {"smooth": NAN}, "smooth nan"),
        ("dice_bce", {"dice_weight": 0.0, "bce_weight": 0.0}, "one of them above"),
        ("dice_bce", {"bce_weight": -1.0}, "at least 0"),
        ("dice", {"smoth": 1.0}, 'Did you mean "smooth"'),
    ],
)
def test_wrong_options_are_named(name, options, message):
    with pytest.raises(ConfigError, match=message):
        medkit.loss(name, **options)


@pytest.mark.parametrize("name", NAMES)
def test_wrong_shapes_are_named(name):
    logits, target = masks()
    with pytest.raises(ValueError, match=r"\(3, 1, 6, 7\) and target \(3, 6, 7\)"):
        medkit.loss(name)(logits, target[:, 0])
