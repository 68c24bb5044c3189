"""Describe a part or a bundle for ``medkit info``."""

from __future__ import annotations

import inspect
from pathlib import Path

from medkit.bundle import Bundle
from medkit.errors import shown
from medkit.registry import Offer


def describe_part(offer: Offer) -> str:
    """Return name, source, options and documentation of a part; imports it."""
    part = offer.component
    target = part.load()
    options = [
        f"  {p.name}" + ("" if p.default is p.empty else f" = {p.default!r}")
        for p in inspect.signature(target).parameters.values()
    ]
    lines = [
        f"{offer.kind} {part.name}: {part.summary}",
        f"from {offer.distribution} {offer.version}, {part.target}",
        *([f"reference: {part.reference}"] if part.reference else []),
        *([f"not like others of its kind: {part.departs}"] if part.departs else []),
        "options:",
        *(options or ["  none"]),
        "",
        inspect.getdoc(target) or "",
    ]
    return "\n".join(lines)


def describe_bundle(path: Path) -> str:
    """Return a bundle's description and its stages; executes nothing."""
    bundle = Bundle.read(path)
    about = bundle.metadata
    lines = [
        f"{bundle.name} {about.get('version', '')}: {about.get('task', '')}",
        about.get("description", ""),
        "stages:",
    ]
    for stage in bundle.written:
        needs = f"; needs {', '.join(stage.needs)}" if stage.needs else ""
        makes = f"; makes {', '.join(stage.makes)}" if stage.makes else ""
        loops = "".join(f"; for {name} {values}" for name, values in stage.loops.items())
        lines.append(f"  {stage.name:<10} {stage.title} ({', '.join(stage.config)}{needs}{makes}{loops})")
    return "\n".join(shown(line, 2000) for line in lines)
