"""Whether a data set gives the same image every time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from monai.transforms import Compose, OneOf, Randomizable, RandomizableTrait, RandomOrder, SomeOf
from torch.utils.data import Dataset


def random_transforms(dataset: Any) -> Iterator[Any]:
    """Yield the random transforms of a data set, and of the data sets inside it (torch's Subset and ConcatDataset)."""
    yield from _random(getattr(dataset, "transform", None))
    for inner in (getattr(dataset, "data", None), getattr(dataset, "dataset", None)):
        if isinstance(inner, Dataset):
            yield from random_transforms(inner)
    for inner in getattr(dataset, "datasets", ()):
        yield from random_transforms(inner)


def _random(transform: Any) -> Iterator[Any]:
    if isinstance(transform, Compose) and not isinstance(transform, OneOf | RandomOrder | SomeOf):
        for one in transform.transforms:  # a Compose is Randomizable for the sake of those in it
            yield from _random(one)
    elif isinstance(transform, Randomizable | RandomizableTrait):
        yield transform
