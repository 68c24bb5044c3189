"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_transforms():
    return [
        Component(
            "random_affine",
            "medkit_augmentation.affine:RandomAffined",
            "small random rotations, shifts, shears, zooms and flips, in degrees and parts of the image's side",
        ),
        Component(
            "centre_crop",
            "medkit_augmentation.crop:CentreCropd",
            "the middle of an image: cut out, or the largest part of that shape reduced to the size",
        ),
    ]


@hookimpl
def medkit_handlers():
    return [
        Component(
            "offline_expansion",
            "medkit_augmentation.expansion:OfflineExpansion",
            "writes a data set with augmented copies of its training images: PNG files, labels.csv and boxes.csv",
        )
    ]


@hookimpl
def medkit_commands():
    return [
        Component(
            "expand",
            "medkit_augmentation.command:expand",
            "a data set with augmented copies of its training images, as a folder that chest_xray reads",
        )
    ]
