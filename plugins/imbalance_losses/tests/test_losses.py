import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.losses import FocalLoss
from sklearn.metrics import f1_score

import medkit
from medkit.errors import ConfigError

NAN = math.nan
WEIGHTS = [1.0, 0.0, 3.0]
LOSSES = [
    ("focal", {}),
    ("focal", {"alpha": 0.25, "class_weights": WEIGHTS}),
    ("soft_f1", {}),
    ("soft_f1", {"of": "both"}),
    ("soft_f1", {"of": "both", "class_weights": WEIGHTS}),
]


def batch(rows=5, seed=0, dtype=torch.float32):
    random = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(rows, 3, generator=random, dtype=dtype)
    return logits, (torch.rand(rows, 3, generator=random) < 0.4).to(dtype)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


# -- focal -------------------------------------------------------------------------------------------------------------
def test_focal_of_a_small_matrix_by_hand():
    logits, target = torch.tensor([[0.5, -1.0], [2.0, 7.0]]), torch.tensor([[1.0, 0.0], [0.0, NAN]])
    terms = [0.3 * (1 - sigmoid(0.5)) ** 1.5 * math.log(sigmoid(0.5))]
    terms += [0.7 * sigmoid(x) ** 1.5 * math.log(1 - sigmoid(x)) for x in (-1.0, 2.0)]
    value = medkit.loss("focal", gamma=1.5, alpha=0.3)(logits, target)
    assert value.item() == pytest.approx(-sum(terms) / 3, rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    gamma=st.floats(0, 5),
    alpha=st.none() | st.floats(0, 1),
    weights=st.none() | st.lists(st.floats(0, 10), min_size=3, max_size=3),
)
def test_focal_equals_monais_where_every_label_is_known(seed, gamma, alpha, weights):
    logits, target = batch(seed=seed)
    ours = medkit.loss("focal", gamma=gamma, alpha=alpha, class_weights=weights)
    theirs = FocalLoss(gamma=gamma, alpha=alpha, weight=weights)
    torch.testing.assert_close(ours(logits, target), theirs(logits, target))


# -- soft F1 -----------------------------------------------------------------------------------------------------------
def test_soft_f1_of_a_small_matrix_by_hand():
    p = [[0.9, 0.2, 0.5], [0.4, 0.7, 0.5], [0.3, 0.6, 0.5]]
    target = torch.tensor([[1, 0, NAN], [0, 1, NAN], [1, NAN, NAN]])
    logits = torch.logit(torch.tensor(p))
    first = 2 * 1.2 / (2 * 1.2 + 0.4 + 0.8)
    second = 2 * 0.7 / (2 * 0.7 + 0.2 + 0.3)
    assert medkit.loss("soft_f1")(logits, target).item() == pytest.approx(1 - (first + second) / 2, rel=1e-6)
    weighted = medkit.loss("soft_f1", class_weights=[3.0, 1.0, 5.0])(logits, target)
    assert weighted.item() == pytest.approx(1 - (3 * first + second) / 4, rel=1e-6)
    first_absent = 2 * 0.6 / (2 * 0.6 + 0.8 + 0.4)
    second_absent = 2 * 0.8 / (2 * 0.8 + 0.3 + 0.2)
    expected = 1 - (first + first_absent + second + second_absent) / 4
    assert medkit.loss("soft_f1", of="both")(logits, target).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_of_certain_probabilities_it_is_one_minus_macro_f1(seed):
    logits, target = batch(rows=9, seed=seed, dtype=torch.float64)
    said, truth = (logits > 0).int().numpy(), target.int().numpy()
    presence = f1_score(truth, said, average="macro", zero_division=0)
    absence = f1_score(1 - truth, 1 - said, average="macro", zero_division=0)
    certain = 500 * logits.sign()
    assert medkit.loss("soft_f1")(certain, target).item() == pytest.approx(1 - presence)
    both = medkit.loss("soft_f1", of="both")(certain, target).item()
    assert both == pytest.approx(1 - (presence + absence) / 2)


def test_a_class_that_no_image_shows_is_held_down_by_absence_alone():
    logits, target = batch()
    target[:, 1] = 0
    for of, held in (("presence", False), ("both", True)):
        x = logits.clone().requires_grad_()
        medkit.loss("soft_f1", of=of)(x, target).backward()
        assert (x.grad[:, 1] > 0).all() == held
        assert x.grad[:, 1].any() == held
        assert x.grad[:, 0].all()


# -- both --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("component", "options"), LOSSES)
def test_gradient_is_that_of_finite_differences(component, options):
    logits, target = batch(dtype=torch.float64)
    target[1, 2] = target[3, 0] = NAN
    loss = medkit.loss(component, **options)
    assert torch.autograd.gradcheck(lambda x: loss(x, target), logits.requires_grad_())


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(1, 6), hidden=st.floats(0, 1), which=st.sampled_from(LOSSES))
def test_unknown_labels_change_nothing(seed, rows, hidden, which):
    logits, target = batch(rows, seed)
    unknown = torch.rand(rows, 3, generator=torch.Generator().manual_seed(seed)) < hidden
    results = []
    for fill in (logits, torch.where(unknown, torch.inf, logits)):
        fill = fill.clone().requires_grad_()
        value = medkit.loss(which[0], **which[1])(fill, torch.where(unknown, NAN, target))
        value.backward()
        results.append((value.detach(), fill.grad))
        assert (fill.grad[unknown] == 0).all()
    assert torch.isfinite(results[0][0])
    torch.testing.assert_close(*results, rtol=0, atol=0)


@pytest.mark.parametrize(("component", "options"), LOSSES)
def test_unknown_rows_equal_a_batch_without_them(component, options):
    logits, target = batch(8)
    loss = medkit.loss(component, **options)
    padded = torch.cat([target, torch.full((3, 3), NAN)])
    torch.testing.assert_close(loss(torch.cat([logits, logits[:3]]), padded), loss(logits, target))


@pytest.mark.parametrize(("component", "options"), LOSSES)
def test_batch_without_known_labels_is_zero_with_a_gradient_of_zero(component, options):
    logits = batch()[0].requires_grad_()
    value = medkit.loss(component, **options)(logits, torch.full((5, 3), NAN))
    value.backward()
    assert value.item() == 0
    assert (logits.grad == 0).all()


@pytest.mark.parametrize(("component", "options"), LOSSES)
def test_huge_logits_stay_finite(component, options):
    logits = torch.tensor([[1e4, -1e4, -1e4]], requires_grad=True)
    value = medkit.loss(component, **options)(logits, torch.tensor([[0.0, 1.0, 0.0]]))
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize(("component", "options"), LOSSES)
def test_half_precision_logits_are_computed_in_float32(component, options):
    logits, target = batch(rows=400)
    loss = medkit.loss(component, **options)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(logits.bfloat16(), target)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss(logits.bfloat16().float(), target), rtol=0, atol=0)


def test_weights_stay_out_of_checkpoints():
    assert medkit.loss("focal", class_weights=WEIGHTS).state_dict() == {}


@pytest.mark.parametrize(
    ("component", "options"), [("focal", {"alpha": 0.25}), ("soft_f1", {}), ("soft_f1", {"of": "both"})]
)
def test_a_step_raises_what_is_present_and_lowers_what_is_absent(component, options):
    logits, target = batch(20)
    medkit.loss(component, **options)(logits.requires_grad_(), target).backward()
    assert torch.equal(logits.grad < 0, target == 1)
    assert torch.equal(logits.grad > 0, target == 0)


@pytest.mark.parametrize(
    ("component", "options", "message"),
    [
        ("focal", {"gamma": -1.0}, "gamma is -1.0: give"),
        ("focal", {"gamma": NAN}, "gamma is nan: give"),
        ("focal", {"alpha": 1.5}, "alpha is 1.5: give a number from 0 to 1"),
        ("soft_f1", {"of": "absence"}, 'of "absence" is unknown. Choices: presence, both'),
        ("soft_f1", {"class_weights": [1.0, -1.0, 1.0]}, "class_weights must be finite and at least 0"),
        ("focal", {"class_weights": [NAN] * 3}, "class_weights must be finite and at least 0"),
        ("focal", {"class_weight": WEIGHTS}, 'no option "class_weight". Did you mean "class_weights"'),
    ],
)
def test_wrong_options_are_named(component, options, message):
    with pytest.raises(ConfigError, match=message):
        medkit.loss(component, **options)


def test_wrong_shapes_are_named():
    logits, target = batch()
    with pytest.raises(ConfigError, match="class_weights has 1 values for 3 classes"):
        medkit.loss("focal", class_weights=[1.0])(logits, target)
    with pytest.raises(ValueError, match=r"\(5, 3\) and target \(5, 2\)"):
        medkit.loss("soft_f1")(logits, target[:, :2])
