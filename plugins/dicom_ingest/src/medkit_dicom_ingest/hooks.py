"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_transforms():
    return [
        Component(
            "dicom_bitmap_reader",
            "medkit_dicom_ingest.reader:DicomBitmapReader",
            "a MONAI image reader: DICOM, PNG, JPEG, TIFF and BMP as displayed grey, with facts about the file",
            "DICOM PS3.3 C.7.6.3, C.11.1, C.11.2",
        ),
        Component(
            "load_image",
            "medkit_dicom_ingest.reader:LoadBitmapd",
            "reads image files into grey (1,H,W) float32 in 0…1, one line for a bad file",
        ),
        Component(
            "intended_use",
            "medkit_dicom_ingest.intended_use:IntendedUsed",
            "sets aside images that the model is not for: lateral, other body part or modality, child, colour",
        ),
    ]


@hookimpl
def medkit_datasets():
    return [
        Component(
            "dicom_folder",
            "medkit_dicom_ingest.folder:dicom_folder",
            "every image file below a folder, in natural order, without labels",
        ),
        Component(
            "ingested",
            "medkit_dicom_ingest.ingested:ingested",
            "what `medkit ingest` has made, without labels; boxes come out in the original images' pixels",
        ),
    ]


@hookimpl
def medkit_commands():
    return [
        Component(
            "ingest",
            "medkit_dicom_ingest.ingest.command:ingest",
            "DICOM files, bitmaps and volumes to PNG images and a de-identified manifest",
        )
    ]
