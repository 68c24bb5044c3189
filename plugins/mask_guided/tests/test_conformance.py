from medkit.testing import LossConformance, NetworkConformance


class TestMaskGuided(NetworkConformance):
    component = "mask_guided"
    options = {"channels": (4, 8, 16), "features": 8, "hidden": 8}


class TestGuidedCrossEntropy(LossConformance):
    component = "guided_cross_entropy"
