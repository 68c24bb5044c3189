from medkit.testing import PostprocessorConformance


class TestThresholdSearch(PostprocessorConformance):
    component = "threshold_search"
