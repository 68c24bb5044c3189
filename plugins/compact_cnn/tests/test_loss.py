"""Cross entropy that skips what is unknown."""

import pytest
import torch
from torch.nn import functional

import medkit
from medkit.errors import ConfigError


def test_it_is_torchs_over_the_known_images():
    torch.manual_seed(0)
    logits, label = torch.randn(4, 3), torch.eye(3)[[0, 1, 2, 1]]
    label[2] = float("nan")
    rows = [0, 1, 3]
    for options in ({}, {"label_smoothing": 0.1, "class_weights": [1.0, 2.0, 3.0]}):
        weights = torch.tensor(options["class_weights"]) if options else None
        smoothing = options.get("label_smoothing", 0.0)
        expected = functional.cross_entropy(logits[rows], torch.tensor([0, 1, 1]), weights, label_smoothing=smoothing)
        torch.testing.assert_close(medkit.loss("cross_entropy", **options)(logits, label), expected)


def test_nothing_known_is_zero_with_no_gradient():
    logits = torch.randn(2, 3, requires_grad=True)
    loss = medkit.loss("cross_entropy")(logits, torch.full((2, 3), float("nan")))
    loss.backward()
    assert loss == 0
    assert not logits.grad.any()


def test_impossible_options_are_one_line():
    with pytest.raises(ConfigError, match="label_smoothing 1"):
        medkit.loss("cross_entropy", label_smoothing=1)
