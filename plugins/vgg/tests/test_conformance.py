from medkit.testing import NetworkConformance


class TestVGG16(NetworkConformance):
    component = "vgg16"
    options = {"head": "average"}
    spatial_size = (32, 48)


class TestVGG19(NetworkConformance):
    component = "vgg19"
    options = {"head": "log_sum_exp"}
    spatial_size = (32, 48)
