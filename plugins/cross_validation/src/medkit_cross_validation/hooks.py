"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_datasets():
    return [
        Component(
            "folds",
            "medkit_cross_validation.folds_dataset:folds",
            "any other data set's samples as K folds that keep patients together, fixed in a file",
        )
    ]


@hookimpl
def medkit_handlers():
    return [
        Component(
            "fold_table",
            "medkit_cross_validation.fold_table:FoldTable",
            "per-image files of K folds to one table and one plot, with intervals by patient and paired differences",
            "Field, Welsh 2007, doi:10.1111/j.1467-9868.2007.00593.x",
        )
    ]
