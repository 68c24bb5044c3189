"""Whether a bundle's metadata.json is complete, and whether what it asks for is installed."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from medkit.errors import shown
from medkit.registry import Offer

SCHEMA = Path(__file__).with_name("metadata_schema.json")
"""At least as strict as MONAI's own; ``python -m monai.bundle verify_metadata --filepath`` takes it too."""
_FRAMEWORKS = {"monai_version": "monai", "pytorch_version": "torch", "numpy_version": "numpy"}


def problems(metadata: Mapping[str, Any]) -> Iterator[str]:
    """Yield where the metadata departs from the schema."""
    from jsonschema import Draft202012Validator

    for error in Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).iter_errors(metadata):
        where = "#".join(map(str, error.absolute_path))
        yield f"metadata.json{f', key {shown(where)}' if where else ''}: {shown(error.message, 200)}"


def missing_packages(metadata: Mapping[str, Any]) -> Iterator[str]:
    """Yield each package that is asked for and not installed, or installed in an older version."""
    for name, asked, installed in _packages(metadata):
        if installed is None:
            yield f"metadata.json asks for {name} {asked}, which is not installed: install it if you know it"
        elif _version(installed) < _version(asked):
            yield f"metadata.json asks for {name} {asked}, and {installed} is installed: update it"


def other_packages(metadata: Mapping[str, Any], used: Iterable[Offer]) -> Iterator[str]:
    """Yield what is good to know: packages that are newer than asked for, parts of packages that nobody asks for."""
    newer = [f"{n} {i} (made with {a})" for n, a, i in _packages(metadata) if i and _version(i) > _version(a)]
    if newer:
        yield f"newer than the bundle asks for: {', '.join(newer)}"
    listed = metadata.get("required_packages_version", {})
    for offer in used:
        if offer.distribution not in listed:
            where = f"{offer.distribution} {offer.version}"
            yield f"part {offer.component.name} is of {where}, which required_packages_version does not list: add it"


def _packages(metadata: Mapping[str, Any]) -> Iterator[tuple[str, str, str | None]]:
    """Yield name, version asked for, and version installed (None: not at all) of what has a version at all."""
    from packaging.version import InvalidVersion

    listed = metadata.get("required_packages_version")
    asked: dict[str, Any] = {dist: metadata.get(key) for key, dist in _FRAMEWORKS.items()}
    for name, version in (asked | (listed if isinstance(listed, dict) else {})).items():
        try:
            _version(str(version))
        except InvalidVersion:  # the schema says so
            continue
        try:
            yield name, str(version), importlib.metadata.version(name)
        except (importlib.metadata.PackageNotFoundError, ValueError):
            yield shown(name), str(version), None


def _version(text: str) -> Any:
    from packaging.version import Version

    return Version(Version(text).public)
