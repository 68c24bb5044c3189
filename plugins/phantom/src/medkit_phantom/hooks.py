"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_datasets():
    return [
        Component(
            "phantom",
            "medkit_phantom.dataset:phantom",
            "synthetic chest X-rays with known findings and boxes, made once and kept as DICOM and PNG files",
        )
    ]
