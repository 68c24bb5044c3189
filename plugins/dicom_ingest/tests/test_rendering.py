import json

import numpy as np
import pytest
from medkit_dicom_ingest.dicom.rendering import render
from medkit_dicom_ingest.failure import ImageError
from medkit_dicom_ingest.reader import read_picture
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRBigEndian

from .cases import by_rule

RAMP = np.linspace(0, 4095, 96, dtype=np.uint16).reshape(8, 12)
CURVE = [int(255 * (i / 4095) ** 0.5) for i in range(4096)]
CASES = {cases[0].name: cases[0] for _, cases in by_rule()}


@pytest.mark.parametrize("name", CASES)
def test_a_file_gives_the_same_as_the_data_set_in_memory(write, name):
    dataset = CASES[name].dataset
    picture = read_picture(write(dataset))
    np.testing.assert_array_equal(picture.pixels, render(dataset).pixels)
    json.dumps(picture.source.as_dict())


@pytest.mark.parametrize(("shape", "dark"), [(None, True), ("INVERSE", True), ("IDENTITY", False)])
def test_monochrome1_is_inverted_once(dicom, shape, dark):
    stored = np.array([[0, 128, 255]], np.uint8).repeat(2, axis=0)
    tags = {} if shape is None else {"PresentationLUTShape": shape}
    pixels = render(dicom(stored, PhotometricInterpretation="MONOCHROME1", **tags)).pixels
    np.testing.assert_allclose(pixels, 1 - stored / 255 if dark else stored / 255, atol=1e-6)


def test_bits_above_bits_stored_are_masked_in_native_data(dicom):
    stored = np.array([[5, 4095, 7], [0, 1, 2]], np.uint16)
    dataset = dicom(stored, BitsStored=12)
    dataset.PixelData = (stored | 0xF000).astype("<u2").tobytes()
    np.testing.assert_allclose(render(dataset).pixels, stored / 4095, atol=1e-6)


def test_big_endian_words_and_bytes_in_words_come_out_right(dicom, write):
    stored = np.arange(35, dtype=np.uint16).reshape(5, 7) * 100
    big = read_picture(write(dicom(stored, syntax=ExplicitVRBigEndian))).pixels
    np.testing.assert_array_equal(big, render(dicom(stored)).pixels)
    odd = read_picture(get_testdata_file("SC_rgb_small_odd_big_endian.dcm")).pixels
    np.testing.assert_array_equal(odd, read_picture(get_testdata_file("SC_rgb_small_odd.dcm")).pixels)


@pytest.mark.parametrize("planar", [0, 1])
def test_colour_becomes_luminance_and_says_so(dicom, planar):
    rgb = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    dataset = dicom(rgb, PlanarConfiguration=planar)
    if planar:
        dataset.PixelData = rgb.transpose(2, 0, 1).tobytes()
    rendered = render(dataset)
    np.testing.assert_allclose(rendered.pixels, rgb @ [0.299, 0.587, 0.114] / 255, atol=1e-6)
    assert rendered.colour


def test_rgb_with_equal_channels_is_grey(dicom):
    grey = np.arange(24, dtype=np.uint8).reshape(4, 6)
    rendered = render(dicom(np.dstack([grey] * 3)))
    np.testing.assert_allclose(rendered.pixels, grey / 255, atol=1e-7)
    assert not rendered.colour


def test_ybr_full_luminance_is_y_where_the_colour_is_in_range(dicom):
    ybr = np.random.default_rng(0).integers(100, 140, (4, 6, 3), dtype=np.uint8)
    rendered = render(dicom(ybr, PhotometricInterpretation="YBR_FULL"))
    np.testing.assert_allclose(rendered.pixels, ybr[..., 0] / 255, atol=1e-3)


def test_palette_with_16_bit_entries(dicom):
    stored = np.arange(12, dtype=np.uint8).reshape(3, 4)
    tags = {"PhotometricInterpretation": "PALETTE COLOR"}
    entries = {"Red": 60000, "Green": 30000, "Blue": 0}
    for channel, top in entries.items():
        tags[f"{channel}PaletteColorLookupTableDescriptor"] = [12, 0, 16]
        values = np.linspace(0, top, 12).astype("<u2")
        values[0] = 65535
        tags[f"{channel}PaletteColorLookupTableData"] = values.tobytes()
    rendered = render(dicom(stored, **tags))
    assert rendered.colour
    assert rendered.pixels[0, 0] == 1
    assert rendered.pixels[2, 3] == pytest.approx((0.299 * 60000 + 0.587 * 30000) / 65535, abs=1e-5)


def test_only_the_first_frame_is_shown_and_it_says_so(dicom):
    first = np.arange(15, dtype=np.uint8).reshape(3, 5)
    dataset = dicom(first, NumberOfFrames=2)
    dataset.PixelData = first.tobytes() + bytes(15)
    rendered = render(dataset)
    np.testing.assert_allclose(rendered.pixels, first / 255, atol=1e-7)
    assert rendered.warnings == ["2 frames: the first is shown"]


BAD_CONTRAST = {
    "width 0": {"WindowCenter": "100", "WindowWidth": "0"},
    "width negative": {"WindowCenter": "100", "WindowWidth": "-5"},
    "width beyond everything": {"WindowCenter": "100", "WindowWidth": "1e308"},
    "centre beyond everything": {"WindowCenter": "1e308", "WindowWidth": "10"},
    "window above all values": {"WindowCenter": "90000", "WindowWidth": "10"},
    "no width": {"WindowCenter": "100"},
    "slope 0": {"RescaleSlope": "0", "RescaleIntercept": "1"},
    "slope overflows": {"RescaleSlope": "1e308", "RescaleIntercept": "1"},
}


@pytest.mark.parametrize("name", BAD_CONTRAST)
def test_unusable_contrast_falls_back_to_the_full_range_and_is_flagged(dicom, name):
    rendered = render(dicom(RAMP, BitsStored=12, **BAD_CONTRAST[name]))
    np.testing.assert_allclose(rendered.pixels, RAMP / 4095, atol=1e-6)
    assert rendered.window == "full range"
    assert "not usable" in rendered.warnings[0]


@pytest.mark.parametrize("value", [b"abc ", b"nan ", b"inf ", b"1e999 "])
@pytest.mark.parametrize("keyword", ["WindowWidth", "WindowCenter", "RescaleSlope"])
def test_text_in_place_of_a_number_is_flagged(dicom, write, as_bytes, keyword, value):
    dataset = dicom(RAMP, BitsStored=12, WindowCenter="2000", WindowWidth="4000", RescaleSlope="1")
    dataset[keyword].value = "1234.5"
    content = as_bytes(dataset).replace(b"1234.5", value.ljust(6))
    picture = read_picture(write(content))
    np.testing.assert_allclose(picture.pixels, RAMP / 4095, atol=1e-6)
    assert "not usable" in picture.source.warnings[0]


@pytest.mark.parametrize("bits", [3, 60000])
def test_voi_table_of_impossible_depth_gives_way_to_the_window(dicom, lut, bits):
    rendered = render(dicom(RAMP, BitsStored=12, VOILUTSequence=[lut(CURVE, 0, bits)], WindowCenter=9, WindowWidth=9))
    assert rendered.window == "window 9/9 LINEAR"
    assert f"says {bits} bits an entry" in rendered.warnings[0]


def test_short_voi_table_gives_way_to_the_full_range(dicom, lut):
    item = lut(CURVE[:100], 0, 8)
    item["LUTDescriptor"].value = [4096, 0, 8]
    rendered = render(dicom(RAMP, BitsStored=12, VOILUTSequence=[item]))
    assert rendered.window == "full range"
    assert "LUTData (0028,3006) has" in rendered.warnings[0]


def test_j2k_whose_sign_differs_from_the_header_is_reinterpreted():
    rendered = render(dcmread(get_testdata_file("J2K_pixelrep_mismatch.dcm")))
    assert rendered.window == "window 40/100 LINEAR"
    assert 0.1 < (rendered.pixels == 0).mean() < 0.9


def test_segmented_palette_that_is_shorter_than_its_descriptor_is_an_error(dicom):
    dataset = dicom(np.full((4, 4), 9, np.uint8), PhotometricInterpretation="PALETTE COLOR")
    segments = np.array([0, 5, 10, 20, 30, 40, 50], "<u2").tobytes()  # five entries, not the ten that are claimed
    for channel in ("Red", "Green", "Blue"):
        dataset.add_new(f"{channel}PaletteColorLookupTableDescriptor", "US", [10, 0, 16])
        dataset.add_new(f"Segmented{channel}PaletteColorLookupTableData", "OW", segments)
    with pytest.raises(ImageError, match=r"SegmentedRedPaletteColorLookupTableData .* cannot be expanded"):
        render(dataset)
