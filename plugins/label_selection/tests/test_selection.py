"""Images chosen by how many findings they show."""

import numpy as np
import pytest

import medkit
from medkit.errors import ConfigError, DataError

UNKNOWN = np.nan
LABELS = {
    "none": [0, 0, 0],
    "one": [0, 1, 0],
    "two": [1, 1, 0],
    "all": [1, 1, 1],
    "one of two known": [UNKNOWN, 1, 0],
    "nothing known": [UNKNOWN, UNKNOWN, UNKNOWN],
}
SAMPLES = [{"image": name, "label": np.array(label, np.float32)} for name, label in LABELS.items()]


def kept(**options):
    return [sample["image"] for sample in medkit.transform("label_selection", data=SAMPLES, **options)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, list(LABELS)),
        ({"no_finding": "drop"}, ["one", "two", "all", "one of two known"]),
        ({"several": "drop"}, ["none", "one", "one of two known", "nothing known"]),
        ({"no_finding": "drop", "several": "drop"}, ["one", "one of two known"]),
    ],
)
def test_samples_are_kept_in_order_by_what_they_are_known_to_show(options, expected):
    assert kept(**options) == expected


def test_samples_are_the_same_ones():
    chosen = medkit.transform("label_selection", data=SAMPLES, no_finding="drop")
    assert all(any(sample is given for given in SAMPLES) for sample in chosen)


def test_what_cannot_be_chosen_by_is_named():
    with pytest.raises(DataError, match="leaves none of 1 samples"):
        medkit.transform("label_selection", data=SAMPLES[:1], no_finding="drop")
    with pytest.raises(DataError, match=r"1 of 2 samples have no label .* first bare"):
        medkit.transform("label_selection", data=[SAMPLES[0], {"image": "bare"}])
    with pytest.raises(ConfigError, match=r'several "no": give keep or drop'):
        medkit.transform("label_selection", data=SAMPLES, several="no")


def test_the_balanced_sampler_takes_what_is_left():
    chosen = medkit.transform("label_selection", data=SAMPLES[:4], no_finding="drop", several="drop")
    sampler = medkit.sampler("balanced", labels=medkit.labels(data=chosen), no_finding_is_class=False)
    assert set(sampler) == {0}
