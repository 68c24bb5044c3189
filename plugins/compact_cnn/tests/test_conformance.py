from medkit.testing import LossConformance, NetworkConformance


class TestCompactCNN(NetworkConformance):
    component = "compact_cnn"
    options = {"channels": (4, 8, 8), "hidden": (8, 8)}


class TestCrossEntropy(LossConformance):
    component = "cross_entropy"
