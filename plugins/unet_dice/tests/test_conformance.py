from medkit.testing import LossConformance, NetworkConformance


class TestUNet(NetworkConformance):
    component = "unet"
    options = {"channels": (4, 8, 16), "strides": (2, 2)}


class TestDynUNet(NetworkConformance):
    component = "dynunet"
    options = {"channels": (4, 8, 16), "strides": (2, 2, 2)}


class TestDice(LossConformance):
    component = "dice"


class TestBCE(LossConformance):
    component = "bce"


class TestMSE(LossConformance):
    component = "mse"


class TestDiceBCE(LossConformance):
    component = "dice_bce"
