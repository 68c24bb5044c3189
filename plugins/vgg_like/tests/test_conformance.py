from medkit.testing import NetworkConformance


class TestVGGLike(NetworkConformance):
    component = "vgg_like"
    options = {"channels": (4, 8, 8, 8, 8), "hidden": (8,)}


class TestSimpleCNN(NetworkConformance):
    component = "simple_cnn"
