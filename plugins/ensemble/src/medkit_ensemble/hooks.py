"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_datasets():
    return [
        Component(
            "selected_findings",
            "medkit_ensemble.selected:selected_findings",
            "any samples, by reference, with the labels and boxes of some findings alone",
        ),
    ]


@hookimpl
def medkit_handlers():
    return [
        Component(
            "merge_predictions",
            "medkit_ensemble.merge:MergePredictions",
            "several models' predictions.csv to one: the mean of their probabilities, joined by file",
            "Breiman 1996, doi:10.1007/BF00058655",
        ),
        Component(
            "join_findings",
            "medkit_ensemble.join:JoinFindings",
            "predictions.csv of models of one finding each to one of all findings, joined by file",
        ),
    ]
