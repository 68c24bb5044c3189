"""Preprocessing loses no file and keeps track of the original pixels."""

import json
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import CacheDataset, DataLoader, MetaTensor, get_track_meta
from monai.transforms import (
    CenterSpatialCropd,
    Flipd,
    MapTransform,
    RandAffined,
    RandFlipd,
    Resized,
    Rotate90d,
    SpatialPadd,
)

import medkit
from medkit.errors import DataError, NotAssessed

BOX = (40, 20, 60, 50)  # x_min, y_min, x_max, y_max
ROWS, COLUMNS = 90, 120


class Square(MapTransform):
    """Stands for a reader: a bright square in a non-square image, or a failure that the path names."""

    def __init__(self) -> None:
        super().__init__("image")

    def __call__(self, data):
        path = data["image"]
        if "lateral" in path:
            raise NotAssessed("lateral view")
        if "broken" in path:
            raise DataError(f"cannot decode:\n{path}")
        x_min, y_min, x_max, y_max = BOX
        pixels = torch.zeros(1, ROWS, COLUMNS)
        pixels[:, y_min:y_max, x_min:x_max] = 1
        meta = {"affine": np.eye(4), "spatial_shape": np.array([ROWS, COLUMNS]), "source": {"modality": path}}
        return {**data, "image": MetaTensor(pixels, meta=meta)}


def compose(*transforms, size=(ROWS, COLUMNS), **options):
    return medkit.SafeCompose([Square(), *transforms], spatial_size=size, classes=2, **options)


def found_box(sample) -> np.ndarray:
    """Return the bright square's bounding box, taken to the frame."""
    y, x = np.nonzero(np.asarray(sample["image"][0]) > 0.5)
    corners = np.array([[x.min(), y.min(), 1], [x.max() + 1, y.max() + 1, 1]]) @ np.asarray(sample["frame_affine"]).T
    return np.concatenate([corners[:, :2].min(0), corners[:, :2].max(0)])


@pytest.mark.parametrize(
    "transforms",
    [
        (),
        (Flipd("image", 0),),
        (Flipd("image", 1),),
        (CenterSpatialCropd("image", (60, 100)),),
        (SpatialPadd("image", (130, 130)),),
        (Rotate90d("image", k=1),),
        (Rotate90d("image", k=3), Flipd("image", 0), CenterSpatialCropd("image", (100, 70))),
    ],
)
def test_flips_crops_pads_and_turns_are_undone_exactly(transforms):
    np.testing.assert_allclose(found_box(compose(*transforms)({"image": "a"})), BOX, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(45, 300), columns=st.integers(60, 400))
def test_a_resize_is_undone_to_within_a_pixel_of_either_grid(rows, columns):
    sample = compose(Resized("image", (rows, columns), mode="area"))({"image": "a"})
    tolerance = np.maximum(1, [COLUMNS / columns, ROWS / rows] * 2)
    assert (np.abs(found_box(sample) - BOX) <= tolerance + 1e-6).all()


def test_a_frame_of_another_size_scales_the_boxes():
    sample = compose()({"image": "a", "frame_size": (ROWS * 4, COLUMNS * 2)})
    np.testing.assert_allclose(found_box(sample), np.multiply(BOX, [2, 4, 2, 4]))


def test_failing_files_keep_their_place_and_stack():
    boxes = [[0, *BOX]]
    data = [{"image": n, "label": [1, 0], "boxes": boxes} for n in ("a", "broken.png", "lateral.dcm", "b")]
    dataset = CacheDataset(data, compose(Resized("image", (8, 6)), size=(8, 6)), progress=False)
    (batch,) = DataLoader(dataset, batch_size=4, num_workers=0)
    assert batch["file"] == ["a", "broken.png", "lateral.dcm", "b"]
    assert batch["status"] == ["ok", "error", "not_assessed", "ok"]
    assert batch["reason"] == ["", "cannot decode: broken.png", "lateral view", ""]
    assert batch["image"].shape == (4, 1, 8, 6)
    assert type(batch["image"]) is torch.Tensor
    assert batch["label"].isnan().all(dim=1).tolist() == [False, True, True, False]
    assert batch["boxes"].shape == (4, 32, 5)
    assert [json.loads(s).get("modality") for s in batch["source"]] == ["a", None, None, "b"]


def test_strict_names_the_file_but_not_for_an_image_that_is_not_assessed():
    strict = compose(strict=True)
    with pytest.raises(DataError, match=r"broken.png: cannot decode"):
        strict({"image": "broken.png"})
    assert strict({"image": "lateral"})["status"] == "not_assessed"


def test_more_boxes_than_expected_are_an_error_record():
    sample = compose(max_boxes=1)({"image": "a", "boxes": [[0, *BOX]] * 2})
    assert sample["reason"] == "2 boxes, at most 1 expected: raise max_boxes"


def test_random_transforms_on_a_cached_image_leave_no_frame():
    dataset = CacheDataset([{"image": "a"}], compose(RandFlipd("image", prob=1.0)), progress=False)
    assert np.isnan(dataset[0]["frame_affine"]).all()


class Noted(RandAffined):
    """Says whether MONAI tracked metadata while it ran, and fails where it is asked to."""

    def __call__(self, data, lazy=None):
        self.tracked = get_track_meta()
        if "unlucky" in data["file"]:
            raise ValueError("unlucky")
        return super().__call__(data, lazy)


def test_a_cached_image_goes_through_random_transforms_without_metadata_to_the_same_pixels():
    random = Noted("image", prob=1.0, rotate_range=0.3, scale_range=0.2, padding_mode="border")
    whole = compose(Resized("image", (50, 40)), random, size=(50, 40))
    direct = whole.set_random_state(3)({"image": "a"})["image"]
    assert random.tracked
    dataset = CacheDataset([{"image": "a"}, {"image": "unlucky"}], whole, progress=False)
    whole.set_random_state(3)
    assert torch.equal(dataset[0]["image"], direct)
    assert not random.tracked
    assert dataset[1]["status"] == "error"
    assert get_track_meta()


def test_it_pickles_for_data_loading_workers():
    assert pickle.loads(pickle.dumps(compose()))({"image": "a"})["status"] == "ok"


def test_a_prediction_with_maps_is_split():
    split = medkit.SplitPredictiond()
    assert split({"pred": [1, 2]}) == {"logits": 1, "maps": 2}
    assert split({"pred": torch.ones(2)})["logits"].shape == (2,)


class Drawn(MapTransform):
    """Stands for a reader of masks: whatever a sample names becomes one of ones."""

    def __init__(self) -> None:
        super().__init__("mask")

    def __call__(self, data):
        mask = MetaTensor(torch.ones(1, ROWS, COLUMNS))
        return {**data, "mask": mask, "frame_mask": "1 1 0 1"} if "mask" in data else data


def test_every_sample_has_a_mask_where_masks_are_wanted():
    samples = [
        {"image": "a", "mask": ["m.png"]},
        {"image": "broken", "mask": ["m.png"]},
        {"image": "nobody drew one"},
        {"image": "lateral"},
    ]
    (batch,) = DataLoader(CacheDataset(samples, compose(Drawn(), masks=True), progress=False), batch_size=4)
    assert type(batch["mask"]) is torch.Tensor
    assert batch["mask"].shape == (4, 1, ROWS, COLUMNS)
    assert (batch["mask"][0] == 1).all()
    assert batch["mask"][1:].isnan().all()
    assert batch["frame_mask"] == ["1 1 0 1", "", "", ""]
