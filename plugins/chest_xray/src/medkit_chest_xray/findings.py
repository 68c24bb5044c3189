"""The names of findings and the spellings that occur for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from medkit.errors import ConfigError, did_you_mean

CHESTXRAY8 = (
    "Atelectasis",
    "Cardiomegaly",
    "Effusion",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pneumonia",
    "Pneumothorax",
)
"""The eight findings of ChestX-ray8: those that NIH's boxes are drawn for."""

CHESTXRAY14 = (*CHESTXRAY8, "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia")
"""The fourteen findings of ChestX-ray14."""

NO_FINDING = "No Finding"


def spelling(name: str) -> str:
    """Return what two spellings of one finding share: ``Pleural thickening`` and ``Pleural_Thickening`` are equal.

    NIH's box table says ``Infiltrate`` where its label table says ``Infiltration``.
    """
    plain = "_".join(name.casefold().replace("_", " ").split())
    return "infiltration" if plain == "infiltrate" else plain


def checked(findings: Sequence[str], known: Iterable[str] | None = None) -> tuple[str, ...]:
    """Return ``findings`` as a tuple of distinct names.

    Args:
        findings: what the user asked for.
        known: the names that a table has; None accepts every name.

    Raises:
        ConfigError: no name, one name twice, or a name that ``known`` lacks.
    """
    if isinstance(findings, str) or not findings:
        raise ConfigError(f"findings must be a list of at least one name, found {findings!r}")
    wanted = tuple(str(name) for name in findings)
    if len({spelling(name) for name in wanted}) < len(wanted):
        raise ConfigError(f"findings names one finding twice: {', '.join(wanted)}")
    if known is not None:
        known = tuple(known)
        spelt = {spelling(name) for name in known}
        for name in wanted:
            if spelling(name) not in spelt:
                hint = did_you_mean(name, known)
                raise ConfigError(f'finding "{name}" is unknown here.{hint} Known: {", ".join(known)}.')
    return wanted
