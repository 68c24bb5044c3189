from medkit.testing import NetworkConformance


class TestResNet18(NetworkConformance):
    component = "resnet18"
    spatial_size = (32, 64)
