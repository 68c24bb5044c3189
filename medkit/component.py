"""What a plugin declares: one record a part."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from medkit.errors import PluginError


@dataclass(frozen=True, slots=True)
class Component:
    """One part that a plugin offers, by name.

    Attributes:
        name: what a bundle writes, in snake case, e.g. ``grad_cam``.
        target: ``package.module:Attribute`` of the class or function, as a string, so that listing plugins imports
            neither torch nor MONAI.
        summary: one line for ``medkit plugins``.
        reference: the source paper: authors, year, DOI or arXiv number.
        departs: how the part departs from what its kind must accept and return (`medkit.contracts`), for the few that
            do and so cannot take another's place.
    """

    name: str
    target: str
    summary: str = ""
    reference: str = ""
    departs: str = ""

    def __post_init__(self) -> None:
        module, _, attribute = self.target.partition(":")
        if not self.name.isidentifier():
            raise PluginError(f'component name "{self.name}" is not an identifier: use snake case, e.g. "my_part"')
        if not module or not attribute.isidentifier():
            raise PluginError(f'target "{self.target}" of component "{self.name}" is not "package.module:Attribute"')

    def load(self) -> Callable[..., Any]:
        """Import the target and return it.

        Raises:
            PluginError: the module cannot be imported or lacks the attribute.
        """
        module, _, attribute = self.target.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except (Exception, SystemExit) as error:  # a stranger's module may raise anything
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise PluginError(f'component "{self.name}" ({self.target}) cannot be imported: {reason}') from error
