"""Facts that travel inside a PNG, so that an ingested bitmap is still known by view, age and original size."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from typing import Any

from medkit_dicom_ingest.facts import Source

KEYWORD = "medkit"
LONGEST = 16384
FACTS = [fact.name for fact in fields(Source)]


def carried(source: Source) -> str:
    """Return what a PNG of one image carries; the caller has removed what must not be shared."""
    return json.dumps({**{name: getattr(source, name) for name in FACTS}, "frames": 1}, sort_keys=True)


def restored(text: object) -> Source | None:
    """Return the facts that `carried` wrote, or None: anyone can write anything into a PNG."""
    if not isinstance(text, str) or len(text) > LONGEST:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    kinds = {field.name: str(field.type) for field in fields(Source)}
    if not isinstance(found, dict) or not {"rows", "columns", "format"} <= found.keys() <= kinds.keys():
        return None
    if not all(_fits(value, kinds[name]) for name, value in found.items()):
        return None
    return Source(**found)


def _fits(value: Any, kind: str) -> bool:
    if value is None:
        return "None" in kind
    if kind == "int":
        return type(value) is int and 0 < value < 2**31
    if kind == "bool":
        return type(value) is bool
    if kind == "str":
        return isinstance(value, str) and re.fullmatch(r"[\w \\\-.+/:,()]{0,128}", value) is not None
    if kind == "list[str]":
        return isinstance(value, list) and all(isinstance(line, str) and line.isprintable() for line in value)
    numbers = value if kind.startswith("list") and isinstance(value, list) and len(value) == 2 else [value]
    return all(type(number) in (int, float) and 0 <= number < 1e6 for number in numbers)
