"""The checks of a plugin's parts without pytest, for ``medkit check --plugin``."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from unittest import SkipTest

from medkit.errors import PluginError, did_you_mean
from medkit.registry import Offer, Registry
from medkit.testing import (
    CommandConformance,
    Conformance,
    DatasetConformance,
    HandlerConformance,
    LocalizerConformance,
    LossConformance,
    NeedsOptions,
    NetworkConformance,
    PostprocessorConformance,
    SamplerConformance,
    TransformConformance,
)

KINDS: dict[str, type[Conformance]] = {
    kind.kind: kind
    for kind in (
        CommandConformance,
        DatasetConformance,
        HandlerConformance,
        LocalizerConformance,
        LossConformance,
        NetworkConformance,
        PostprocessorConformance,
        SamplerConformance,
        TransformConformance,
    )
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """One check of one part.

    Attributes:
        part: kind and name.
        check: as a sentence.
        status: ``ok``, ``FAILED`` or ``not applicable``.
        why: for the latter two.
    """

    part: str
    check: str
    status: str
    why: str = ""

    def to_text(self) -> str:
        """Return it as one line."""
        return f"{self.part}: {self.check}: {self.status}" + (f": {self.why}" if self.why else "")


def offers_of(found: Registry, plugin: str) -> list[Offer]:
    """Return the parts of a plugin, given by its distribution, its folder's name, or the name of one of its parts.

    Raises:
        PluginError: there is none, or it failed to load.
    """
    wanted = {plugin, f"medkit-{plugin.replace('_', '-')}"}
    failed = [f for f in found.failures if wanted & {f.distribution, f.plugin, f.plugin.partition(":")[2]}]
    if failed:
        raise PluginError(f"{failed[0].plugin} {failed[0].version} failed to load: {failed[0].error}")
    of_plugin = [o for o in found.offers if wanted & {o.distribution, o.entry, f"{o.distribution}:{o.entry}"}]
    offers = of_plugin or [o for o in found.offers if plugin in (o.component.name, o.qualified_name)]
    if not offers:
        known = {o.distribution for o in found.offers} | {o.component.name for o in found.offers}
        raise PluginError(f'no plugin and no part "{plugin}" is installed.{did_you_mean(plugin, known)}')
    return offers


def outcomes(offers: list[Offer]) -> Iterator[Outcome]:
    """Run every check of these parts, one after the other, with what the contract alone gives."""
    for offer in offers:
        part = f"{offer.kind} {offer.component.name}"
        base = KINDS[offer.kind]
        case = type(base.__name__, (base,), {"component": offer.qualified_name})()
        needed = set()
        for name in [name for name in dir(case) if name.startswith("test_")]:
            try:
                status, why = _outcome(case, name)
            except NeedsOptions as error:
                needed.add(str(error))
                continue
            if why and why == offer.component.departs:
                needed.add(f"it departs from the contract: {why}")
                continue
            yield Outcome(part, name.removeprefix("test_").replace("_", " "), status, why)
        for why in sorted(needed):
            yield Outcome(part, "what it does", "not applicable", f"{why}: run its own tests")


def _outcome(case: Conformance, name: str) -> tuple[str, str]:
    """Return status and reason; raises NeedsOptions."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            getattr(case, name)()
    except SkipTest as reason:
        return "not applicable", str(reason)
    except NeedsOptions:
        raise
    except AssertionError as error:
        return "FAILED", " ".join(str(error).split())
    except Exception as error:  # a stranger's part may raise anything
        where = traceback.extract_tb(error.__traceback__)[-1]
        return "FAILED", f"{type(error).__name__}: {error} ({where.filename}, line {where.lineno})"
    return "ok", ""
