"""The names of the classes, in the order of their numbers."""

from __future__ import annotations

from collections.abc import Sequence

from medkit.errors import ConfigError, did_you_mean

CLASSES = (
    "Nucleoplasm",
    "Nuclear membrane",
    "Nucleoli",
    "Nucleoli fibrillar center",
    "Nuclear speckles",
    "Nuclear bodies",
    "Endoplasmic reticulum",
    "Golgi apparatus",
    "Peroxisomes",
    "Endosomes",
    "Lysosomes",
    "Intermediate filaments",
    "Actin filaments",
    "Focal adhesion sites",
    "Microtubules",
    "Microtubule ends",
    "Cytokinetic bridge",
    "Mitotic spindle",
    "Microtubule organizing center",
    "Centrosome",
    "Lipid droplets",
    "Plasma membrane",
    "Cell junctions",
    "Mitochondria",
    "Aggresome",
    "Cytosol",
    "Cytoplasmic bodies",
    "Rods & rings",
)
"""Kaggle's names for 0 to 27: where in the cell the protein is."""


def columns(classes: Sequence[str] | None, table_classes: Sequence[str]) -> list[int]:
    """Return the numbers of ``classes`` in the table; None means all of them, in order.

    Raises:
        ConfigError: no name, a name twice, or a class that the table does not have.
    """
    for option, names in (("table_classes", table_classes), ("classes", classes)):
        if names is not None and (isinstance(names, str) or not names or len(set(names)) < len(names)):
            raise ConfigError(f"{option} must be a list of different names, at least one, found {names!r}")
    known = list(table_classes)
    for name in classes or ():
        if name not in known:
            hint = did_you_mean(str(name), known)
            raise ConfigError(f'class "{name}" is unknown.{hint} The table has {", ".join(known)}.')
    return [known.index(name) for name in (known if classes is None else classes)]
