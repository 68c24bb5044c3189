"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_networks():
    return [
        Component(
            "densenet_like",
            "medkit_densenet_like.network:DenseNetLike",
            "seven 3×3 convolutions with four parallel ones of 1×1 to 7×7 among them; small, trained from scratch",
        )
    ]
