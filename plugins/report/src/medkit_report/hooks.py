"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_handlers():
    return [
        Component(
            "prediction_files",
            "medkit_report.prediction_files:PredictionFiles",
            "predictions.csv, boxes.csv and heat maps, one row per input file in input order",
        ),
        Component(
            "metrics_file",
            "medkit_report.metrics_file:MetricsFile",
            "metrics.json: every score with its interval and count",
        ),
        Component(
            "html_report",
            "medkit_report.html_report:HtmlReport",
            "one self-contained report.html of a run",
        ),
    ]
