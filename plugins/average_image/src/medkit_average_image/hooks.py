"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_networks():
    return [
        Component(
            "average_image",
            "medkit_average_image.network:AverageImage",
            "another network that sees images minus the training set's mean image, a part of its weights",
        )
    ]


@hookimpl
def medkit_handlers():
    return [
        Component(
            "average_image",
            "medkit_average_image.handler:FitAverageImage",
            "when training begins, takes the mean of the training images into the network average_image",
        )
    ]
