"""Overrides become the configuration's own values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import yaml
from monai.bundle import ConfigParser

from medkit import overrides as override
from medkit.configuration import walk


def baked(text: str, options: Mapping[str, Any]) -> str:
    """Return a YAML configuration with other values, where it has a place for them.

    A top-level key is written anew if anything below it changes, without the comments in it; all else stays as it is.

    Args:
        text: of the file.
        options: id → value, as on the command line; those without a place in the file stay out.
    """
    config = yaml.safe_load(text)
    parser = ConfigParser(yaml.safe_load(text))
    for key, value in override.applicable(options, config).items():
        parser[key] = value
    changed = parser.get()
    for key, value in reversed(yaml.compose(text, Loader=yaml.SafeLoader).value):
        name = key.value
        if changed[name] != config[name]:
            start, end = key.start_mark.index, value.end_mark.index
            behind = re.search(r"(\n *(#.*)?)*\Z", text[start:end])  # a block's end is the next key's beginning
            entry = yaml.safe_dump({name: changed[name]}, sort_keys=False, allow_unicode=True, width=120)
            text = text[:start] + entry.rstrip("\n") + (behind.group() if behind else "") + text[end:]
    return text


def resized(metadata: dict[str, Any], old: Any, new: Any) -> dict[str, Any]:
    """Return metadata in which images and masks of one ``spatial_shape`` have another."""
    copy = deepcopy(metadata)
    for holder, key, _, value in list(walk(copy)):
        if key == "spatial_shape" and value == old:
            holder[key] = list(new)
    return copy
