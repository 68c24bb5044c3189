from medkit.testing import NetworkConformance


class TestBNInception(NetworkConformance):
    component = "bn_inception"
    spatial_size = (32, 64)
