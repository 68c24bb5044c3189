import numpy as np
import pytest

import medkit
from medkit.errors import DataError
from medkit.testing import SamplerConformance


class TestContract(SamplerConformance):
    component = "square_root"


def test_a_class_four_times_rarer_is_drawn_half_as_often():
    labels = np.repeat([[1, 0], [0, 1], [np.nan, np.nan]], [800, 200, 100], axis=0)
    sampler = medkit.sampler("square_root", labels=labels)
    drawn = np.concatenate([list(sampler) for epoch in range(50) if not sampler.set_epoch(epoch)])
    rare = np.mean((drawn >= 800) & (drawn < 1000))
    assert rare == pytest.approx(1 / 3, abs=0.01)
    assert drawn.max() < 1000


def test_labels_that_nobody_knows_are_named():
    with pytest.raises(DataError, match="needs labels"):
        medkit.sampler("square_root", labels=np.full((3, 2), np.nan))
