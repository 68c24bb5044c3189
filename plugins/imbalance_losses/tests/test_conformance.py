from medkit.testing import LossConformance


class TestFocal(LossConformance):
    component = "focal"


class TestSoftF1(LossConformance):
    component = "soft_f1"
