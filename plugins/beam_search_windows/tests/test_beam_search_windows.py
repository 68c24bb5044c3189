"""Boxes against an exhaustive search that cuts and resizes with scipy; nothing is classified twice or left behind."""

import math
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from medkit_beam_search_windows.tree import level_sides
from monai.data import MetaTensor
from scipy import ndimage
from torch import nn

import medkit
from medkit.errors import ConfigError
from medkit.metrics import box_iou

SIZE = (24, 16)
TREE = {"shrink": 0.7, "stride": 0.25, "depth": 3, "smallest_side": 4}
EXHAUSTIVE = 10**6


class Linear(nn.Module):
    """Logits are random weights times the pixels, and all that was classified is kept."""

    def __init__(self, size=SIZE, classes=3, weight=None):
        super().__init__()
        random = torch.Generator().manual_seed(3)
        self.weight = torch.randn(classes, size[0] * size[1], generator=random).double() if weight is None else weight
        self.calls = []

    def forward(self, images):
        self.calls.append(images.clone())
        return images.flatten(1) @ self.weight.to(images.dtype).T


def images(count=2, size=SIZE):
    smooth = ndimage.gaussian_filter(np.random.default_rng(5).normal(size=(count, 1, *size)), (0, 0, 1, 1))
    return torch.tensor(smooth)


def build(**options):
    return medkit.localizer("beam_search_windows", **(TREE | options))


def resized(pixels, size):
    """Bilinear, pixel edges on pixel edges."""
    where = [(np.arange(new) + 0.5) * old / new - 0.5 for new, old in zip(size, pixels.shape)]
    return ndimage.map_coordinates(pixels, np.meshgrid(*where, indexing="ij"), order=1, mode="nearest")


def searched(image, weights, beam_width):
    """Box, logit and number of windows, one class and one window at a time."""
    pixels = image[0].numpy()
    best, beam, seen = (-math.inf, None), [(0, 0)], set()
    sides = [SIZE, *level_sides(SIZE, shrink=0.7, depth=3, smallest_side=4)]
    for parent, (height, width) in pairwise(sides):
        steps = round(height * 0.25), round(width * 0.25)
        corners = {
            (y, x)
            for top, left in beam
            for y, x in product(range(*SIZE[:1]), range(*SIZE[1:]))
            if top <= y <= (last_y := top + parent[0] - height) and left <= x <= (last_x := left + parent[1] - width)
            if ((y - top) % steps[0] == 0 or y == last_y) and ((x - left) % steps[1] == 0 or x == last_x)
        }
        logits = {
            (y, x): float(weights @ resized(pixels[y : y + height, x : x + width], SIZE).ravel()) for y, x in corners
        }
        beam = sorted(corners, key=lambda corner: -logits[corner])[:beam_width]
        y, x = beam[0]
        best = max(best, (logits[y, x], (x, y, x + width, y + height)))
        seen |= {(height, *corner) for corner in corners}
    return best[1], best[0], seen


@pytest.fixture(scope="module")
def oracle():
    return {
        width: [[searched(image, row.numpy(), width) for row in Linear().weight] for image in images()]
        for width in (1, 2, EXHAUSTIVE)
    }


@pytest.mark.parametrize("beam_width", [1, 2, EXHAUSTIVE])
def test_each_class_gets_the_box_of_the_search_by_hand(oracle, beam_width):
    logits, boxes = build(beam_width=beam_width)(images(), Linear())
    assert logits.dtype == boxes.dtype == torch.float32
    assert logits.shape == (2, 3)
    assert boxes.shape == (2, 3, 5)
    for row, expected in zip(boxes.flatten(0, 1), [found for image in oracle[beam_width] for found in image]):
        assert row[:4].tolist() == list(expected[0])
        assert row[4] == pytest.approx(1 / (1 + math.exp(-expected[1])), rel=1e-4)


def test_a_wider_beam_finds_better_windows(oracle):
    best = {width: np.array([[found[1] for found in image] for image in rows]) for width, rows in oracle.items()}
    assert (best[EXHAUSTIVE] >= best[2]).all()
    assert (best[EXHAUSTIVE] > best[1]).any()


@pytest.mark.parametrize("beam_width", [1, 2, EXHAUSTIVE])
def test_each_window_is_classified_once_for_all_classes(oracle, beam_width):
    network = Linear()
    build(beam_width=beam_width, batch_size=7)(images(), network)
    per_level = {side[0]: 0 for side in level_sides(SIZE, shrink=0.7, depth=3, smallest_side=4)}
    for image in oracle[beam_width]:
        for height, *_ in set.union(*(seen for _, _, seen in image)):
            per_level[height] += 1
    assert [len(call) for call in network.calls if len(call) == 7] == [7] * sum(n // 7 for n in per_level.values())
    assert len(network.calls) == 1 + sum(-(-n // 7) for n in per_level.values())
    given = torch.cat(network.calls).flatten(1)
    assert len(given) == 2 + sum(per_level.values())
    assert len(given.unique(dim=0)) == len(given)


def test_the_whole_image_is_classified_as_it_is_and_never_the_box():
    frame = torch.zeros(1, 1, *SIZE).double()
    frame[..., [0, -1], :] = frame[..., [0, -1]] = 1
    network = Linear(weight=frame.flatten(1) / 10)  # wants a frame, which only the whole image has
    logits, boxes = build(beam_width=EXHAUSTIVE)(frame, network)
    assert torch.equal(network.calls[0], frame)
    assert logits[0, 0] == pytest.approx(7.6)
    assert boxes[0, 0, 4].logit() < 7
    assert (boxes[0, 0, 2:4] - boxes[0, 0, :2]).tolist() in [[11, 17], [8, 12], [6, 8]]


@pytest.mark.parametrize(("y", "x", "side"), [(10, 6, 14), (40, 8, 20), (31, 44, 17)])
def test_a_bright_square_is_found(y, x, side):
    image = torch.full((1, 1, 64, 72), -0.2)
    image[..., y : y + side, x : x + side] = 1
    template = -torch.ones(64, 72)
    template[8:-8, 9:-9] = 1  # a square in the middle of three quarters of the window
    network = Linear(weight=torch.stack([template, -template]).flatten(1) / 1000)
    _, boxes = medkit.localizer("beam_search_windows", smallest_side=8, stride=0.125)(image, network)
    iou = box_iou(boxes[0, :, :4].double().numpy(), np.array([[x, y, x + side, y + side]]))[:, 0]
    assert iou[0] > 0.5
    assert iou[1] < 0.2


def test_batches_and_neighbours_change_nothing():
    many = images(3)
    logits, boxes = build()(many, Linear())
    for batch_size in (1, 5):
        again = build(batch_size=batch_size)(many, Linear())
        assert torch.equal(again[1][..., :4], boxes[..., :4])
        torch.testing.assert_close(again, (logits, boxes))
    for index in range(3):
        alone = build()(many[index : index + 1], Linear())
        assert torch.equal(alone[1][..., :4], boxes[index : index + 1, :, :4])
        torch.testing.assert_close(alone, (logits[index : index + 1], boxes[index : index + 1]))
    assert torch.equal(build()(many, Linear())[1], boxes)


def test_of_equal_windows_the_largest_upper_left_one_wins():
    flat = Linear(weight=torch.zeros(2, SIZE[0] * SIZE[1]))
    _, boxes = build()(images(), flat)
    assert boxes.tolist() == [[[0, 0, 11, 17, 0.5]] * 2] * 2


def test_what_is_not_a_number_is_no_box():
    class Sometimes(Linear):
        def forward(self, given):
            logits = super().forward(given)
            logits[:, 0] = torch.nan
            logits[logits[:, 1] < 0, 1] = torch.nan
            return logits

    _, boxes = build(beam_width=EXHAUSTIVE)(images(), Sometimes())
    _, expected = build(beam_width=EXHAUSTIVE)(images(), Linear())
    assert boxes[:, 0, :4].isnan().all()
    assert (boxes[:, 0, 4] == 0).all()
    assert (expected[:, 1, 4] > 0.5).all()
    assert torch.equal(boxes[:, 1:], expected[:, 1:])


def convolutions():
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return nn.Sequential(*layers, nn.Dropout(0.5), nn.Linear(4, 2))


def test_nothing_is_left_behind():
    network = convolutions().train()
    network[0].eval()
    network[0].weight.requires_grad_(False)
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    modes = [module.training for module in network.modules()]
    state = {key: value.clone() for key, value in network.state_dict().items()}
    pixels = images().float().requires_grad_()
    logits, boxes = build()(MetaTensor(pixels), network)
    assert type(logits) is type(boxes) is torch.Tensor
    assert not logits.requires_grad
    assert not boxes.requires_grad
    assert torch.is_grad_enabled()
    assert pixels.grad is None
    assert [module.training for module in network.modules()] == modes
    assert all((parameter.grad == 1).all() for parameter in network.parameters())
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    torch.testing.assert_close(logits, network.eval()(pixels).detach())  # without dropout
    with torch.inference_mode():
        assert torch.equal(build()(pixels, network)[1], boxes)


def test_modes_come_back_when_the_network_fails():
    network = convolutions().train()
    with pytest.raises(RuntimeError, match="channels"):
        build()(images().float().expand(-1, 2, -1, -1), network)
    assert all(module.training for module in network.modules())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_finds_the_same_boxes():
    logits, boxes = build()(images().cuda(), Linear().cuda())
    assert boxes.is_cuda
    torch.testing.assert_close((logits.cpu(), boxes.cpu()), build()(images(), Linear()), rtol=1e-4, atol=1e-5)


def test_autocast_gives_float32_boxes_inside_the_image():
    with torch.autocast("cpu", torch.bfloat16):
        logits, boxes = build()(images().float(), convolutions())
    assert logits.dtype == boxes.dtype == torch.float32
    exact, _ = build()(images().float(), convolutions())
    torch.testing.assert_close(logits, exact, rtol=0.05, atol=0.02)
    assert (boxes[..., :2] >= 0).all()
    assert (boxes[..., 2:4] <= torch.tensor([SIZE[1], SIZE[0]])).all()
    assert (boxes[..., 2:4] > boxes[..., :2]).all()


def test_a_network_of_several_processes_is_called_without_its_wrapper():
    wrapped = nn.parallel.DistributedDataParallel.__new__(nn.parallel.DistributedDataParallel)
    nn.Module.__init__(wrapped)
    wrapped.module = Linear()  # the wrapper itself was not set up: calling it would fail
    assert torch.equal(build()(images(), wrapped)[1], build()(images(), Linear())[1])


def test_boxes_go_through_monais_evaluator_and_heatmap_boxes_to_the_frame():
    from monai.engines import SupervisedEvaluator

    batch = [{"image": images(1), "label": torch.zeros(1, 3)}]
    network = Linear()
    evaluator = SupervisedEvaluator(torch.device("cpu"), batch, network, inferer=build())
    evaluator.run()
    logits, boxes = evaluator.state.output[0]["pred"]
    assert torch.equal(boxes, build()(images(1), network)[1][0])
    sample = {
        "image": images(1)[0],
        "maps": boxes,
        "present": torch.tensor([True, False, True]),
        "probabilities": logits.sigmoid(),
        "frame_affine": torch.tensor([[2.0, 0, 3], [0, 4, 5], [0, 0, 1]]),
        "frame_size": torch.tensor([200.0, 200.0]),
    }
    part = medkit.postprocessor("heatmap_boxes", findings=["a", "b", "c"])
    part.fit([{**sample, "boxes": torch.tensor([[0.0, 4, 4, 9, 9]])}])
    expected = boxes[[0, 2]] * torch.tensor([2.0, 4, 2, 4, 1]) + torch.tensor([3.0, 5, 3, 5, 0])
    found = part(sample)["predicted_boxes"]
    torch.testing.assert_close(found, torch.cat([torch.tensor([[0.0], [2.0]]), expected], dim=1))
    nothing = sample | {"maps": torch.tensor([[torch.nan] * 4 + [0.0]] * 3)}
    assert part(nothing)["predicted_boxes"].shape == (0, 6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_width": 0}, "beam_width 0 must be a whole number of at least 1"),
        ({"depth": 0}, "depth 0 must be a whole number of at least 1"),
        ({"batch_size": 0}, "batch_size 0 must be a whole number of at least 1"),
        ({"smallest_side": 0}, "smallest_side 0 must be a whole number of at least 1"),
        ({"shrink": 0}, "shrink 0 must be between 0 and 1"),
        ({"shrink": 1}, "shrink 1 must be between 0 and 1"),
        ({"stride": 0}, "stride 0 must be above 0 and at most 1"),
        ({"stride": 1.5}, "stride 1.5 must be above 0 and at most 1"),
        ({"strides": 1}, 'Did you mean "stride"'),
    ],
)
def test_a_wrong_option_is_named(options, message):
    with pytest.raises(ConfigError, match=message) as caught:
        build(**options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("network", "pixels", "options", "message"),
    [
        (nn.Conv2d(1, 3, 3), images().float(), {}, r"logits \(B,K\), found \(2, 3, 22, 14\)"),
        (Linear(), images(), {"smallest_side": 12}, r"smallest_side 12 fits into images of 24×16 pixels: lower"),
        (Linear(), images(), {"smallest_side": 400}, r"smallest_side 400 fits into images of 24×16 pixels: lower"),
        (Linear(), images()[None], {}, r"images \(B,C,H,W\), found \(1, 2, 1, 24, 16\)"),
        (None, images(), {}, "needs a network"),
    ],
)
def test_what_cannot_be_searched_is_named(network, pixels, options, message):
    with pytest.raises(ConfigError, match=message) as caught:
        build(**options)(pixels, network)
    assert "\n" not in str(caught.value)


def test_a_network_with_two_outputs_is_no_classifier():
    class Two(nn.Module):
        def forward(self, given):
            return given.flatten(1), given

    with pytest.raises(ConfigError, match="found tuple"):
        build()(images(), Two())
