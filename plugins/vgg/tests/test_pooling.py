"""Log-sum-exp pooling."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from medkit_vgg.pooling import LogSumExpPool

from medkit.errors import ConfigError


def maps(rows=5, columns=7, seed=0):
    return torch.randn(2, 3, rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("sharpness", [0.1, 1, 10])
def test_it_is_its_formula(sharpness):
    cells = maps().numpy()
    expected = np.log(np.exp(sharpness * cells).mean((2, 3))) / sharpness
    torch.testing.assert_close(LogSumExpPool(sharpness)(maps()), torch.from_numpy(expected))


def test_its_limits_are_the_average_and_the_maximum():
    torch.testing.assert_close(LogSumExpPool(1e-6)(maps()), maps().mean((2, 3)), rtol=0, atol=1e-5)
    torch.testing.assert_close(LogSumExpPool(1e6)(maps()), maps().amax((2, 3)), rtol=0, atol=1e-5)


@given(st.floats(0.01, 100), st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_it_lies_between_them_and_moves_with_the_maps(sharpness, rows, columns, seed):
    cells = maps(rows, columns, seed)
    pooled = LogSumExpPool(sharpness)(cells)
    assert (pooled >= cells.mean((2, 3)) - 1e-9).all()
    assert (pooled <= cells.amax((2, 3)) + 1e-9).all()
    torch.testing.assert_close(LogSumExpPool(sharpness)(cells + 3), pooled + 3)


@pytest.mark.parametrize("value", [-1e6, 1e6])
def test_large_values_and_large_maps_do_not_overflow(value):
    cells = torch.full((1, 1, 300, 200), value, requires_grad=True)
    pooled = LogSumExpPool(10)(cells)
    torch.testing.assert_close(pooled, torch.tensor([[value]]))
    pooled.sum().backward()
    torch.testing.assert_close(cells.grad.sum(), torch.tensor(1.0))


@pytest.mark.parametrize("sharpness", [0, -1, float("inf"), float("nan")])
def test_a_sharpness_without_meaning_is_refused(sharpness):
    with pytest.raises(ConfigError, match="give a number above 0"):
        LogSumExpPool(sharpness)
