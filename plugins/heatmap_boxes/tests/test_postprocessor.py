import json

import numpy as np
import pytest
import torch
from medkit_heatmap_boxes.fitting import PRIOR
from monai.data import MetaTensor
from monai.transforms import CenterSpatialCropd, Flipd, Resized, Rotate90d
from PIL import Image

import medkit
from medkit.errors import CheckpointError, ConfigError, DataError
from medkit.metrics import box_iou, localization_scores

FINDINGS = ["Mass", "Nodule", "Effusion"]
SIZES = np.array([[0.25, 0.2], [0.07, 0.09], [0.3, 0.45]])
"""Typical width and height of each finding, as fractions of the input."""


def part(**options):
    return medkit.postprocessor("heatmap_boxes", findings=FINDINGS, **options)


def sample(**changes):
    """One bright cell for each finding, in a map of 4 rows and 8 columns over an input of 32 × 64."""
    maps = torch.zeros(3, 4, 8)
    maps[0, 1, 5] = maps[1, 2, 2] = maps[2, 3, 7] = 1
    return {
        "image": torch.empty(0, 32, 64),
        "maps": maps,
        "present": torch.tensor([True, False, True]),
        "probabilities": torch.tensor([0.9, 0.1, 0.7]),
        "frame_affine": torch.eye(3, dtype=torch.float64),
        "frame_size": torch.tensor([32.0, 64.0]),
        **changes,
    }


def blurred(seed, count=60, classes=(0, 1, 2)):
    """Samples with blurred, noisy 8×8 maps of drawn boxes, as a network with a coarse last layer gives them."""
    random = np.random.default_rng(seed)
    cells = (np.arange(8) + 0.5) / 8
    made = []
    for number in range(count):
        k = classes[number % len(classes)]
        size = np.minimum(SIZES[k] * np.exp(random.normal(0, 0.25, 2)), 0.9)
        centre = size / 2 + (1 - size) * random.random(2)
        peak = centre + random.normal(0, 0.12, 2) * size
        spread = np.sqrt((0.3 * size) ** 2 + 0.07**2)
        across, down = (np.exp(-(((cells - p) / s) ** 2) / 2) for p, s in zip(peak, spread))
        maps = np.zeros((3, 8, 8))
        maps[k] = np.maximum(0, down[:, None] * across + random.normal(0, 0.05, (8, 8)))
        frame = np.array([300.0, 200.0])  # columns, rows
        boxes = np.full((4, 5), np.nan)
        boxes[0] = [k, *(centre - size / 2) * frame, *(centre + size / 2) * frame]
        affine = np.diag([frame[0] / 128, frame[1] / 96, 1])
        made.append(
            {
                "image": torch.empty(0, 96, 128),
                "maps": torch.tensor(maps, dtype=torch.float32),
                "present": torch.arange(3) == k,
                "probabilities": torch.ones(3),
                "label": (torch.arange(3) == k).float(),
                "boxes": torch.tensor(boxes),
                "frame_affine": torch.tensor(affine),
                "frame_size": torch.tensor(frame[::-1].copy()),
                "patient_id": f"patient {number // 2}",
            }
        )
    return made


def read(given):
    pixels = np.asarray(Image.open(given["image"]), np.float32) / 255
    return {**given, "image": MetaTensor(torch.tensor(pixels)[None], meta={"spatial_shape": np.array(pixels.shape)})}


def hit_rate(box_part, samples, predicted="predicted_boxes"):
    records = [box_part(one) for one in samples]
    return localization_scores(records, FINDINGS, predicted=predicted, resamples=1)["hit_rate_iou_0_3"]["value"]


def test_present_findings_get_one_box_each_with_their_probability():
    out = part(fraction=0.5)(sample())
    boxes = out["predicted_boxes"]
    assert boxes.dtype == torch.float32
    np.testing.assert_allclose(boxes[:, 0], [0, 2])
    np.testing.assert_allclose(boxes[:, 5], [0.9, 0.7], rtol=1e-6)
    np.testing.assert_allclose(boxes[0, 1:5], [40, 8, 48, 16], atol=1)
    assert out["predicted_boxes_by_rule"].equal(boxes), "before fitting the rule is all there is"


def test_nothing_present_or_no_evidence_gives_no_box():
    for changes in ({"present": torch.zeros(3, dtype=bool)}, {"maps": torch.zeros(3, 4, 8)}, {"status": "error"}):
        assert part()(sample(**changes))["predicted_boxes"].shape == (0, 6)


def test_several_boxes_are_scored_by_their_peaks():
    maps = torch.zeros(3, 4, 8)
    maps[0, 1, 1], maps[0, 1, 6] = 0.8, 1.0
    boxes = part(boxes_per_finding=2)(sample(maps=maps, present=torch.tensor([True, False, False])))["predicted_boxes"]
    assert boxes[0, 1] > boxes[1, 1]
    np.testing.assert_allclose(boxes[:, 5], [0.9, 0.72], atol=0.01)


def test_boxes_that_a_localizer_found_are_mapped_to_the_frame_and_keep_their_score():
    given = torch.tensor([[4.0, 8.0, 20.0, 16.0, 0.6], [0, 0, 1, 1, 0.1], [float("nan")] * 5])
    affine = torch.diag(torch.tensor([2.0, 3.0, 1.0]))
    out = part()(sample(maps=given, frame_affine=affine, frame_size=torch.tensor([96.0, 128.0])))
    np.testing.assert_allclose(out["predicted_boxes"], [[0, 8, 24, 40, 48, 0.6]], rtol=1e-6)
    assert out["predicted_boxes_by_rule"].equal(out["predicted_boxes"])


@pytest.mark.parametrize(
    "spatial",
    [
        [Resized(keys="image", spatial_size=(96, 64))],
        [CenterSpatialCropd(keys="image", roi_size=(180, 200)), Resized(keys="image", spatial_size=(64, 80))],
        [Flipd(keys="image", spatial_axis=1), Resized(keys="image", spatial_size=(64, 64))],
        [Rotate90d(keys="image"), Flipd(keys="image", spatial_axis=0), Resized(keys="image", spatial_size=(80, 96))],
    ],
    ids=["resize", "crop", "flip", "quarter turn"],
)
def test_a_bright_square_comes_back_to_its_place_in_the_file(tmp_path, spatial):
    pixels = np.zeros((200, 300), np.uint8)
    square = [120, 50, 160, 90]
    pixels[square[1] : square[3], square[0] : square[2]] = 255
    Image.fromarray(pixels).save(tmp_path / "square.png")
    shape = spatial[-1].resizer.spatial_size
    prepare = medkit.SafeCompose([read, *spatial], spatial_size=shape, classes=3)
    done = prepare({"image": str(tmp_path / "square.png")})
    assert done["reason"] == ""
    maps = torch.nn.functional.adaptive_avg_pool2d(done["image"], [n // 4 for n in shape]).expand(3, -1, -1)
    out = part(fraction=0.5)(sample(**done, maps=maps))
    for box in out["predicted_boxes"]:
        assert box_iou(box[None, 1:5], [square])[0, 0] > 0.75


def test_fitting_finds_more_than_the_rule_does():
    box_part, test = part(), blurred(1, 120)
    before = hit_rate(box_part, test)
    box_part.fit(blurred(0))
    after = hit_rate(box_part, test)
    assert after > 0.9
    assert after > before + 0.15
    assert hit_rate(box_part, test, "predicted_boxes_by_rule") == before


def test_fitted_boxes_have_the_size_of_the_finding():
    box_part, rule = part(), part()
    box_part.fit(blurred(0))
    nodules = blurred(2, 30, classes=(1,))
    sides = {
        name: np.median([np.diff(made(s)["predicted_boxes"][0, [1, 3]]) / 300 for s in nodules])
        for name, made in (("fitted", box_part), ("rule", rule))
    }
    assert sides["rule"] > 1.5 * SIZES[1, 0]
    assert sides["fitted"] == pytest.approx(SIZES[1, 0], rel=0.25)


def test_maps_that_look_beside_the_finding_are_put_right():
    """Every map is one cell, an eighth of the input, too far left."""
    beside, test = ([{**s, "maps": s["maps"].roll(-1, dims=2)} for s in blurred(seed)] for seed in (0, 1))
    box_part = part()
    box_part.fit(beside)
    assert all(0.06 < cut.offset[0] < 0.16 and abs(cut.offset[1]) < 0.04 for cut in box_part.cuts)
    assert hit_rate(box_part, test) > hit_rate(box_part, test, "predicted_boxes_by_rule") + 0.3


def test_a_finding_without_drawn_boxes_uses_what_the_others_teach():
    box_part = part()
    box_part.fit(blurred(0, classes=(0, 2)))
    assert box_part.validation["Nodule"] == {
        "boxes": 0, "hit_rate_iou_0_3": None, "hit_rate_iou_0_3_by_rule": None, "mean_iou": None,
    }  # fmt: skip
    assert hit_rate(box_part, blurred(1, 40, classes=(0, 2))) > 0.9
    assert len(box_part(blurred(1, 1, classes=(1,))[0])["predicted_boxes"]) == 1


def test_one_odd_box_does_not_decide_alone():
    """A single nodule's box, drawn far too large, is outweighed by the pool."""
    odd = blurred(0, 1, classes=(1,))
    odd[0]["boxes"][0, 1:] = torch.tensor([0.0, 0.0, 300.0, 200.0])
    box_part = part()
    box_part.fit([*blurred(0, classes=(0, 2)), *odd])
    assert PRIOR > 1
    box = box_part(blurred(1, 1, classes=(1,))[0])["predicted_boxes"][0]
    assert (box[3] - box[1]) * (box[4] - box[2]) < 0.5 * 300 * 200


def test_without_drawn_boxes_the_rule_remains():
    bare = [{**one, "boxes": torch.full((4, 5), torch.nan)} for one in blurred(0, 6)]
    box_part = part()
    box_part.fit(bare)
    state = box_part.state_dict()
    assert state["fitted"] is False
    assert (state["boxes"], state["per_finding"]) == (0, {})
    out = box_part(bare[0])
    assert out["predicted_boxes"].equal(out["predicted_boxes_by_rule"])


def test_stated_hit_rates_are_what_the_part_then_reaches():
    box_part, samples = part(), blurred(0)
    box_part.fit(samples)
    shown = [row["validation"] for row in box_part.state_dict()["per_finding"].values()]
    total = sum(row["boxes"] for row in shown)
    for key, predicted in (("", "predicted_boxes"), ("_by_rule", "predicted_boxes_by_rule")):
        stated = sum(row["boxes"] * row[f"hit_rate_iou_0_3{key}"] for row in shown) / total
        assert stated == pytest.approx(hit_rate(box_part, samples, predicted))


def test_state_goes_through_json_and_gives_the_same_boxes():
    box_part, copy = part(boxes_per_finding=2), part(boxes_per_finding=2)
    box_part.fit(blurred(0, 20))
    state = json.loads(json.dumps(box_part.state_dict()))
    copy.load_state_dict(state)
    assert copy.state_dict() == box_part.state_dict()
    for one in blurred(1, 9):
        assert copy(one)["predicted_boxes"].equal(box_part(one)["predicted_boxes"])


def test_state_says_who_was_fitted_on_without_naming_them():
    box_part = part()
    box_part.fit(blurred(0, 6))
    state = box_part.state_dict()
    assert "patient 1" not in json.dumps(state)


def test_state_of_other_findings_is_refused():
    with pytest.raises(CheckpointError, match="fitted for findings"):
        medkit.postprocessor("heatmap_boxes", findings=["Mass"]).load_state_dict(part().state_dict())
    with pytest.raises(CheckpointError, match="boxes_per_finding 1, not 2"):
        part(boxes_per_finding=2).load_state_dict(part().state_dict())


def test_mistakes_are_named():
    with pytest.raises(ConfigError, match="fraction 1"):
        part(fraction=1)
    with pytest.raises(ConfigError, match="boxes_per_finding 0"):
        part(boxes_per_finding=0)
    with pytest.raises(ConfigError, match=r"3 findings .* gives \(4, 8, 8\)"):
        part()(sample(maps=torch.zeros(4, 8, 8)))
    with pytest.raises(DataError, match=r"a\.png: the way .* is lost"):
        part()(sample(frame_affine=torch.full((3, 3), torch.nan), file="a.png"))
