"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_postprocessors():
    return [
        Component(
            "heatmap_boxes",
            "medkit_heatmap_boxes.postprocessor:HeatmapBoxes",
            "heat maps of the present findings to boxes in original pixels",
            "Zhou et al. 2016, arXiv:1512.04150, section 3.2",
        )
    ]
