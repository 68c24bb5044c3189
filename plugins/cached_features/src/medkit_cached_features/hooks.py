"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_transforms():
    return [
        Component(
            "cached_features",
            "medkit_cached_features.dataset:CachedFeatures",
            "a data set whose images are replaced by a frozen encoder's features, computed once",
        ),
        Component(
            "head_inferer",
            "medkit_cached_features.inferer:HeadInferer",
            "a MONAI Inferer that runs a network's head on cached features",
        ),
    ]
