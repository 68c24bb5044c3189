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
