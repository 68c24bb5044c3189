from medkit.testing import LossConformance


class TestWeightedCrossEntropy(LossConformance):
    component = "weighted_cross_entropy"
