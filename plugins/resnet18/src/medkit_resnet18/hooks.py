"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_networks():
    return [
        Component(
            "resnet18",
            "medkit_resnet18.network:ResNet18",
            "ResNet18 for 2D images; loads torchvision's weights; all of it trains, or the last layer only",
            "He, Zhang, Ren, Sun 2016, arXiv:1512.03385",
        )
    ]
