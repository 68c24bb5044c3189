"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_datasets():
    return [
        Component(
            "phantom_ultrasound",
            "medkit_phantom_ultrasound.dataset:phantom_ultrasound",
            "synthetic breast ultrasound with benign, malignant and no lesions and their masks, in BUSI's layout",
            "speckle: Burckhardt 1978, IEEE Trans. Sonics Ultrason. 25(1):1-6, doi:10.1109/T-SU.1978.30978",
        )
    ]
