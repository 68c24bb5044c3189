from medkit.testing import NetworkConformance


class TestDenseNet121(NetworkConformance):
    component = "densenet121"
    options = {"blocks": (1, 1, 1, 1), "growth_rate": 8, "init_features": 16}
