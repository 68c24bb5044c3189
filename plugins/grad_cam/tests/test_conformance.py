from medkit.testing import LocalizerConformance


class TestCam(LocalizerConformance):
    component = "cam"


class TestGradCam(LocalizerConformance):
    component = "grad_cam"


class TestGradCamPlusPlus(LocalizerConformance):
    component = "grad_cam_plus_plus"
