"""What this plugin offers."""

from medkit import Component, hookimpl

_PAPER = "Breiman 1996, doi:10.1007/BF00117832"


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
            "several models' predictions.csv to one: mean, union, vote, mean of ranks, or fitted weights",
            _PAPER,
        ),
        Component(
            "join_findings",
            "medkit_ensemble.join:JoinFindings",
            "predictions.csv of models of one finding each to one of all findings, joined by file",
        ),
    ]


@hookimpl
def medkit_commands():
    return [
        Component(
            "merge",
            "medkit_ensemble.command:merge",
            "several models' tables of predictions to one, medkit's or Kaggle's",
            _PAPER,
        )
    ]
