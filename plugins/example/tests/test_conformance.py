from medkit.testing import LocalizerConformance


class TestSaliency(LocalizerConformance):
    component = "saliency"
