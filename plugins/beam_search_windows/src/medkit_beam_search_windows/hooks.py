"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_localizers():
    return [
        Component(
            "beam_search_windows",
            "medkit_beam_search_windows.localizer:BeamSearchWindows",
            "the window that a classifier scores highest for each finding, by beam search in a tree; any network",
            "Lowerre 1976, The HARPY speech recognition system (beam search)",
        )
    ]
