"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_datasets():
    return [
        Component(
            "chest_xray",
            "medkit_chest_xray.dataset:chest_xray",
            "NIH ChestX-ray14 in its official layout, or a folder of images with a label table",
            "Wang, Peng, Lu, Lu, Bagheri, Summers 2017, CVPR, doi:10.1109/CVPR.2017.369",
        )
    ]
