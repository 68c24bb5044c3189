"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_handlers():
    return [
        Component(
            "label_statistics",
            "medkit_exploration.label_statistics:LabelStatistics",
            "which findings occur together, P(j|i), and how many images show each, as tables and plots",
        ),
        Component(
            "feature_maps",
            "medkit_exploration.feature_maps:FeatureMaps",
            "filters and feature maps of chosen convolution layers as picture grids",
            "Zeiler, Fergus 2014, doi:10.1007/978-3-319-10590-1_53",
        ),
    ]
