from functools import partial

import imagecodecs
import numpy as np
import pytest
from medkit_dicom_ingest.dicom.codestream import read_jpegxl
from medkit_dicom_ingest.dicom.rendering import render
from medkit_dicom_ingest.reader import read_picture
from pydicom import dcmread, uid
from pydicom.data import get_testdata_file

from medkit.errors import DataError

from .cases_codecs import LOSSLESS

SMOOTH = (2000 + 1500 * np.sin(np.arange(37) / 9)[:, None] * np.cos(np.arange(52) / 7)).astype(np.uint16)
ENCODERS = {name: (syntax, partial(encode, bits=12)) for name, (syntax, encode) in LOSSLESS.items()}


def test_overshoot_of_a_lossy_codec_is_clipped_not_masked(dicom):
    decoded = np.full((16, 24), 4200, np.uint16)  # lossy rounding above 12 bits
    frame = imagecodecs.jpeg2k_encode(decoded, reversible=True, codecformat="j2k", bitspersample=16)
    dataset = dicom(decoded, BitsStored=12, frame=frame, syntax=uid.JPEG2000)
    assert (render(dataset).pixels == 1).all()


def test_jpeg_baseline_follows_its_own_colour_marks_before_the_header(dicom):
    smooth = np.dstack([np.full((16, 24), v, np.uint8) for v in (200, 60, 30)])
    frame = imagecodecs.jpeg8_encode(smooth, level=100, colorspace="RGB", outcolorspace="YCBCR")
    for photometric in ("YBR_FULL_422", "RGB"):
        dataset = dicom(smooth, PhotometricInterpretation=photometric, frame=frame, syntax=uid.JPEGBaseline8Bit)
        assert render(dataset).pixels == pytest.approx((0.299 * 200 + 0.587 * 60 + 0.114 * 30) / 255, abs=0.01)


@pytest.mark.parametrize("shape", [(1, 1), (8, 16), (37, 52), (600, 900), (40, 10000)])
@pytest.mark.parametrize("boxes", [False, True])
def test_jpegxl_size_is_read_without_decoding(shape, boxes):
    encoded = imagecodecs.jpegxl_encode(np.zeros(shape, np.uint8), lossless=True, effort=1, usecontainer=boxes)
    found = read_jpegxl(encoded)
    assert (found.rows, found.columns) == shape


@pytest.mark.parametrize("codec", [name for name in ENCODERS if name != "RLE"])
def test_codestream_of_another_size_than_the_header_is_an_error(dicom, codec):
    syntax, encode = ENCODERS[codec]
    dataset = dicom(SMOOTH, BitsStored=12, frame=encode(SMOOTH[:32, :40].copy()), syntax=syntax)
    with pytest.raises(DataError, match=r"the compressed image is 32 rows × 40 columns .* header says 37 rows × 52"):
        render(dataset)


@pytest.mark.parametrize("codec", ENCODERS)
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9])
def test_truncated_codestream_is_an_error(dicom, codec, share):
    syntax, encode = ENCODERS[codec]
    frame = encode(SMOOTH)
    frame = frame[: max(2, int(len(frame) * share))]
    with pytest.raises(DataError, match=r"PixelData|RLE|compressed"):
        render(dicom(SMOOTH, BitsStored=12, frame=frame, syntax=syntax))


def test_jpeg_baseline_without_its_end_is_an_error(dicom):
    grey = (SMOOTH >> 4).astype(np.uint8)
    frame = imagecodecs.jpeg8_encode(grey)[:-40]
    with pytest.raises(DataError, match="no end marker: truncated"):
        render(dicom(grey, frame=frame, syntax=uid.JPEGBaseline8Bit))


def test_12_bit_jpeg_is_read():
    picture = read_picture(get_testdata_file("JPGExtended.dcm"))
    assert picture.pixels.shape == (1024, 256)
    assert picture.pixels.max() == pytest.approx(264 / 4095)


def test_deflated_file_is_read():
    assert read_picture(get_testdata_file("image_dfl.dcm")).pixels.shape == (512, 512)


@pytest.mark.parametrize(
    ("encoded", "plain"), [("MR_small_jp2klossless.dcm", "MR_small.dcm"), ("MR_small_RLE.dcm", "MR_small.dcm")]
)
def test_real_lossless_files_equal_their_raw_twin(encoded, plain):
    pictures = [render(dcmread(get_testdata_file(name))).pixels for name in (encoded, plain)]
    np.testing.assert_array_equal(*pictures)


def test_unknown_transfer_syntax_is_named(dicom):
    dataset = dicom(SMOOTH, frame=b"\0" * 64, syntax=uid.MPEG2MPML)
    with pytest.raises(DataError, match="transfer syntax MPEG2 Main Profile"):
        render(dataset)
