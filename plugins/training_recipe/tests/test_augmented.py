import pytest
import torch
from monai.inferers import SlidingWindowInferer
from torch import nn

import medkit
from medkit.errors import ConfigError


def augmented(**options):
    return medkit.transform("test_time_augmentation", **options)


def images(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def pointwise(x):
    return 4 * x - 2


def lopsided(x):
    """Logits that depend on where a pixel is, so mirroring counts."""
    rows, columns = torch.arange(x.shape[2])[:, None], torch.arange(x.shape[3])
    return x * (1 + rows + 10 * columns) / 20


@pytest.mark.parametrize("axes", [[0], [1], [0, 1], []])
def test_a_network_that_does_not_care_gives_what_it_gave(axes):
    x = images(2, 1, 5, 7)
    torch.testing.assert_close(augmented(axes=axes)(x, pointwise), pointwise(x))


def test_probabilities_of_maps_are_averaged_where_they_belong():
    x = images(2, 1, 5, 7)
    expected = (lopsided(x).sigmoid() + lopsided(x.flip(3)).sigmoid().flip(3)) / 2
    torch.testing.assert_close(augmented()(x, lopsided).sigmoid(), expected)


def test_both_axes_are_four_images():
    x = images(1, 1, 4, 6)
    views = [lopsided(x.flip(axes)).sigmoid().flip(axes) for axes in ([], [2], [3], [2, 3])]
    torch.testing.assert_close(augmented(axes=[0, 1])(x, lopsided).sigmoid(), torch.stack(views).mean(0))


@pytest.mark.parametrize("label_mode", ["multilabel", "multiclass"])
def test_probabilities_of_classes_are_averaged(label_mode):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(20, 3))
    x = 5 * images(2, 1, 4, 5)
    to_probability = torch.sigmoid if label_mode == "multilabel" else lambda logits: logits.softmax(1)
    expected = (to_probability(network(x)) + to_probability(network(x.flip(3)))) / 2
    logits = augmented(label_mode=label_mode)(x, network)
    assert logits.shape == (2, 3)
    torch.testing.assert_close(to_probability(logits), expected)


def test_a_map_of_several_exclusive_classes():
    x = images(2, 3, 4, 5)
    expected = (lopsided(x).softmax(1) + lopsided(x.flip(3)).softmax(1).flip(3)) / 2
    torch.testing.assert_close(augmented(label_mode="multiclass")(x, lopsided).softmax(1), expected)


@pytest.mark.parametrize("value", [-300.0, 300.0, -float("inf"), float("inf")])
def test_probabilities_near_0_and_1_stay_apart(value):
    logits = augmented()(torch.full((1, 1, 2, 2), value), lambda x: x)
    torch.testing.assert_close(logits, torch.full((1, 1, 2, 2), value))


def test_half_precision_is_averaged_in_float32():
    assert augmented()(images(1, 1, 2, 2), lambda x: x.half()).dtype == torch.float32


@pytest.mark.parametrize("axes", [[0], [1]])
def test_quarter_turns_and_one_axis_are_the_eight_symmetries_of_a_square(axes):
    x = images(2, 1, 5, 5)
    ways = [(k, flip) for k in range(4) for flip in ([], [2])]
    views = [lopsided(x.rot90(k, (2, 3)).flip(flip)).sigmoid().flip(flip).rot90(-k, (2, 3)) for k, flip in ways]
    averaged = augmented(axes=axes, quarter_turns=True)(x, lopsided)
    torch.testing.assert_close(averaged.sigmoid(), torch.stack(views).mean(0))
    turned = augmented(axes=axes, quarter_turns=True)(x.rot90(1, (2, 3)), lopsided)
    torch.testing.assert_close(turned, averaged.rot90(1, (2, 3)))


def test_quarter_turns_of_an_image_that_is_not_square_come_back_in_its_shape():
    x = images(2, 1, 4, 7)
    torch.testing.assert_close(augmented(quarter_turns=True)(x, pointwise), pointwise(x))
    assert augmented(quarter_turns=True)(x, lambda view: view.mean((2, 3))).shape == (2, 1)


def test_gradients_flow_to_the_network():
    network = nn.Conv2d(1, 1, 3, padding=1)
    augmented()(images(1, 1, 4, 4), network).sum().backward()
    assert network.weight.grad.abs().sum() > 0


def test_with_a_sliding_window_inside():
    x = images(1, 1, 40, 50)
    window = SlidingWindowInferer(roi_size=(16, 16), overlap=0.5)
    torch.testing.assert_close(augmented(inferer=window)(x, pointwise), pointwise(x))


def test_volumes_have_a_third_axis():
    x = images(1, 1, 3, 4, 5)
    torch.testing.assert_close(augmented(axes=[0, 1, 2])(x, pointwise), pointwise(x))
    with pytest.raises(ConfigError, match="images with 2 axes have no axis 2: change axes"):
        augmented(axes=[2])(x[..., 0], pointwise)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"axes": [3]}, r"axes \[3\]: give image axes"),
        ({"axes": [1, 1]}, "each once"),
        ({"label_mode": "soft"}, "choose multilabel or multiclass"),
        ({"axis": 1}, 'Did you mean "axes"'),
        ({"axes": [0, 1], "quarter_turns": True}, "give one axis, 0 or 1, or none"),
    ],
)
def test_a_wrong_option_says_what_to_give(options, message):
    with pytest.raises(ConfigError, match=message):
        augmented(**options)


def test_each_of_several_outputs_is_averaged_as_it_is():
    torch.manual_seed(0)
    network = torch.nn.Conv2d(1, 3, 3)
    images = torch.rand(2, 1, 8, 6)

    def both(x):
        maps = network(x)
        return maps.mean((2, 3)), maps[:, :1]

    average = medkit.transform("test_time_augmentation", label_mode="multiclass")
    classes, mask = average(images, both)
    views = [both(images), both(images.flip(3))]
    expected = (views[0][0].softmax(1) + views[1][0].softmax(1)) / 2
    torch.testing.assert_close(classes.softmax(1), expected)
    torch.testing.assert_close(mask.sigmoid(), (views[0][1].sigmoid() + views[1][1].flip(3).sigmoid()) / 2)
