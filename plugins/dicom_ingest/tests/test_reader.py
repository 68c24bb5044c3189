import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from medkit_dicom_ingest.facts import Source
from medkit_dicom_ingest.reader import DicomBitmapReader, LoadBitmapd, read_picture
from monai.data import MetaTensor
from monai.transforms import CenterSpatialCropd, Flipd, LoadImaged, Resized
from PIL import Image
from pydicom import Dataset
from pydicom.uid import DigitalXRayImageStorageForProcessing

import medkit
from medkit import contracts as c
from medkit.errors import DataError

PIXELS = np.arange(77, dtype=np.uint8).reshape(7, 11) * 3


def item(**tags) -> Dataset:
    dataset = Dataset()
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.mark.filterwarnings("ignore:NvImgCodecPydicomReader")
def test_monais_load_image_with_our_reader_gives_row_major_channel_first(dicom, write):
    path = write(dicom(PIXELS, PhotometricInterpretation="MONOCHROME1"))
    for reader in (DicomBitmapReader, DicomBitmapReader(), medkit.transform("dicom_bitmap_reader")):
        image = LoadImaged(keys="image", reader=reader, ensure_channel_first=True, image_only=True)({"image": path})
        image = image["image"]
        assert tuple(image.shape) == (1, 7, 11)
        assert image.dtype == torch.float32
        np.testing.assert_allclose(image[0].numpy(), 1 - PIXELS / 255, atol=1e-6)


def test_load_image_gives_a_metatensor_in_the_pixel_frame(dicom, write):
    sample = medkit.transform("load_image")({"image": write(dicom(PIXELS)), "label": 1})
    image = sample["image"]
    assert isinstance(image, MetaTensor)
    assert tuple(image.shape) == (1, 7, 11)
    assert image.dtype == torch.float32
    assert torch.equal(image.affine, torch.eye(4, dtype=image.affine.dtype))
    assert list(image.meta["spatial_shape"]) == [7, 11]
    assert set(image.meta[c.SOURCE]) == set(Source.__dataclass_fields__)
    json.dumps(image.meta[c.SOURCE])


def test_a_bright_square_is_followed_through_resize_crop_and_flip(dicom, write):
    pixels = np.zeros((60, 100), np.uint8)
    pixels[10:20, 30:60] = 255
    steps = [
        LoadBitmapd(),
        CenterSpatialCropd("image", (50, 80)),
        Flipd("image", spatial_axis=1),
        Resized("image", (100, 160), mode="nearest"),
    ]
    sample = medkit.SafeCompose(steps, (1, 100, 160), 1, strict=True)({"image": write(dicom(pixels))})
    rows, columns = np.nonzero(sample["image"][0].numpy() > 0.5)
    corners = np.array([[columns.min(), columns.max() + 1], [rows.min(), rows.max() + 1], [1, 1]])
    frame = sample[c.FRAME_AFFINE] @ corners
    assert sorted(frame[0]) == pytest.approx([30, 60])
    assert sorted(frame[1]) == pytest.approx([10, 20])
    assert json.loads(sample[c.SOURCE])["rows"] == 60


def test_a_bad_file_is_one_record_among_good_ones(dicom, write):
    compose = medkit.SafeCompose([LoadBitmapd()], (1, 7, 11), 1)
    good, bad = compose({"image": write(dicom(PIXELS))}), compose({"image": write(b"nothing", "bad.dcm")})
    assert (good[c.STATUS], bad[c.STATUS]) == ("ok", "error")
    assert bad[c.REASON] == "neither DICOM, PNG, JPEG, TIFF, BMP nor a volume: it looks like text"


def test_dicom_is_recognised_by_content_not_by_name(dicom, write, as_bytes, tmp_path):
    content = as_bytes(dicom(PIXELS))
    expected = read_picture(write(content)).pixels
    for name, data in (("scan.png", content), ("scan", content), ("bare.dcm", content[132:])):
        np.testing.assert_array_equal(read_picture(write(data, name)).pixels, expected)
    Image.fromarray(PIXELS).save(tmp_path / "x.png")
    (tmp_path / "x.png").rename(tmp_path / "x.dcm")
    assert read_picture(tmp_path / "x.dcm").source.format == "PNG"


def test_dicom_without_file_meta_is_read(dicom, as_bytes, write):
    content = as_bytes(dicom(PIXELS))
    start = content.index(b"\x08\x00\x16\x00")
    np.testing.assert_allclose(read_picture(write(content[start:])).pixels, PIXELS / 255, atol=1e-6)


def test_facts_hold_no_identifier(dicom, write):
    secret = {
        "PatientName": "Doe^Jane", "PatientID": "ID-4711", "AccessionNumber": "ACC-4711",
        "StudyInstanceUID": "1.2.4711", "PatientBirthDate": "19500309", "StudyDate": "20200308",
        "InstitutionName": "Hospital 4711", "ImageComments": "Jane 4711", "StudyID": "4711",
    }  # fmt: skip
    facts = read_picture(write(dicom(PIXELS, **secret))).source.as_dict()
    text = json.dumps(facts)
    assert not any(part in text for part in ("Jane", "JANE", "4711", "1950", "2020", "1.2.826"))
    assert facts["patient_age_years"] == 69


FACTS = {
    "imager spacing": ({"ImagerPixelSpacing": [0.2, 0.3]}, "spacing_tag", "ImagerPixelSpacing"),
    "pixel spacing first": (
        {"ImagerPixelSpacing": [0.2, 0.3], "PixelSpacing": [0.1, 0.15]}, "spacing_mm", [0.1, 0.15]),
    "spacing of 0": ({"PixelSpacing": [0, 0]}, "spacing_mm", None),
    "age in months": ({"PatientAge": "018M"}, "patient_age_years", 1.0),
    "age in weeks": ({"PatientAge": "010W"}, "patient_age_years", 0.19),
    "old": ({"PatientAge": "097Y"}, "patient_age_years", 90.0),
    "almost 18": ({"PatientBirthDate": "20000302", "StudyDate": "20180301"}, "patient_age_years", 17.0),
    "18 today": ({"PatientBirthDate": "20000301", "StudyDate": "20180301"}, "patient_age_years", 18.0),
    "born after the study": ({"PatientBirthDate": "20300301", "StudyDate": "20180301"}, "patient_age_years", None),
    "no age": ({}, "patient_age_years", None),
    "view": ({"ViewPosition": "PA"}, "view_position", "PA"),
    "view from orientation": ({"PatientOrientation": ["A", "F"]}, "view_position", "LATERAL"),
    "frontal orientation": ({"PatientOrientation": ["L", "F"]}, "view_position", ""),
    "orientation turned": ({"PatientOrientation": ["F", "P"]}, "view_source", "PatientOrientation"),
    "view code": ({"ViewCodeSequence": [item(CodeMeaning="left lateral")]}, "view_position", "LEFT LATERAL"),
    "view code AP": ({"ViewCodeSequence": [item(CodeMeaning="antero-posterior")]}, "view_position", "AP"),
    "anatomic region": ({"AnatomicRegionSequence": [item(CodeMeaning="Chest")]}, "body_part", "CHEST"),
    "laterality": ({"ImageLaterality": "L"}, "laterality", "L"),
    "burned in": ({"BurnedInAnnotation": "YES"}, "burned_in", "YES"),
    "for processing": ({"PresentationIntentType": "FOR PROCESSING"}, "for_processing", True),
    "for processing class": ({"SOPClassUID": DigitalXRayImageStorageForProcessing}, "for_processing", True),
    "for presentation": ({"PresentationIntentType": "FOR PRESENTATION"}, "for_processing", False),
    "synthetic": ({"ImageComments": "SYNTHETIC phantom, not a patient"}, "synthetic", True),
    "not synthetic": ({"ImageComments": "not SYNTHETIC"}, "synthetic", False),
    "private class": ({"SOPClassUID": "1.2.3.4"}, "sop_class", ""),
    "sex": ({"PatientSex": "F"}, "patient_sex", "F"),
    "sex that is not one": ({"PatientSex": "JANE"}, "patient_sex", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", FACTS)
def test_facts_are_read_from_their_tags(dicom, write, name):
    tags, key, value = FACTS[name]
    assert read_picture(write(dicom(PIXELS, **tags))).source.as_dict()[key] == value


def test_code_strings_are_read_in_any_case(dicom, write, as_bytes):
    content = as_bytes(dicom(PIXELS, BodyPartExamined="CHEST")).replace(b"CHEST", b"chest")
    assert read_picture(write(content)).source.body_part == "CHEST"


def test_pydicom_neither_warns_nor_logs_what_a_file_says(dicom, write, as_bytes, caplog):
    content = as_bytes(dicom(PIXELS, PatientBirthDate="19500309")).replace(b"19500309", b"Jane4711")
    read_picture(write(content))
    assert not caplog.records


def test_age_without_a_unit_is_taken_as_years_and_flagged(dicom, write, as_bytes):
    content = as_bytes(dicom(PIXELS, PatientAge="081Y")).replace(b"081Y", b"81  ")
    source = read_picture(write(content)).source
    assert source.patient_age_years == 81
    assert source.warnings == ["PatientAge has no unit: taken as years"]


def test_many_threads_read_the_same_and_leave_the_warning_filters_alone(dicom, write, recwarn):
    import warnings

    path = write(dicom(PIXELS))
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        pictures = list(pool.map(read_picture, [path] * 40))
    assert list(warnings.filters) == before
    assert all(np.array_equal(picture.pixels, pictures[0].pixels) for picture in pictures)


def test_several_files_for_one_image_are_an_error():
    with pytest.raises(DataError, match="2 files given for one image"):
        DicomBitmapReader().read(["a.dcm", "b.dcm"])


def test_real_dicom_has_bright_bones_on_dark_lungs(data_dir):
    chest = read_picture(data_dir / "dicom" / "RG1_J2KI_chest_pa_mono1_15bit.dcm")
    rows, columns = chest.pixels.shape
    spine = chest.pixels[rows // 2 :, int(0.45 * columns) : int(0.55 * columns)].mean()
    lung = chest.pixels[rows // 4 : rows // 2, int(0.2 * columns) : int(0.35 * columns)].mean()
    assert spine > lung + 0.1
    assert chest.source.view_position == "PA"
    assert chest.source.patient_age_years == 64
