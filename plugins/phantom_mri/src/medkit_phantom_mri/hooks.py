"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_datasets():
    return [
        Component(
            "phantom_mri",
            "medkit_phantom_mri.dataset:phantom_mri",
            "synthetic brain MRI slices with and without tumours, planted duplicates, and volumes by option",
        )
    ]
