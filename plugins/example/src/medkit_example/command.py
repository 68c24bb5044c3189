"""`medkit scores`: arguments in, text out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from medkit.errors import DataError


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
def scores(run: Path) -> None:
    """Print every score of a finished run, with its 95 % interval and its count.

    RUN is what medkit run has left, such as runs/chest_gradcam/latest.
    """
    file = run / "metrics.json"
    if not file.is_file():
        raise DataError(f"{run} has no metrics.json: give the folder of a run whose evaluation has ended")
    for name, score in _scores(json.loads(file.read_text(encoding="utf-8"))):
        value, low, high = ("-" if score[key] is None else f"{score[key]:.3f}" for key in ("value", "low", "high"))
        click.echo(f"{name:<40} {value:>6}  [{low}, {high}]  n={score['n']}")


def _scores(node: Any, name: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every mapping below ``node`` that is a score, with the way to it."""
    if isinstance(node, dict) and {"value", "low", "high", "n"} <= node.keys():
        yield name, node
    elif isinstance(node, dict):
        for key, item in node.items():
            yield from _scores(item, f"{name} {key}".strip())
