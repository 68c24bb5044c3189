"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_postprocessors():
    return [
        Component(
            "threshold_search",
            "medkit_threshold_search.postprocessor:ThresholdSearch",
            "logits to calibrated probabilities and present findings, by exact operating points",
            "Platt 1999; Guo et al. 2017, arXiv:1706.04599; Lipton et al. 2014, arXiv:1402.1892",
        )
    ]


@hookimpl
def medkit_handlers():
    return [
        Component(
            "threshold_rules",
            "medkit_threshold_search.rules:ThresholdRules",
            "predictions.csv of validation and test images to macro F1 a threshold rule, with decisions of each rule",
            "Lipton et al. 2014, arXiv:1402.1892",
        )
    ]
