from medkit.testing import SamplerConformance


class TestBalanced(SamplerConformance):
    component = "balanced"
