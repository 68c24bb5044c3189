"""What this plugin offers."""

from medkit import Component, hookimpl

MILLETARI = "Milletari, Navab, Ahmadi 2016, arXiv:1606.04797"
NNUNET = "Isensee et al. 2021, doi:10.1038/s41592-020-01008-z"


@hookimpl
def medkit_networks():
    return [
        Component(
            "unet",
            "medkit_unet_dice.unet:UNet",
            "MONAI's UNet for images of any size",
            "Ronneberger, Fischer, Brox 2015, arXiv:1505.04597; Kerfoot et al. 2018, doi:10.1007/978-3-030-12029-0_40",
        ),
        Component(
            "dynunet",
            "medkit_unet_dice.dynunet:DynUNet",
            "nnU-Net's network for images of any size, at half resolution inside",
            NNUNET,
        ),
    ]


@hookimpl
def medkit_losses():
    return [
        Component(
            "dice",
            "medkit_unet_dice.losses:Dice",
            "1 − Dice with smoothing, an image at a time; skips unknown pixels",
            MILLETARI,
        ),
        Component("bce", "medkit_unet_dice.losses:BCE", "binary cross entropy over the known pixels"),
        Component("mse", "medkit_unet_dice.losses:MSE", "squared error of probabilities over the known pixels"),
        Component(
            "dice_bce",
            "medkit_unet_dice.losses:DiceBCE",
            "weighted sum of dice and bce",
            NNUNET,
        ),
    ]
