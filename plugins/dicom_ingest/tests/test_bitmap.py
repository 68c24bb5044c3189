import numpy as np
import pytest
from medkit_dicom_ingest.reader import read_picture
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from medkit.errors import DataError

GREY = np.linspace(0, 255, 7 * 11).astype(np.uint8).reshape(7, 11)


def grey_image(mode: str) -> Image.Image:
    image = Image.fromarray(GREY)
    if mode == "LA" or mode == "RGBA":
        image = image.convert(mode)
        image.putalpha(Image.fromarray(255 - GREY))  # an alpha that would show if it were not dropped
        return image
    return image.convert(mode)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [(m, k) for m in ("L", "LA", "P", "RGB", "RGBA") for k in ("png", "tiff", "bmp") if (m, k) not in {("LA", "bmp")}],
)
def test_grey_in_any_mode_is_the_same_grey(tmp_path, mode, kind):
    path = tmp_path / f"x.{kind}"
    grey_image(mode).save(path)
    picture = read_picture(path)
    assert picture.pixels.shape == (7, 11)
    assert picture.pixels.dtype == np.float32
    np.testing.assert_allclose(picture.pixels, GREY / 255, atol=1e-6)
    assert (picture.source.colour, picture.source.format) == (False, kind.upper())


def test_one_bit_image_is_black_and_white(tmp_path):
    Image.fromarray(GREY > 100).save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "x.png").pixels, GREY > 100)


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_16_bit_grey_keeps_its_16_bits(tmp_path, kind):
    deep = (np.arange(77, dtype=np.uint16) * 850).reshape(7, 11)
    Image.fromarray(deep).save(tmp_path / f"x.{kind}")
    picture = read_picture(tmp_path / f"x.{kind}")
    np.testing.assert_allclose(picture.pixels, deep / 65535, atol=1e-7)
    assert picture.source.bits_stored == 16


def test_16_bit_colour_keeps_its_16_bits(tmp_path):
    import imagecodecs

    deep = np.random.default_rng(0).integers(0, 65536, (7, 11, 3), dtype=np.uint16)
    (tmp_path / "x.png").write_bytes(imagecodecs.png_encode(deep))
    picture = read_picture(tmp_path / "x.png")
    np.testing.assert_allclose(picture.pixels, deep @ [0.299, 0.587, 0.114] / 65535, atol=1e-6)
    assert picture.source.colour


def test_dark_16_bit_image_is_flagged(tmp_path):
    Image.fromarray(GREY.astype(np.uint16) * 16).save(tmp_path / "x.png")
    assert read_picture(tmp_path / "x.png").source.warnings == [
        "the brightest pixel is 4080 of 65535: the image is dark"
    ]


@pytest.mark.parametrize("deep", [False, True])
def test_tiff_whose_zero_is_white_is_inverted_once(tmp_path, deep):
    values = GREY.astype(np.uint16) * 257 if deep else GREY
    Image.fromarray(values).save(tmp_path / "x.tiff", tiffinfo={262: 0})
    with Image.open(tmp_path / "x.tiff") as image:
        assert image.tag_v2[262] == 0
        content = np.asarray(image).astype(float)
    white = 65535 if deep else 255
    expected = 1 - content / white if deep else content / white  # Pillow inverts 8 bits on reading, 16 not
    np.testing.assert_allclose(read_picture(tmp_path / "x.tiff").pixels, expected, atol=1e-6)


def test_colour_is_luminance_and_a_jpegs_chroma_noise_is_not_colour(tmp_path):
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(rgb).save(tmp_path / "colour.png")
    picture = read_picture(tmp_path / "colour.png")
    np.testing.assert_allclose(picture.pixels, rgb @ [0.299, 0.587, 0.114] / 255, atol=1e-6)
    assert picture.source.colour
    noisy = np.clip(rng.integers(0, 256, (40, 60, 1)) + rng.integers(-6, 7, (40, 60, 3)), 0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(tmp_path / "grey.jpg", quality=60)
    assert not read_picture(tmp_path / "grey.jpg").source.colour


def test_a_small_coloured_mark_or_a_tint_leaves_an_image_grey(tmp_path):
    tinted = np.dstack([GREY * 0.9, GREY * 0.95, GREY]).astype(np.uint8).repeat(20, axis=0).repeat(20, axis=1)
    tinted[:10, :10] = (255, 0, 0)
    Image.fromarray(tinted).save(tmp_path / "x.png")
    assert not read_picture(tmp_path / "x.png").source.colour


@pytest.mark.parametrize("key", ["Comment", "Description"])
def test_png_says_that_it_is_synthetic(tmp_path, key):
    info = PngInfo()
    info.add_text(key, "SYNTHETIC image of a phantom")
    Image.fromarray(GREY).save(tmp_path / "x.png", pnginfo=info)
    Image.fromarray(GREY).save(tmp_path / "y.png")
    assert read_picture(tmp_path / "x.png").source.synthetic
    assert not read_picture(tmp_path / "y.png").source.synthetic


def test_pages_and_exif_orientation_are_flagged(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "x.tiff", save_all=True, append_images=[Image.fromarray(255 - GREY)])
    picture = read_picture(tmp_path / "x.tiff")
    np.testing.assert_allclose(picture.pixels, GREY / 255, atol=1e-6)
    assert (picture.source.frames, picture.source.warnings) == (2, ["2 pages: the first is shown"])
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(GREY).save(tmp_path / "x.jpg", exif=exif)
    picture = read_picture(tmp_path / "x.jpg")
    assert picture.pixels.shape == (7, 11)
    assert "Exif orientation 6 is not applied" in picture.source.warnings[0]


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_samples_without_a_white_are_an_error(tmp_path, dtype):
    Image.fromarray(GREY.astype(dtype)).save(tmp_path / "x.tiff")
    with pytest.raises(DataError, match="no defined white"):
        read_picture(tmp_path / "x.tiff")


def test_real_bitmaps_are_grey_chest_images(data_dir):
    for path in sorted((data_dir / "covid_cxr_open").glob("*.jpg")):
        picture = read_picture(path)
        assert not picture.source.colour
        assert 0.1 < picture.pixels.mean() < 0.9
