"""Centre crops against numpy's slices, and pixels that say where they are."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor

import medkit
from medkit.errors import ConfigError


def places(height, width):
    y, x = np.mgrid[:height, :width] + 0.5
    return np.stack([x, y]).astype(np.float32)


def cropped(pixels, strict=True, **options):
    compose = medkit.SafeCompose([medkit.transform("centre_crop", keys="image", **options)], (1, 1), 1, strict=strict)
    image = MetaTensor(torch.from_numpy(pixels), torch.eye(4), {"spatial_shape": np.array(pixels.shape[1:])})
    return compose({"image": image})


@pytest.mark.parametrize("size", [(600, 800), (300, 400), (100, 134)])
@pytest.mark.parametrize("side", [1024, 256])
def test_the_three_sizes_of_the_report(size, side):
    pixels = np.random.default_rng(0).random((1, side, side), np.float32)
    rows, columns = (round(n * side / 1024) for n in size)
    top, left = (side - rows) // 2, (side - columns) // 2
    cut = cropped(pixels, spatial_size=size, of=1024)["image"].numpy()
    expected = [pixels[:, t : t + rows, le : le + columns] for t in (top, top + 1) for le in (left, left + 1)]
    assert any(np.array_equal(cut, e) for e in expected)  # what cannot be halved may lie to either side
    shrunk = cropped(pixels, spatial_size=size, mode="shrink", of=1024)["image"].numpy()
    assert shrunk.shape == cut.shape == (1, rows, columns)
    central = pixels[0, round(side / 8) : round(side * 7 / 8)]  # 3:4, full width
    assert abs(shrunk.mean() - central.mean()) < 0.01


def test_shrinking_by_a_whole_number_is_the_mean_of_blocks():
    pixels = np.random.default_rng(0).random((1, 40, 80), np.float32)
    shrunk = cropped(pixels, spatial_size=(12, 16), mode="shrink")["image"].numpy()
    region = cropped(pixels, spatial_size=(12, 16), mode="shrink")
    np.testing.assert_allclose(region["frame_affine"][:2, :2], np.diag([53 / 16, 40 / 12]), rtol=1e-6)
    assert shrunk.shape == (1, 12, 16)
    pixels = np.random.default_rng(0).random((1, 64, 64), np.float32)
    shrunk = cropped(pixels, spatial_size=(12, 16), mode="shrink")["image"].numpy()
    blocks = pixels[0, 8:56].reshape(12, 4, 16, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(shrunk[0], blocks, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(6, 60), st.integers(6, 60)),
    part=st.tuples(st.floats(0.1, 1), st.floats(0.1, 1)),
    mode=st.sampled_from(["crop", "shrink"]),
    of=st.sampled_from([None, 64]),
)
def test_every_pixel_lands_where_the_frame_says(size, part, mode, of):
    reference = (of, of) if of else size
    wanted = [max(1, round(n * p)) for n, p in zip(reference, part)]
    sample = cropped(places(*size), spatial_size=wanted, mode=mode, of=of)
    x, y = sample["image"].numpy()
    centres = places(*x.shape).reshape(2, -1)
    expected = (sample["frame_affine"] @ np.vstack([centres, np.ones(centres.shape[1])]))[:2]
    within = 1e-3 if mode == "crop" else 0.51  # blocks of the area mean begin and end at whole pixels
    np.testing.assert_allclose(x.ravel(), expected[0], atol=within)
    np.testing.assert_allclose(y.ravel(), expected[1], atol=within)


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(20, 90), st.integers(20, 90)), wanted=st.tuples(st.integers(1, 20), st.integers(1, 20))
)
def test_shrink_keeps_the_shape_and_as_much_as_it_can(size, wanted):
    frame = cropped(places(*size), spatial_size=wanted, mode="shrink")["frame_affine"]
    rows, columns = frame[1, 1] * wanted[0], frame[0, 0] * wanted[1]
    largest = min(size[0] / wanted[0], size[1] / wanted[1])
    assert rows == pytest.approx(wanted[0] * largest, abs=0.501)
    assert columns == pytest.approx(wanted[1] * largest, abs=0.501)


@pytest.mark.parametrize("mode", ["crop", "shrink"])
def test_a_smaller_image_is_one_line_and_not_enlarged(mode):
    sample = cropped(places(256, 256), strict=False, spatial_size=(600, 800), mode=mode)
    assert sample["status"] == "error"
    assert sample["reason"].startswith("the centre crop of 600×800 pixels is larger than the image, 256×256: give")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"spatial_size": [600]}, r"spatial_size is \[600\]: give rows and columns"),
        ({"spatial_size": [600, 0]}, "1 or more"),
        ({"spatial_size": [600, 2048], "of": 1024}, "at most 1024"),
        ({"spatial_size": [6, 8], "mode": "cut"}, 'mode "cut" is unknown. Choices: crop, shrink'),
    ],
)
def test_bad_options(options, says):
    with pytest.raises(ConfigError, match=says):
        medkit.transform("centre_crop", keys="image", **options)
