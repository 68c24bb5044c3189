from medkit.testing import NetworkConformance


class TestDenseNetLike(NetworkConformance):
    component = "densenet_like"
    spatial_size = (94, 100)
