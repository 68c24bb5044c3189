"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_losses():
    return [
        Component(
            "weighted_cross_entropy",
            "medkit_weighted_cross_entropy.loss:WeightedCrossEntropy",
            "multi-label cross entropy, positives and negatives weighted by their counts in the batch (W-CEL)",
            "Wang, Peng, Lu, Lu, Bagheri, Summers 2017, CVPR, doi:10.1109/CVPR.2017.369, equation 1",
        )
    ]
