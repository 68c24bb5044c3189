import pytest
import torch

import medkit
from medkit.errors import ConfigError
from medkit.testing import NetworkConformance


class TestContract(NetworkConformance):
    component = "conv_mixer"


def test_it_has_the_papers_number_of_parameters():
    width, depth, kernel, patch, channels, classes = 16, 3, 5, 4, 1, 8
    network = medkit.network(
        "conv_mixer", in_channels=channels, out_channels=classes, width=width, depth=depth, kernel_size=kernel
    )
    # section 2: patches, then depthwise and 1×1 convolutions with biases, a batch norm each, and the linear layer
    patches = width * (channels * patch**2 + 1) + 2 * width
    block = width * (kernel**2 + 1) + 2 * width + width * (width + 1) + 2 * width
    assert sum(p.numel() for p in network.parameters()) == patches + depth * block + classes * (width + 1)


def test_volumes_work_too():
    network = medkit.network("conv_mixer", in_channels=1, out_channels=2, spatial_dims=3, width=8, depth=1)
    assert network(torch.rand(2, 1, 8, 12, 16)).shape == (2, 2)


def test_an_even_kernel_is_refused():
    with pytest.raises(ConfigError, match="give an odd number"):
        medkit.network("conv_mixer", in_channels=1, out_channels=2, kernel_size=4)
