"""What an expansion is made of, in a form that two runs can compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from enum import Enum
from typing import Any

import numpy as np
from monai.data.image_reader import ImageReader
from monai.transforms import Transform

from medkit import contracts as c


def described(value: Any) -> Any:
    """Return a JSON-able description: class and options of transforms and readers, value or class of the rest.

    Equal before use for parts that do the same; random states are left out.
    """
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): described(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [described(item) for item in value]
    if is_dataclass(value) or isinstance(value, Enum):
        return repr(value)
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    return [kind, described(vars(value))] if isinstance(value, Transform | ImageReader) else kind


def record(sample: c.Sample) -> list[Any]:
    """Return what labels.csv and boxes.csv will say of a sample, paths aside."""
    facts = [sample.get(key) for key in (c.LABEL, c.BOXES, c.FRAME_SIZE)]
    tables = [None if fact is None else np.asarray(fact, np.float64).tolist() for fact in facts]
    return [str(sample.get(c.PATIENT, "")), bool(sample.get(c.SYNTHETIC, False)), *tables]


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Sequence[str]:
    """Return ``name was, now is`` of each option that differs."""
    return [f"{name} {before.get(name)}, now {now[name]}" for name in now if before.get(name) != now[name]]
