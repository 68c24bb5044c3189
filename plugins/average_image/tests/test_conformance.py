import torch

from medkit.testing import NetworkConformance


class TestAverageImage(NetworkConformance):
    component = "average_image"
    options = {"network": {"component": "simple_cnn", "spatial_size": (64, 96)}}

    def new_network(self, seed, **changes):
        network = super().new_network(seed, **changes)
        network.average_image = torch.full_like(network.average_image, 0.5)  # as the handler average_image does
        return network
