"""Mask files of any kind end up as 0 and 1 on the image's pixels."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from medkit_breast_ultrasound.dataset import breast_ultrasound
from medkit_breast_ultrasound.mask import LoadMaskd, read_mask, united_mask
from monai.data import MetaTensor
from monai.transforms import Flipd, Resized
from PIL import Image

import medkit
from medkit.errors import DataError
from medkit.masks import decode

BUSI = Path(os.environ.get("MEDKIT_DATA", Path(__file__).parents[4] / "shared" / "data")) / "busi"
INSIDE = np.zeros((6, 9), bool)
INSIDE[1:4, 2:7] = True


def image(shape=(6, 9)):
    return MetaTensor(torch.zeros(1, *shape), affine=torch.diag(torch.tensor([2.0, 3.0, 1.0, 1.0])))


def test_every_kind_of_png_gives_the_same_mask(tmp_path):
    grey = np.uint8(INSIDE) * 255
    kinds = {
        "1": Image.fromarray(INSIDE),
        "L": Image.fromarray(grey),
        "faint": Image.fromarray(np.uint8(INSIDE)),
        "P": Image.fromarray(grey).convert("P"),
        "RGB": Image.fromarray(grey).convert("RGB"),
        "red": Image.fromarray(np.stack([grey, 0 * grey, 0 * grey], axis=-1)),
        "RGBA": Image.fromarray(grey).convert("RGBA"),
        "LA": Image.fromarray(grey).convert("LA"),
        "cut out": Image.fromarray(np.stack([0 * grey + 255] * 3 + [grey], axis=-1)),
        "16 bit": Image.fromarray(INSIDE.astype(np.uint16) * 300),
    }
    for name, picture in kinds.items():
        picture.save(tmp_path / f"{name}.png")
        np.testing.assert_array_equal(read_mask(str(tmp_path / f"{name}.png")), INSIDE, err_msg=name)


def test_masks_are_united_on_the_pixels_of_the_image(tmp_path):
    paths = []
    for n, box in enumerate(((slice(0, 2), slice(0, 3)), (slice(1, 5), slice(2, 8)))):
        part = np.zeros((6, 9), np.uint8)
        part[box] = 255
        paths.append(str(tmp_path / f"benign (1)_mask_{n}.png"))
        Image.fromarray(part).save(paths[-1])
    expected = np.zeros((6, 9), np.float32)
    expected[0:2, 0:3] = expected[1:5, 2:8] = 1
    mask = medkit.transform("load_mask")({"image": image(), "mask": paths})["mask"]
    np.testing.assert_array_equal(mask.numpy()[0], expected)
    assert mask.dtype == torch.float32
    np.testing.assert_array_equal(mask.affine, image().affine)


def test_no_file_is_an_empty_mask_and_no_key_an_unknown_one():
    assert LoadMaskd()({"image": image(), "mask": []})["mask"].sum() == 0
    unknown = LoadMaskd()({"image": image()})["mask"]
    assert unknown.shape == (1, 6, 9)
    assert torch.isnan(unknown).all()


def test_spatial_transforms_move_image_and_mask_alike(tmp_path):
    Image.fromarray(INSIDE).save(tmp_path / "m.png")
    picture = MetaTensor(torch.from_numpy(np.float32(INSIDE))[None])
    sample = LoadMaskd()({"image": picture, "mask": [str(tmp_path / "m.png")]})
    sample = Resized(["image", "mask"], (12, 18), mode=["nearest", "nearest"])(sample)
    np.testing.assert_array_equal(sample["image"], sample["mask"])
    np.testing.assert_array_equal(sample["image"].affine, sample["mask"].affine)
    assert set(np.unique(sample["mask"])) == {0, 1}


def test_the_mask_on_the_frame_stays_where_the_image_is_moved(tmp_path):
    Image.fromarray(INSIDE).save(tmp_path / "m.png")
    moved = [medkit.transform("load_mask"), Flipd(["image", "mask"], 1), Resized(["image", "mask"], (5, 5))]
    sample = medkit.SafeCompose(moved, (5, 5), classes=1, masks=True)({"image": image(), "mask": [f"{tmp_path}/m.png"]})
    assert sample["mask"].shape == (1, 5, 5)
    np.testing.assert_array_equal(decode(sample["frame_mask"]), INSIDE)


def test_the_mask_on_the_frame_tells_empty_from_unknown():
    assert not decode(LoadMaskd()({"image": image(), "mask": []})["frame_mask"]).any()
    assert LoadMaskd()({"image": image()})["frame_mask"] == ""


@pytest.mark.parametrize("said_by", ["sample", "reader"])
def test_a_frame_of_another_size_takes_the_nearest_pixels(tmp_path, said_by):
    Image.fromarray(INSIDE).save(tmp_path / "m.png")
    sample = {"image": image(), "mask": [str(tmp_path / "m.png")], "frame_size": np.array([np.nan, np.nan])}
    (sample if said_by == "sample" else sample["image"].meta)["frame_size"] = np.array([12.0, 27.0])
    found = LoadMaskd()(sample)
    np.testing.assert_array_equal(decode(found["frame_mask"]), INSIDE.repeat(2, axis=0).repeat(3, axis=1))
    assert found["mask"].shape == (1, 6, 9)


def test_wrong_masks_are_one_clear_line(tmp_path):
    Image.fromarray(INSIDE.T).save(tmp_path / "turned.png")
    (tmp_path / "text.png").write_text("mask")
    Image.fromarray(np.uint8(np.random.default_rng(0).integers(0, 255, (60, 90)))).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:900])
    for name, message in (
        ("turned.png", "the mask has 9 rows and 6 columns, the image 6 and 9"),
        ("text.png", "the mask cannot be read"),
        ("cut.png", "the mask cannot be read"),
        ("gone.png", "the mask cannot be read"),
    ):
        with pytest.raises(DataError, match=message) as caught:
            united_mask([str(tmp_path / name)], (6, 9))
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="put load_image before it"):
        LoadMaskd()({"image": "a.png", "mask": []})


@pytest.mark.skipif(not BUSI.is_dir(), reason=f"no BUSI at {BUSI}")
def test_real_masks_fit_their_images():
    load, load_mask = medkit.transform("load_image", keys="image"), medkit.transform("load_mask")
    for sample in breast_ultrasound(str(BUSI), "all", limit=40):
        read = load_mask(load(sample))
        assert read["mask"].shape == read["image"].shape
        assert bool(read["mask"].sum() > 0) == (sample["label"][2] == 0)
        np.testing.assert_array_equal(decode(read["frame_mask"]), read["mask"][0])
        assert read["mask"].mean() < 0.7
