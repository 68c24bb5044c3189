"""What one fact of a patient is as a number: 0 where nobody says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medkit.errors import ConfigError, DataError, did_you_mean

NIH = {
    "patient_age_years": {"column": "Patient Age", "centre": 50, "scale": 20},
    "patient_sex": {"column": "Patient Gender", "value": "F"},
    "view_position": {"column": "View Position", "value": "AP"},
}
"""Three facts that DICOM files state, and NIH's columns of them."""
OPTIONS = ("column", "value", "centre", "scale")


class Fact:
    """One fact: how its text or number becomes one number.

    Args:
        name: of the fact, as the reader tells it.
        column: of the table.
        value: the word whose presence is 1, that of another −1. None: the fact is a number x, ``(x − centre) / scale``.
        centre, scale: those of a number; the centre should be an average patient's, whom an unknown one then equals.

    Raises:
        ConfigError: an option has another name, or ``scale`` is 0.
    """

    def __init__(self, name: str, **options: Any) -> None:
        for option in options:
            if option not in OPTIONS:
                hint = did_you_mean(option, OPTIONS)
                raise ConfigError(f'fact {name} has no option "{option}".{hint} Options: {", ".join(OPTIONS)}.')
        self.name = name
        self.column: str = options.get("column", name)
        self.value: str | None = options.get("value")
        self.centre, self.scale = float(options.get("centre", 0)), float(options.get("scale", 1))
        if not self.scale:
            raise ConfigError(f"fact {name}: scale is 0: give the spread of the values")

    def number(self, given: Any) -> float:
        """Return the number; 0 for None and blank text.

        Raises:
            DataError: what should be a number is none.
        """
        text = "" if given is None else str(given).strip()
        if not text:
            return 0.0
        if self.value is not None:
            return 1.0 if text.lower() == str(self.value).lower() else -1.0
        try:
            return (float(text.removesuffix("Y")) - self.centre) / self.scale  # an age in DICOM and NIH's first table
        except ValueError:
            raise DataError(
                f'fact {self.name}: "{text}" is no number: mend the table, or leave the cell blank'
            ) from None


def facts_of(given: Mapping[str, Mapping[str, Any]]) -> list[Fact]:
    """Return the facts in order.

    Raises:
        ConfigError: there is none, or one has a wrong option.
    """
    if not given:
        raise ConfigError("fact_channels: facts is empty: name one, or leave the transform out")
    return [Fact(name, **options) for name, options in given.items()]
