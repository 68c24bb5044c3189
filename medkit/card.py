"""The card beside a weights file: what its numbers mean, in JSON that a person can read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from medkit.errors import CheckpointError, did_you_mean
from medkit.files import sha256, write_json


@dataclass(frozen=True, slots=True)
class Card:
    """What is known of a weights file.

    Attributes:
        sha256: of the weights file, in hexadecimal.
        labels: the findings in the order of the head's outputs.
        input_scaling: what the network expects of its input: ``{"mean": …, "std": …}`` (a number, or one a channel) is
            ``(grey − mean) / std`` of a grey value in 0…1; ``{"range": [low, high]}`` takes 0…1 to low…high. With
            ``"order": "BGR"`` the file's channels are blue, green, red; the network's are red, green, blue.
        source: where the file comes from.
        licence: its terms.
        synthetic: it learned from synthetic images.
        images: how many it learned from.
        epoch: after which the weights were taken.
        validation: the metric that chose the epoch.
    """

    sha256: str
    labels: list[str] | None = None
    input_scaling: dict[str, Any] | None = None
    source: str = ""
    licence: str = ""
    synthetic: bool = False
    images: int | None = None
    epoch: int | None = None
    validation: float | None = None


def card_path(weights: str | Path) -> Path:
    """Return where the card of a weights file lies: ``chexnet.pt`` → ``chexnet.json``."""
    return Path(weights).with_suffix(".json")


def read_card(weights: str | Path) -> Card | None:
    """Return the card beside ``weights``, or None where there is none.

    Raises:
        CheckpointError: the card is not readable, has an unknown field, or belongs to another file.
    """
    path = card_path(weights)
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        known = [field.name for field in fields(Card)]
        for field in content:
            if field not in known:
                raise ValueError(f'unknown field "{field}".{did_you_mean(field, known)}')
        card = Card(**content)
    except (ValueError, TypeError) as error:
        raise CheckpointError(f'card "{path}" is not valid: {error}: write it with write_card') from error
    if card.sha256 != (found := sha256(weights)):
        raise CheckpointError(
            f'weights "{weights}" have sha256 {found[:12]}…, their card "{path.name}" says {card.sha256[:12]}…: '
            "fetch the right file, or write a new card with write_card"
        )
    return card


def write_card(weights: str | Path, **facts: Any) -> Path:
    """Write the card beside ``weights``, with the file's hash, and return its path; see `Card` for the facts."""
    path = card_path(weights)
    write_json(path, asdict(Card(sha256=sha256(weights), **facts)))
    return path
