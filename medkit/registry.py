"""Find plugins, isolate broken ones, look parts up by name."""

from __future__ import annotations

import functools
import importlib.metadata
import os
from dataclasses import dataclass, field

from medkit.compatibility import made_for_another_core, registered
from medkit.component import Component
from medkit.errors import PluginError, did_you_mean
from medkit.hookspecs import HOOKS

GROUP = "medkit"
DISABLED = "MEDKIT_DISABLED_PLUGINS"


@dataclass(frozen=True, slots=True)
class Offer:
    """One component with where it came from."""

    kind: str
    component: Component
    distribution: str
    version: str
    entry: str = ""

    @property
    def qualified_name(self) -> str:
        """``distribution:name``, which picks one provider where several offer a name."""
        return f"{self.distribution}:{self.component.name}"


@dataclass(frozen=True, slots=True)
class Failure:
    """A plugin that could not be loaded, with the reason as one line."""

    plugin: str
    distribution: str
    version: str
    error: str


@dataclass(frozen=True, slots=True)
class Notice:
    """What the author of a plugin that works should change, as one line."""

    plugin: str
    distribution: str
    version: str
    text: str


@dataclass(slots=True)
class Registry:
    """Every part that the installed plugins offer, and every plugin that failed.

    Attributes:
        offers: all parts, in order of distribution and declaration.
        failures: plugins that raised, or are made for another medkit, with the reason.
        notices: of plugins that use what is deprecated, or offer kinds of parts that this medkit does not know.
        disabled: plugins named in ``MEDKIT_DISABLED_PLUGINS`` and found.
    """

    offers: list[Offer] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    disabled: list[str] = field(default_factory=list)

    @classmethod
    def discover(cls, entry_points: list[importlib.metadata.EntryPoint] | None = None) -> Registry:
        """Load the entry points of the group ``medkit`` one by one, each inside a guard of its own."""
        registry = cls()
        if entry_points is None:
            entry_points = list(importlib.metadata.entry_points(group=GROUP))
        switched_off = {name.strip() for name in os.environ.get(DISABLED, "").split(",") if name.strip()}
        for entry in sorted(set(entry_points), key=lambda e: (e.dist.name if e.dist else "", e.name)):
            distribution = entry.dist.name if entry.dist else "unknown"
            version = entry.dist.version if entry.dist else "0"
            plugin = f"{distribution}:{entry.name}"
            if switched_off & {plugin, distribution, entry.name}:
                registry.disabled.append(plugin)
                continue
            try:
                found, notices = _components_of(entry, plugin)
            except (Exception, SystemExit) as error:  # a stranger's module may raise anything
                told = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
                reason = told.splitlines()[0]
                registry.failures.append(Failure(plugin, distribution, version, reason))
                continue
            registry.offers += [Offer(kind, part, distribution, version, entry.name) for kind, part in found]
            registry.notices += [Notice(plugin, distribution, version, text) for text in notices]
        return registry

    def of_kind(self, kind: str) -> list[Offer]:
        """Return all offers of a kind, sorted by name."""
        return sorted((o for o in self.offers if o.kind == kind), key=lambda o: o.component.name)

    def find(self, kind: str, name: str) -> Offer:
        """Return the one offer of that kind and name; ``distribution:name`` picks one of several.

        Raises:
            PluginError: nobody offers the name, or more than one plugin does.
        """
        candidates = self.of_kind(kind)
        matches = [o for o in candidates if name in (o.component.name, o.qualified_name)]
        if len(matches) == 1:
            return matches[0]
        if matches:
            providers = ", ".join(f'"{o.qualified_name}" {o.version}' for o in matches)
            raise PluginError(f'{kind} "{name}" is offered by several plugins: name one of {providers}')
        names = sorted({o.component.name for o in candidates})
        elsewhere = sorted({o.kind for o in self.offers if o.component.name == name})
        hint = f" It is a {elsewhere[0]}." if elsewhere else did_you_mean(name, names)
        broken = "".join(f" Plugin {f.plugin} {f.version} failed to load: {f.error}." for f in self.failures)
        off = f" Switched off by {DISABLED}: {', '.join(self.disabled)}." if self.disabled else ""
        installed = ", ".join(names) or "none"
        raise PluginError(f'{kind} "{name}" is not installed.{hint} Installed: {installed}.{broken}{off}')


def _components_of(entry: importlib.metadata.EntryPoint, plugin: str) -> tuple[list[tuple[str, Component]], list[str]]:
    """Import one plugin and list what it declares, and what to tell its author; raises whatever it raises."""
    if reason := made_for_another_core(entry.dist.requires if entry.dist else None):
        raise PluginError(reason)
    manager, notices = registered(entry.load(), plugin)
    found: list[tuple[str, Component]] = []
    for kind, hook in HOOKS.items():
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            for component in list(implementation.function()):
                if not isinstance(component, Component):
                    raise PluginError(f"{hook} gave {type(component).__name__}, expected medkit.Component")
                found.append((kind, component))
    return found, notices


@functools.cache
def registry() -> Registry:
    """Return the registry of this process, discovered once."""
    return Registry.discover()
