from medkit.testing import LocalizerConformance


class TestBeamSearchWindows(LocalizerConformance):
    component = "beam_search_windows"
