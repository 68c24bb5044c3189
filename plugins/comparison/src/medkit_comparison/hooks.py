"""What this plugin offers."""

from medkit import Component, hookimpl

_PAPER = "Field, Welsh 2007, doi:10.1111/j.1467-9868.2007.00593.x"


@hookimpl
def medkit_handlers():
    return [
        Component(
            "comparison_table",
            "medkit_comparison.table:ComparisonTable",
            "finished runs to one table and one plot: AUROC or F1, paired differences, boxes hit, time, parameters",
            _PAPER,
        )
    ]


@hookimpl
def medkit_commands():
    return [
        Component(
            "compare",
            "medkit_comparison.command:compare",
            "finished runs as one table and one plot, with paired intervals",
            _PAPER,
        )
    ]
