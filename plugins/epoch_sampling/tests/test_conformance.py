from medkit.testing import SamplerConformance


class TestSeedProportional(SamplerConformance):
    component = "seed_proportional"


class TestOversample(SamplerConformance):
    component = "oversample"
