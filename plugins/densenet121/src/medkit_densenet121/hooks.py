"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_networks():
    return [
        Component(
            "densenet121",
            "medkit_densenet121.network:DenseNet121",
            "DenseNet121 and its family; loads torchvision, CheXNet and TorchXRayVision weights strictly",
            "Huang, Liu, van der Maaten, Weinberger 2017, arXiv:1608.06993",
        )
    ]
