"""A mask survives its text, and what a network says on its input comes back to the pixels of the image."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from monai.data import MetaTensor
from monai.transforms import CenterSpatialCropd, Flipd, Resized, Rotate90d, SpatialPadd

import medkit
from medkit.errors import DataError
from medkit.masks import decode, encode, to_frame


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_a_mask_survives_its_text(mask):
    found = decode(encode(mask))
    assert found.dtype == bool
    np.testing.assert_array_equal(found, mask)


def test_runs_begin_outside():
    assert encode(np.array([[0, 1, 1], [1, 0, 0]], bool)) == "2 3 1 3 2"
    assert encode(np.eye(2, dtype=bool)) == "2 2 0 1 2 1"
    assert encode(np.zeros((2, 3), bool)) == "2 3 6"


@pytest.mark.parametrize("text", ["", "4", "2 2 1 2", "2 2 5 -1", "-1 -1 1", "no mask", "2 2 99999999999999999999"])
def test_what_is_no_mask_is_one_line(text):
    with pytest.raises(DataError, match=f'run lengths was asked for, "{text}" was found') as caught:
        decode(text)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match=r"\(1, 2, 2\) was found"):
        encode(np.zeros((1, 2, 2), bool))


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 30), st.integers(1, 30), st.integers(0, 999))
def test_a_resize_is_undone_as_torch_resizes(h, w, rows, columns, seed):
    values = torch.from_numpy(np.random.default_rng(seed).normal(size=(h, w)))
    found = to_frame(values, np.diag([columns / w, rows / h, 1]), torch.tensor([rows, columns]))
    expected = torch.nn.functional.interpolate(values[None, None], size=(rows, columns), mode="bilinear")[0, 0]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


MOVES = {
    "nothing": [],
    "flip": [Flipd("image", 1)],
    "turn": [Rotate90d("image", k=1)],
    "pad": [SpatialPadd("image", (70, 90))],
    "all": [
        Rotate90d("image", k=3),
        SpatialPadd("image", (90, 90)),
        Flipd("image", 0),
        CenterSpatialCropd("image", 80),
    ],
}


def frame(moves, pixels, size):
    """Let SafeCompose move an image (H,W), and return what came out with its frame."""
    picture = MetaTensor(pixels[None], meta={"affine": np.eye(4), "spatial_shape": np.array(pixels.shape)})
    return medkit.SafeCompose(moves, size, classes=1, strict=True)({"image": picture})


@pytest.mark.parametrize("moves", MOVES.values(), ids=MOVES)
def test_flips_turns_and_pads_are_undone_exactly(moves):
    image = torch.from_numpy(np.random.default_rng(0).random((50, 70), np.float32))
    sample = frame(moves, image, (50, 70))
    np.testing.assert_allclose(to_frame(sample["image"][0], sample["frame_affine"], (50, 70)), image, atol=1e-6)


def test_beyond_a_crop_the_edge_is_repeated():
    image = torch.arange(12.0).repeat(10, 1)
    sample = frame([CenterSpatialCropd("image", (10, 6))], image, (10, 6))
    row = to_frame(sample["image"][0], sample["frame_affine"], sample["frame_size"])[4]
    np.testing.assert_allclose(row, [3, 3, 3, 3, 4, 5, 6, 7, 8, 8, 8, 8])


@settings(max_examples=20, deadline=None)
@given(st.integers(20, 60), st.integers(20, 60))
def test_a_resized_disc_comes_back_where_it_was(h, w):
    y, x = np.mgrid[:90, :120]
    disc = (y - 40) ** 2 + (x - 70) ** 2 < 25**2
    moves = [Flipd("image", 0), Resized("image", (h, w), mode="area")]
    sample = frame(moves, torch.from_numpy(disc).float(), (h, w))
    found = to_frame(sample["image"][0], sample["frame_affine"], sample["frame_size"]) > 0.5
    assert (found & disc).sum() / (found | disc).sum() > 0.9


def test_an_image_without_a_frame_is_an_error():
    for affine, size in ((np.full((3, 3), np.nan), (4, 4)), (np.eye(3), (np.nan, np.nan))):
        with pytest.raises(DataError, match="frame was asked for"):
            to_frame(np.zeros((4, 4)), affine, size)
