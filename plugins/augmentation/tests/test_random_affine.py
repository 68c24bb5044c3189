"""An image whose pixels say where they are: bilinear resampling keeps that exact, so it tells where each one landed."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import CacheDataset, MetaTensor
from monai.transforms import Transform

import medkit
from medkit.errors import ConfigError

STILL = {"rotation": 0, "translation": 0, "shear": 0, "zoom": 0, "horizontal_flip": 0}


def places(height, width):
    """Return (2,H,W): each pixel's centre, x and y, in pixel edges."""
    y, x = np.mgrid[:height, :width] + 0.5
    return np.stack([x, y]).astype(np.float32)


def as_read(pixels):
    return MetaTensor(torch.from_numpy(pixels), torch.eye(4), {"spatial_shape": np.array(pixels.shape[1:])})


def moved(pixels, seed=0, **options):
    """Return what SafeCompose makes of a picture."""
    compose = medkit.SafeCompose([medkit.transform("random_affine", keys="image", **options)], (1, 1), 1, strict=True)
    compose.set_random_state(seed=seed)
    return compose({"image": as_read(pixels)})


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(12, 40), st.integers(12, 40)),
    rotation=st.floats(0, 180),
    translation=st.floats(0, 0.3),
    shear=st.floats(0, 0.5),
    zoom=st.floats(0, 0.5),
    flips=st.tuples(st.sampled_from([0, 1]), st.sampled_from([0, 1])),
    probability=st.sampled_from([0, 1]),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_pixel_lands_where_the_frame_says(size, rotation, translation, shear, zoom, flips, probability, seed):
    sample = moved(
        places(*size),
        seed,
        rotation=rotation,
        translation=translation,
        shear=shear,
        zoom=zoom,
        horizontal_flip=flips[0],
        vertical_flip=flips[1],
        probability=probability,
    )
    x, y = sample["image"].numpy()
    centres = places(*size).reshape(2, -1)
    expected = (sample["frame_affine"] @ np.vstack([centres, np.ones(centres.shape[1])]))[:2]
    (height, width), (ex, ey) = size, expected
    inside = (ex > 0.5) & (ex < width - 0.5) & (ey > 0.5) & (ey < height - 0.5)  # beyond, the edge is repeated
    np.testing.assert_allclose(x.ravel()[inside], ex[inside], atol=2e-3)
    np.testing.assert_allclose(y.ravel()[inside], ey[inside], atol=2e-3)


def test_a_bright_box_is_found_where_its_corners_go():
    image = np.zeros((1, 96, 128), np.float32)
    image[:, 30:60, 50:90] = 1
    for seed in range(20):
        sample = moved(image, seed)
        rows, columns = np.nonzero(sample["image"][0].numpy() > 0.5)
        corners = np.array([(x, y, 1) for x in (50, 90) for y in (30, 60)])
        x, y = (corners @ np.linalg.inv(sample["frame_affine"]).T)[:, :2].T
        found = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        np.testing.assert_allclose(found, (x.min(), y.min(), x.max(), y.max()), atol=1.5)


def parts(sample, height, width):
    """Return degrees, shear, zooms and shifts (parts of the side) by a QR decomposition of the movement."""
    to_centre = np.array([[1, 0, width / 2], [0, 1, height / 2], [0, 0, 1.0]])
    swap = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1.0]])
    movement = swap @ np.linalg.inv(to_centre) @ sample["frame_affine"] @ to_centre @ swap  # (row, column) from centre
    q, r = np.linalg.qr(movement[:2, :2])
    signs = np.diag(np.sign(np.diag(r)))
    q, r = q @ signs, signs @ r
    shear = r[0, 1] / r[1, 1]
    shift = np.linalg.solve(q @ [[1, shear], [0, 1]], movement[:2, 2]) / (height, width)
    return math.degrees(math.atan2(q[1, 0], q[0, 0])), shear, *(np.diag(r) - 1), *shift


def test_the_ranges_of_the_report_are_kept_and_used_to_their_ends():
    height, width = 20, 30
    image = np.zeros((1, height, width), np.float32)
    transform = medkit.transform("random_affine", keys="image", horizontal_flip=0)
    compose = medkit.SafeCompose([transform], (1, 1), 1, strict=True)
    compose.set_random_state(seed=0)
    drawn = np.array([parts(compose({"image": as_read(image)}), height, width) for _ in range(200)])
    ranges = np.array([10, 0.04, 0.04, 0.04, 0.05, 0.05])
    assert (np.abs(drawn) <= ranges * 1.0001).all()
    assert (drawn.max(axis=0) > 0.9 * ranges).all()
    assert (drawn.min(axis=0) < -0.9 * ranges).all()
    assert (np.abs(np.corrcoef(drawn.T) - np.eye(6)) < 0.25).all()  # each drawn on its own


def test_by_default_half_of_the_images_are_mirrored_and_none_is_upside_down():
    compose = medkit.SafeCompose([medkit.transform("random_affine", keys="image")], (1, 1), 1, strict=True)
    compose.set_random_state(seed=1)
    frames = [compose({"image": as_read(places(8, 8))})["frame_affine"] for _ in range(200)]
    mirrored = np.mean([frame[0, 0] < 0 for frame in frames])
    assert 0.4 < mirrored < 0.6
    assert all(frame[1, 1] > 0 for frame in frames)


def test_nothing_asked_for_changes_nothing():
    image = np.random.default_rng(0).random((1, 9, 14), np.float32)
    np.testing.assert_allclose(moved(image, **STILL)["image"], image, atol=1e-5)
    np.testing.assert_array_equal(moved(image, probability=0, horizontal_flip=0)["image"], image)
    np.testing.assert_array_equal(moved(image, probability=0, horizontal_flip=1)["image"], image[:, :, ::-1])


def test_a_mask_moves_with_its_image_and_stays_binary():
    image = np.zeros((1, 40, 40), np.float32)
    image[:, 10:30, 5:25] = 1
    transform = medkit.transform("random_affine", keys=["image", "mask"], mode=["bilinear", "nearest"])
    transform.set_random_state(seed=3)
    sample = transform({"image": as_read(image), "mask": as_read(image)})
    assert set(np.unique(sample["mask"])) == {0, 1}
    assert abs(sample["mask"] - sample["image"]).max() <= 0.76  # three of a corner pixel's four neighbours


class Counted(Transform):
    calls = 0

    def __call__(self, sample):
        Counted.calls += 1
        return {**sample, "image": as_read(places(10, 10))}


def test_only_what_is_before_it_is_cached_and_an_epoch_is_drawn_from_its_seed_alone():
    compose = medkit.SafeCompose([Counted(), medkit.transform("random_affine", keys="image")], (10, 10), 1)
    dataset = CacheDataset([{"image": "a.png"}, {"image": "b.png"}], compose, progress=False, num_workers=1)
    before = Counted.calls

    def epoch(number):
        engine = type("Engine", (), {"state": type("State", (), {"epoch": number})})()
        medkit.EpochSeed(seed=7, dataset=dataset).reseed(engine)
        return torch.stack([dataset[n]["image"] for n in range(2)])

    first, second = epoch(1), epoch(2)
    assert torch.equal(epoch(1), first)
    assert not torch.equal(first, second)
    assert not torch.equal(first[0], first[1])
    assert Counted.calls == before


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("rotation", -1, "rotation is -1: give 0 to 180"),
        ("translation", 5, "translation is 5"),
        ("zoom", 1, "zoom is 1: give 0 to 0.9"),
        ("horizontal_flip", 2, "horizontal_flip is 2"),
        ("mode", "bilinar", 'Did you mean "bilinear"'),
        ("padding_mode", "zero", 'Did you mean "zeros"'),
    ],
)
def test_bad_options(option, value, says):
    with pytest.raises(ConfigError, match=says):
        medkit.transform("random_affine", keys="image", **{option: value})
