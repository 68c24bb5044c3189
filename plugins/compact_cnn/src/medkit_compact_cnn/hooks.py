"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_networks():
    return [
        Component(
            "compact_cnn",
            "medkit_compact_cnn.network:CompactCNN",
            "three blocks of 5×5 stride-2 convolution, then three linear layers; 5,238,147 parameters at 512×512",
        )
    ]


@hookimpl
def medkit_losses():
    return [
        Component(
            "cross_entropy",
            "medkit_compact_cnn.loss:CrossEntropy",
            "cross entropy of one class an image; skips images whose label is unknown",
        )
    ]
