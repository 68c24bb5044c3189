"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_transforms():
    return [
        Component(
            "label_selection",
            "medkit_label_selection.selection:label_selection",
            "those samples of a list that show any finding, or not more than one",
        )
    ]
