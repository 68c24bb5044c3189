"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_handlers():
    return [
        Component(
            "merge_predictions",
            "medkit_ensemble.merge:MergePredictions",
            "several models' predictions.csv to one: the mean of their probabilities, joined by file",
            "Breiman 1996, doi:10.1007/BF00058655",
        )
    ]
