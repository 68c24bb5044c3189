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
            "segmentation_files",
            "medkit_report.segmentation_files:SegmentationFiles",
            "segmentation.csv and masks, one row per input file in input order, before and after the gate",
        ),
        Component(
            "segmentation_metrics",
            "medkit_report.segmentation_metrics:SegmentationMetrics",
            "JSON of IoU, Dice and HD95 with intervals, before and after the gate",
        ),
        Component(
            "html_report",
            "medkit_report.html_report:HtmlReport",
            "one self-contained report.html of a run",
        ),
    ]
