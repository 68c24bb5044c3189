"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_datasets():
    return [
        Component(
            "brain_mri",
            "medkit_brain_mri.dataset:brain_mri",
            "brain MRI below folders yes and no: bitmaps, and NIfTI, MetaImage and DICOM series cut into slices",
            "Chakrabarty 2019, Brain MRI Images for Brain Tumor Detection",
        ),
        Component(
            "brain_mri_folder",
            "medkit_brain_mri.folder:brain_mri_folder",
            "new bitmaps, volumes and DICOM series below a folder, without labels; a series counts once",
        ),
    ]


@hookimpl
def medkit_transforms():
    return [
        Component(
            "load_slice",
            "medkit_brain_mri.reader:LoadSliced",
            "reads bitmaps and slices of volumes into grey (1,H,W) float32 in 0…1",
        ),
        Component(
            "slice_reader",
            "medkit_brain_mri.reader:SliceReader",
            "a MONAI image reader for bitmaps and for slices named as path#plane:index",
        ),
    ]
