import pytest
import torch
from torch import nn

import medkit
from medkit.testing import LocalizerConformance


class TestContract(LocalizerConformance):
    component = "saliency"


class Linear(nn.Module):
    """Logits are a weighted sum of pixels, so the gradient is known: the weights."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.einsum("bchw,kchw->bk", images, self.weight)


def test_map_of_a_linear_network_is_its_absolute_weight():
    weight = torch.randn(3, 1, 5, 7, generator=torch.Generator().manual_seed(0))
    logits, maps = medkit.localizer("saliency")(torch.rand(2, 1, 5, 7), Linear(weight))
    assert logits.shape == (2, 3)
    torch.testing.assert_close(maps, weight[:, 0].abs().expand(2, 3, 5, 7))
    assert not maps.requires_grad


def test_missing_network_is_named():
    with pytest.raises(ValueError, match="needs a network"):
        medkit.localizer("saliency")(torch.rand(1, 1, 4, 4))
