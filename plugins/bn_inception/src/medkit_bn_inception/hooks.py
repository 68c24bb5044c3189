"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_networks():
    return [
        Component(
            "bn_inception",
            "medkit_bn_inception.network:BNInception",
            "BN-Inception for 2D images; loads its published weights; all of it trains, or the last layer only",
            "Ioffe, Szegedy 2015, arXiv:1502.03167",
        )
    ]
