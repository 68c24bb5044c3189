"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_datasets():
    return [
        Component(
            "breast_ultrasound",
            "medkit_breast_ultrasound.dataset:breast_ultrasound",
            "BUSI as published: benign, malignant and normal images with masks, look-alikes kept on one side",
            "Al-Dhabyani, Gomaa, Khaled, Fahmy 2020, Data in Brief 28:104863, doi:10.1016/j.dib.2019.104863",
        )
    ]


@hookimpl
def medkit_transforms():
    return [
        Component(
            "load_mask",
            "medkit_breast_ultrasound.mask:LoadMaskd",
            "reads lists of mask files and unites them into (1,H,W) of 0 and 1 on the image's pixels",
        )
    ]
