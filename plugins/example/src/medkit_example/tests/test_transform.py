import pytest
import torch

import medkit
from medkit.errors import ConfigError
from medkit.testing import TransformConformance


class TestContract(TransformConformance):
    component = "rand_speckle"


def changed(image, seed=0, **options):
    transform = medkit.transform("rand_speckle", keys="image", probability=1, **options).set_random_state(seed)
    return transform({"image": image})["image"]


def test_grain_is_as_strong_as_the_image_is_bright():
    image = torch.tensor([0.2, 0.4]).repeat_interleave(100).expand(1, 300, 200)
    dark, bright = (part.std().item() for part in changed(image, deviation=0.1).split(100, dim=2))
    assert dark == pytest.approx(0.02, rel=0.02)
    assert bright == pytest.approx(0.04, rel=0.02)


def test_pixels_stay_between_0_and_1():
    image = changed(torch.ones(1, 50, 40), deviation=2)
    assert (image.min(), image.max()) == (0, 1)


def test_an_impossible_probability_is_named():
    with pytest.raises(ConfigError, match="probability from 0 to 1"):
        medkit.transform("rand_speckle", keys="image", probability=2)
