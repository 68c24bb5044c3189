"""Masks before and after the gate, and the gate that validation asks for."""

import json

import numpy as np
import pytest
import torch
from medkit_classifier_gate.thresholds import GRID, iou
from monai.data import decollate_batch, list_data_collate
from monai.engines import SupervisedEvaluator
from torch import nn

import medkit
from medkit.errors import CheckpointError, ConfigError, DataError
from medkit.masks import decode, encode, to_frame

AFFINE = np.diag([2.0, 3.0, 1.0])
"""From 8 rows and 10 columns to a frame of 24 and 20."""


def gate_part(**options):
    return medkit.postprocessor("classifier_gate", **options)


def sample(gate=0.8, lesion=True, seed=0, **others):
    """One decollated sample whose prediction is near its truth, the logit of a normal image's lower."""
    random = np.random.default_rng(seed)
    logits = torch.from_numpy(random.normal(-4, 2, (1, 8, 10)).astype(np.float32))
    row, column = random.integers(0, 4, 2)
    logits[:, row : row + 4, column : column + 5] += 6 if lesion else 4
    truth = np.zeros((24, 20), bool)
    truth[3 * row : 3 * row + 12, 2 * column : 2 * column + 10] = lesion
    frame = {"frame_affine": AFFINE, "frame_size": np.array([24.0, 20.0]), "frame_mask": encode(truth)}
    return {"pred": logits, "gate": gate, **frame, **others}


def validation(n=40, seed=0):
    """Samples as a classifier that is mostly right would gate them."""
    random = np.random.default_rng(seed)
    lesions = np.arange(n) % 3 > 0
    gates = np.clip(random.normal(np.where(lesions, 0.7, 0.3), 0.2), 0, 1).astype(np.float32)
    return [sample(float(g), bool(lesion), seed=i) for i, (g, lesion) in enumerate(zip(gates, lesions))]


def expected_probabilities(given):
    return to_frame(given["pred"][0].sigmoid(), given["frame_affine"], given["frame_size"])


def mean_iou(part, samples, key="gated_mask"):
    return np.mean([iou(decode(s["frame_mask"]), decode(part(s)[key])) for s in samples])


def test_masks_are_the_probabilities_on_the_frame_cut_at_the_threshold():
    given = sample(file="a.png")
    out = gate_part(mask_threshold=0.3)(given)
    np.testing.assert_array_equal(decode(out["predicted_mask"]), expected_probabilities(given) >= 0.3)
    assert out["gated_mask"] == out["predicted_mask"]
    assert out["gate_open"] is True
    assert "pred" not in out
    assert out["file"] == "a.png"
    assert "pred" in given
    split = medkit.SplitPredictiond()(given)
    assert gate_part(mask_threshold=0.3)(split)["predicted_mask"] == out["predicted_mask"]
    assert "logits" not in gate_part()(split)


@pytest.mark.parametrize(("gate", "is_open"), [(0.5, True), (0.49, False), (np.nan, True), (torch.tensor(0.1), False)])
def test_a_closed_hard_gate_empties_the_mask(gate, is_open):
    out = gate_part()(sample(gate))
    assert out["gate_open"] is is_open
    assert decode(out["predicted_mask"]).any()
    assert decode(out["gated_mask"]).any() == is_open
    assert decode(out["gated_mask"]).shape == (24, 20)


def test_a_soft_gate_multiplies_the_probabilities():
    given = sample(0.6)
    out = gate_part(mode="soft")(given)
    np.testing.assert_array_equal(decode(out["gated_mask"]), 0.6 * expected_probabilities(given) >= 0.5)
    assert 0 < decode(out["gated_mask"]).sum() < decode(out["predicted_mask"]).sum()
    closed, unknown = gate_part(mode="soft")(sample(0.4)), gate_part(mode="soft")(sample(np.nan))
    assert not closed["gate_open"]
    assert not decode(closed["gated_mask"]).any()
    assert unknown["gated_mask"] == unknown["predicted_mask"]


def test_a_soft_gate_that_leaves_nothing_of_a_mask_is_closed():
    part = gate_part(mode="soft", mask_threshold=0.4)
    faint = {**sample(0.6), "pred": torch.zeros_like(sample(0.6)["pred"])}  # 0.6 times one half is below one half
    out = part(faint)
    assert decode(out["predicted_mask"]).any()
    assert (out["gate_open"], decode(out["gated_mask"]).any()) == (False, False)
    nothing = {**faint, "pred": faint["pred"] - 9}
    assert part(nothing)["gate_open"]


def test_without_a_gate_both_masks_are_the_same():
    given = sample(0.0)
    del given["gate"]
    part = gate_part(mode="off")
    out = part(given)
    assert out["gate_open"]
    assert out["gated_mask"] == out["predicted_mask"]
    part.fit([out])
    assert part.state_dict()["validation"]["closed"] == 0
    with pytest.raises(ConfigError, match='no "gate": add gate_values'):
        gate_part()(given)


def test_a_sample_that_failed_has_empty_texts():
    out = gate_part()({"pred": torch.zeros(1, 8, 10), "gate": np.nan, "status": "error", "frame_affine": np.nan})
    assert (out["predicted_mask"], out["gated_mask"], out["gate_open"]) == ("", "", True)


def test_a_hard_fit_equals_brute_force_and_is_what_the_part_then_does():
    part, samples = gate_part(standard_errors=0), validation()
    ungated = mean_iou(gate_part(mode="off"), samples)
    part.fit([part(s) for s in samples])
    stated = part.state_dict()["validation"]
    best = 0
    for threshold in [s["gate"] for s in samples] + [0, 2]:
        other = gate_part()
        other.threshold = threshold
        best = max(best, mean_iou(other, samples))
    assert mean_iou(part, samples) == pytest.approx(best)
    assert best > ungated + 0.05
    assert stated["mean_iou_gated"] == pytest.approx(best)
    assert stated["mean_iou_open"] == pytest.approx(ungated)
    closed = [s for s in samples if not part(s)["gate_open"]]
    lesions_closed = [s for s in closed if decode(s["frame_mask"]).any()]
    assert (stated["images"], stated["lesions"]) == (40, 26)
    assert (stated["closed"], stated["lesions_closed"]) == (len(closed), len(lesions_closed))
    assert part.warnings == []
    careful = gate_part()
    careful.fit([careful(s) for s in samples])
    assert careful.threshold <= part.threshold
    assert ungated < mean_iou(careful, samples) <= best


def test_a_gate_that_removes_most_lesions_says_so():
    """A useless segmentation and a classifier that puts normal images and most lesions on one side."""
    samples = [sample(0.9 if n < 2 else 0.2, lesion=n < 9, seed=n) for n in range(40)]
    nothing = [{**s, "pred": torch.full((1, 8, 10), 9.0)} for s in samples]
    part = gate_part()
    part.fit([part(s) for s in nothing])
    assert part.warnings == [
        "the gate removes 7 of 9 lesions in validation: empty masks score better than this segmentation, which has "
        "learnt too little to be used"
    ]


def test_a_soft_fit_is_the_best_of_the_grid():
    part, samples = gate_part(mode="soft", mask_threshold=0.4), validation()
    part.fit([part(s) for s in samples])
    reached = []
    for threshold in GRID:
        other = gate_part(mode="soft", mask_threshold=0.4)
        other.threshold = threshold
        reached.append(mean_iou(other, samples))
    assert part.threshold == GRID[int(np.argmax(reached))] != 0.5
    stated = part.state_dict()["validation"]
    assert stated["mean_iou_gated"] == pytest.approx(max(reached))
    assert stated["mean_iou_open"] == pytest.approx(mean_iou(part, samples, "predicted_mask"))
    assert stated["closed"] == sum(not part(s)["gate_open"] for s in samples)


@pytest.mark.parametrize("mode", ["hard", "soft"])
def test_one_sided_validation_works_and_is_named(mode):
    lesions = [sample(g, True, seed=i) for i, g in enumerate((0.2, 0.9))]
    normals = [sample(g, False, seed=i) for i, g in enumerate((0.2, 0.9))]
    part = gate_part(mode=mode)
    part.fit([part(s) for s in normals])
    assert part.threshold == 0.5
    assert part.warnings == ["validation has no image with a lesion: the gate's threshold stays at 0.5"]
    assert part.validation["closed"] == 1
    part.fit([part(s) for s in lesions])
    assert part.warnings == ["validation has no image without a lesion: it cannot show what the gate gains"]
    assert part.validation["lesions_closed"] == 0
    part.fit([part({**s, "gate": np.nan}) for s in lesions + normals])
    assert part.warnings == ["validation has no image with a gate: the gate's threshold stays at 0.5"]
    assert part.threshold == 0.5


def test_images_without_a_known_mask_are_skipped_and_nothing_else_is_an_error():
    part, samples = gate_part(), validation(9)
    unknown = [{**sample(0.0), "frame_mask": ""}, {k: v for k, v in sample(0.0).items() if k != "frame_mask"}]
    part.fit([part(s) for s in samples + unknown])
    assert part.validation["images"] == 9
    with pytest.raises(DataError, match="no mask to fit on among 2 validation samples"):
        part.fit([part(s) for s in unknown])


@pytest.mark.parametrize("mode", ["hard", "soft", "off"])
def test_state_goes_through_json_and_gives_the_same_masks(mode):
    part, copy, samples = gate_part(mode=mode), gate_part(mode=mode), validation(12)
    part.fit([part(s) for s in samples])
    copy.load_state_dict(json.loads(json.dumps(part.state_dict(), allow_nan=False)))
    assert copy.state_dict() == part.state_dict()
    for one in samples:
        assert copy(one)["gated_mask"] == part(one)["gated_mask"]


def test_state_of_other_options_is_refused():
    state = gate_part().state_dict()
    with pytest.raises(CheckpointError, match="mode hard, not soft: use hard, or fit the gate again"):
        gate_part(mode="soft").load_state_dict(state)
    with pytest.raises(CheckpointError, match=r"mask_threshold 0\.5, not 0\.4"):
        gate_part(mask_threshold=0.4).load_state_dict(state)


def test_mistakes_are_named():
    with pytest.raises(ConfigError, match=r'mode "hart" is not one of hard, soft, off\. Did you mean "hard"'):
        gate_part(mode="hart")
    with pytest.raises(ConfigError, match=r"mask_threshold 1\.0"):
        gate_part(mask_threshold=1.0)
    with pytest.raises(ConfigError, match=r"\(1,h,w\) were asked for, \(3,\) was found"):
        gate_part()(sample(pred=torch.zeros(3)))
    with pytest.raises(ConfigError, match=r"\(1,h,w\) were asked for, tuple was found"):
        gate_part()(sample(pred=(torch.zeros(3), torch.zeros(1, 8, 10))))
    with pytest.raises(DataError, match=r"a\.png: the network's logits are NaN"):
        gate_part()(sample(pred=torch.full((1, 8, 10), torch.nan), file="a.png"))


@pytest.mark.parametrize("mode", ["hard", "soft"])
def test_it_is_fitted_behind_monais_evaluator(tmp_path, mode):
    """Collated, through a network, decollated, post-processed, and kept by `medkit.Fit`."""
    samples = [{**s, "image": s.pop("pred"), "label": 0.0, "status": "ok"} for s in validation(12)]
    (tmp_path / "model.pt").write_bytes(b"weights")
    part, direct = gate_part(mode=mode), gate_part(mode=mode)
    fit = medkit.Fit({"gate": part}, str(tmp_path / "fit.json"), str(tmp_path / "model.pt"))
    SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=[list_data_collate(samples[:6]), list_data_collate(samples[6:])],
        network=nn.Identity(),
        postprocessing=part,
        val_handlers=[fit],
    ).run()
    batch = decollate_batch(list_data_collate(samples))
    direct.fit([direct({**s, "pred": s["image"]}) for s in batch])
    assert part.state_dict() == direct.state_dict()
    assert json.loads((tmp_path / "fit.json").read_text())["parts"]["gate"] == part.state_dict()
