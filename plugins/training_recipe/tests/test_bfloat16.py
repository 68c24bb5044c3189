import pytest
import torch
from torch import nn

import medkit


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(4, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 4 * 5, 3))


def images():
    return torch.rand(2, 4, 6, 7, generator=torch.Generator().manual_seed(1))


def test_the_output_is_float32_and_close_to_that_of_full_precision():
    exact = network()(images())
    found = medkit.transform("bfloat16", enabled=True)(images(), network())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, exact, rtol=0, atol=0.02)
    assert not found.equal(exact)


def test_switched_off_it_is_the_network():
    assert medkit.transform("bfloat16", enabled=False)(images(), network()).equal(network()(images()))


def test_gradients_are_float32_and_reach_every_weight():
    model = network()
    medkit.transform("bfloat16", enabled=True)(images(), model).square().sum().backward()
    assert all(weight.grad.dtype == torch.float32 and weight.grad.abs().sum() > 0 for weight in model.parameters())


def test_every_output_of_several_is_float32():
    both = medkit.transform("bfloat16", enabled=True)(images(), lambda x: (x.bfloat16(), x.mean((2, 3)).bfloat16()))
    assert [part.dtype for part in both] == [torch.float32, torch.float32]


def test_it_runs_inside_test_time_augmentation():
    inside = medkit.transform("bfloat16", enabled=True)
    averaged = medkit.transform("test_time_augmentation", axes=[1], inferer=inside)(images(), network())
    views = [network()(view).sigmoid() for view in (images(), images().flip(3))]
    torch.testing.assert_close(averaged.sigmoid(), torch.stack(views).mean(0), rtol=0, atol=0.01)


@pytest.mark.parametrize("able", [True, False])
def test_by_default_the_processor_decides(able, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: able)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    assert medkit.transform("bfloat16")(images(), network()).equal(network()(images())) is not able
