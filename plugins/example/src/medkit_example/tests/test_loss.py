import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

import medkit
from medkit.errors import ConfigError
from medkit.testing import LossConformance


class TestContract(LossConformance):
    component = "asymmetric_loss"


def test_without_its_options_it_is_binary_cross_entropy():
    random = torch.Generator().manual_seed(0)
    logits, target = torch.randn(4, 3, generator=random) * 9, torch.randint(2, (4, 3), generator=random).float()
    loss = medkit.loss("asymmetric_loss", gamma_negative=0, margin=0)
    torch.testing.assert_close(loss(logits, target), binary_cross_entropy_with_logits(logits, target))


def test_values_are_those_of_the_equation():
    p, q = 0.8, 0.8 - 0.05
    logits, target = torch.full((1, 2), math.log(p / (1 - p))), torch.tensor([[1.0, 0.0]])
    loss = medkit.loss("asymmetric_loss", gamma_positive=1, gamma_negative=4, margin=0.05)
    expected = -((1 - p) * math.log(p) + q**4 * math.log(1 - q)) / 2
    assert loss(logits, target).item() == pytest.approx(expected, rel=1e-5)


def test_an_easy_absence_teaches_nothing():
    logits = torch.tensor([[-4.0]], requires_grad=True)
    medkit.loss("asymmetric_loss", gamma_negative=0.5)(logits, torch.zeros(1, 1)).backward()
    assert logits.grad.item() == 0


def test_an_impossible_margin_is_named():
    with pytest.raises(ConfigError, match="margin from 0 to below 1"):
        medkit.loss("asymmetric_loss", margin=1)
