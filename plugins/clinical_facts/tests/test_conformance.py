from medkit.testing import NetworkConformance


class TestWithFacts(NetworkConformance):
    component = "with_facts"
    options = {"facts": 2, "network": {"component": "simple_cnn", "spatial_size": (64, 96)}}
