"""What `load_channels` reads, beside Pillow; and bad files, from the folder to problems.csv."""

import json

import cv2
import numpy as np
import pytest
import torch
from ignite.engine import Engine
from medkit_protein_atlas.dataset import protein_atlas
from medkit_protein_atlas.load import LoadChannelsd
from monai.data import MetaTensor
from monai.transforms import Resized
from PIL import Image, PngImagePlugin, TiffImagePlugin
from torch.utils.data import DataLoader

import medkit
from medkit.errors import ConfigError, DataError
from medkit.tables import read_csv

COLOURS = ("red", "green", "blue", "yellow")
CODED = {"red": [0], "green": [1], "blue": [2], "yellow": [0, 1]}
SHAPE = (24, 36)


def shades(n=0, bits=8):
    """Return four smooth channels, as JPEG keeps them."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    waves = [0.5 + 0.5 * np.sin(0.1 * (k + 1) * x + 0.2 * y + n) for k in range(4)]
    return (np.array(waves) * ((1 << bits) - 1)).round().astype(np.uint8 if bits == 8 else np.uint16)


def coded(grey, colour):
    rgb = np.zeros((*grey.shape, 3), grey.dtype)
    rgb[..., CODED[colour]] = grey[..., None]
    return rgb


def put(folder, name, channels, suffix=".png", **options):
    for colour, pixels in zip(COLOURS, channels):
        Image.fromarray(pixels).save(folder / f"{name}_{colour}{suffix}", **options)
    return {"image": str(folder / f"{name}_green{suffix}")}


def by_pillow(folder, name, suffix=".png", white=255):
    """Return (4,H,W), opened one after the other; of coloured files the channels by the colour's name."""
    out = []
    for colour in COLOURS:
        with Image.open(folder / f"{name}_{colour}{suffix}") as image:
            pixels = np.asarray(image, np.float32) / white
        out.append(pixels if pixels.ndim == 2 else pixels[..., CODED[colour]].max(axis=2))
    return np.stack(out)


EXACT, JPEG = (".png", ".tif", ".tiff"), (".jpg", ".jpeg")
KINDS = [*((kind, suffix) for kind in ("grey", "coded", "repeated") for suffix in EXACT + JPEG)]


@pytest.mark.parametrize(("kind", "suffix"), [*KINDS, *(("alpha", suffix) for suffix in EXACT)])
def test_every_format_and_mode_is_what_pillow_reads(tmp_path, kind, suffix):
    channels = list(shades())
    if kind == "repeated":
        channels = [np.repeat(grey[..., None], 3, axis=2) for grey in channels]
    elif kind != "grey":
        channels = [coded(grey, colour) for grey, colour in zip(channels, COLOURS)]
    if kind == "alpha":
        channels = [np.dstack([rgb, np.full(SHAPE, 255, np.uint8)]) for rgb in channels]
    image = LoadChannelsd()(put(tmp_path, "a", channels, suffix))["image"]
    assert isinstance(image, MetaTensor)
    assert image.dtype == torch.float32
    assert float(image.max()) <= 1
    np.testing.assert_allclose(image, by_pillow(tmp_path, "a", suffix), atol=1e-7 if suffix in EXACT else 3 / 255)
    if suffix in EXACT:
        np.testing.assert_allclose(image, shades() / 255, atol=1e-7)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_are_scaled_by_their_depth_also_beside_eight(tmp_path, suffix):
    deep = shades(bits=16)
    sample = put(tmp_path, "a", deep, suffix)
    image = LoadChannelsd()(sample)["image"]
    np.testing.assert_allclose(image, by_pillow(tmp_path, "a", suffix, white=65535), atol=1e-7)
    assert image.meta["source"]["bits_stored"] == 16
    Image.fromarray(shades()[0]).save(tmp_path / f"a_red{suffix}")
    cv2.imwrite(str(tmp_path / f"a_yellow{suffix}"), coded(deep[3], "yellow")[..., ::-1])
    mixed = LoadChannelsd()(sample)["image"]
    np.testing.assert_allclose(mixed[[0, 3]], [shades()[0] / 255, deep[3] / 65535], atol=1e-7)


@pytest.mark.parametrize("coded_in", [[0], [1], [0, 1]])
def test_yellow_may_be_in_red_in_green_or_in_both(tmp_path, coded_in):
    sample = put(tmp_path, "a", shades())
    rgb = np.zeros((*SHAPE, 3), np.uint8)
    rgb[..., coded_in] = shades()[3][..., None]
    Image.fromarray(rgb).save(tmp_path / "a_yellow.png")
    np.testing.assert_allclose(LoadChannelsd()(sample)["image"][3], shades()[3] / 255, atol=1e-7)


def test_a_coloured_jpeg_that_is_nearly_black_is_no_other_colour(tmp_path):
    dark = np.random.default_rng(0).integers(0, 3, (4, *SHAPE), np.uint8)
    sample = put(tmp_path, "a", [coded(grey, colour) for grey, colour in zip(dark, COLOURS)], ".jpg")
    assert float(LoadChannelsd()(sample)["image"].max()) < 6 / 255


def test_half_of_yellow_goes_to_red_and_to_green_and_stops_at_white(tmp_path):
    sample = put(tmp_path, "a", shades())
    red, green, blue, yellow = by_pillow(tmp_path, "a")
    image = LoadChannelsd(yellow="half")(sample)["image"]
    expected = np.clip([red + yellow / 2, green + yellow / 2, blue], 0, 1)
    np.testing.assert_allclose(image, expected, atol=1e-6)
    assert (red + yellow / 2 > 1.1).any()
    assert image.meta["source"]["channels"] == ["red+yellow/2", "green+yellow/2", "blue"]


def test_some_colours_in_any_order_from_the_path_of_any(tmp_path):
    put(tmp_path, "a_green_b", shades())
    (tmp_path / "a_green_b_yellow.png").unlink()
    image = medkit.transform("load_channels", colours=["blue", "red"])({"image": str(tmp_path / "a_green_b_red.png")})
    np.testing.assert_allclose(image["image"], shades()[[2, 0]] / 255, atol=1e-7)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_a_file_that_says_it_is_synthetic_makes_the_sample_so(tmp_path, suffix):
    plain = put(tmp_path, "plain", shades(), suffix)
    text, tags = PngImagePlugin.PngInfo(), TiffImagePlugin.ImageFileDirectory_v2()
    text.add_text("Comment", "SYNTHETIC phantom")
    tags[270] = "SYNTHETIC phantom"
    marks = {".png": {"pnginfo": text}, ".jpg": {"comment": "SYNTHETIC phantom"}, ".tif": {"tiffinfo": tags}}
    marked = put(tmp_path, "marked", shades(), suffix, **marks[suffix])
    load = medkit.SafeCompose([LoadChannelsd()], SHAPE, classes=28, channels=4)
    assert [load(sample)["synthetic"] for sample in (plain, marked)] == [False, True]


def test_the_frame_is_the_files_through_a_resize(tmp_path):
    steps = [LoadChannelsd(), Resized("image", (12, 12))]
    sample = medkit.SafeCompose(steps, (12, 12), classes=28, channels=4)(put(tmp_path, "a", shades()))
    assert sample["status"] == "ok"
    assert sample["image"].shape == (4, 12, 12)
    np.testing.assert_array_equal(sample["frame_size"], SHAPE)
    np.testing.assert_allclose(sample["frame_affine"] @ [12, 12, 1], [SHAPE[1], SHAPE[0], 1], atol=1e-9)
    facts = json.loads(sample["source"])
    assert (facts["rows"], facts["columns"], facts["channels"]) == (*SHAPE, list(COLOURS))


def spoil(folder, name, how):
    file = folder / f"{name}_blue.png"
    if how == "missing":
        file.unlink()
    elif how == "size":
        Image.fromarray(shades()[2][:, :-1]).save(file)
    elif how == "truncated":
        file.write_bytes(file.read_bytes()[:-200])
    elif how == "empty":
        file.write_bytes(b"")
    elif how == "text":
        file.write_text("no image")
    elif how == "other colour":
        Image.fromarray(coded(shades()[0], "red")).save(file)
    elif how == "32 bits":
        Image.fromarray(shades()[2].astype(np.float32)).save(file, format="TIFF")


REASONS = {
    "missing": "b_blue.png is missing: an image is one file a colour, beside each other",
    "size": "b_red.png is 24×36 and b_blue.png is 24×35 (rows×columns): the files of one image must have one size",
    "truncated": "b_blue.png is no image that can be read: truncated, corrupt or of another format",
    "empty": "b_blue.png is no image that can be read: truncated, corrupt or of another format",
    "text": "b_blue.png is no image that can be read: truncated, corrupt or of another format",
    "other colour": "b_blue.png is brightest in red: a grey file or one in blue is expected",
    "32 bits": "b_blue.png has float32 samples, which have no white: save it with 8 or 16 bits",
}


@pytest.mark.parametrize("how", REASONS)
def test_a_bad_file_is_a_line_of_problems_csv_and_the_others_go_on(tmp_path, how):
    (tmp_path / "train.csv").write_text("Id,Target\na,1\nb,2 3\nc,4\n")
    for n, name in enumerate("abc"):
        put(tmp_path, name, shades(n))
    spoil(tmp_path, "b", how)
    load = medkit.SafeCompose([LoadChannelsd()], SHAPE, classes=28, channels=4)
    samples = [load(sample) for sample in protein_atlas(str(tmp_path), "all")]
    engine = Engine(lambda engine, batch: batch)
    medkit.Problems(str(tmp_path / "problems.csv"), "train").attach(engine)
    engine.run([samples])
    (row,) = read_csv(tmp_path / "problems.csv")
    assert row["file"] == str((tmp_path / "b_green.png").resolve())
    assert row["reason"] == REASONS[how]
    assert [sample["image"].shape for sample in samples] == [(4, *SHAPE)] * 3
    np.testing.assert_allclose(samples[2]["image"], shades(2) / 255, atol=1e-7)


def test_workers_that_are_forked_after_reading_read_as_well(tmp_path):
    load = medkit.SafeCompose([LoadChannelsd()], SHAPE, classes=28, channels=4)
    samples = [put(tmp_path, str(n), shades(n)) for n in range(4)]
    here = [load(sample)["image"] for sample in samples]

    class Loaded(list):
        def __getitem__(self, n):
            return load(super().__getitem__(n))

    batches = list(DataLoader(Loaded(samples), batch_size=2, num_workers=2, multiprocessing_context="fork"))
    assert torch.equal(torch.cat([batch["image"] for batch in batches]), torch.stack(here))


def test_a_name_without_a_colour(tmp_path):
    with pytest.raises(DataError, match=r"a\.png has no colour in its name"):
        LoadChannelsd()({"image": str(tmp_path / "a.png")})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"colours": ["red", "gren"]}, 'colour "gren" is unknown. Did you mean "green"'),
        ({"colours": ["red", "red"]}, "list of different names"),
        ({"colours": "red"}, "list of different names"),
        ({"yellow": "whole"}, 'yellow "whole" is unknown'),
        ({"yellow": "half", "colours": ["red", "green", "yellow"]}, "half needs colours red, green, blue, yellow"),
    ],
)
def test_options_that_are_wrong(options, message):
    with pytest.raises(ConfigError, match=message):
        LoadChannelsd(**options)
