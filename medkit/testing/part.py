"""What is asked of a part of any kind."""

from __future__ import annotations

import functools
import inspect
import json
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar
from unittest import SkipTest

from medkit.build import build
from medkit.errors import ConfigError, MedkitError, did_you_mean
from medkit.registry import Offer, registry

_LISTING = """
import importlib.metadata, json, sys
sys.path[:] = json.loads(sys.argv[2])
from medkit.registry import GROUP, Registry
Registry.discover([e for e in importlib.metadata.entry_points(group=GROUP) if e.dist.name == sys.argv[1]])
print(json.dumps(sorted({"torch", "monai", "numpy"} & set(sys.modules))))
"""


class NeedsOptions(MedkitError):
    """A part cannot be built, or its data cannot be made, from the contract alone: its own tests say how."""


class Conformance:
    """The checks of one part; the base of one class for each kind.

    Attributes:
        component: the part's name; ``distribution:name`` where several plugins offer it.
        options: keywords that the part is built with, beside those of the contract. Keep it small and quick: few
            channels, few images. May be a property.
        not_applicable: check → why it cannot hold for this part. Such a check is reported as skipped, with the reason.
    """

    kind: ClassVar[str]
    component: ClassVar[str]
    options: Mapping[str, Any] = {}
    not_applicable: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Put a skip with its reason in the place of what is not applicable."""
        super().__init_subclass__(**kwargs)
        for check, reason in vars(cls).get("not_applicable", {}).items():
            known = [name for name in dir(cls) if name.startswith("test_")]
            if check not in known:
                raise ConfigError(f'{cls.__name__}: not_applicable "{check}" is no check.{did_you_mean(check, known)}')
            setattr(cls, check, _left_out(reason))

    @property
    def offer(self) -> Offer:
        """What the plugin declares of the part."""
        with expecting(f'a {self.kind} "{self.component}"', "declare it in the plugin's hooks and install the plugin"):
            return registry().find(self.kind, self.component)

    def contract_options(self) -> dict[str, Any]:
        """Return the keywords that every part of this kind may ask for; only those in its signature are passed."""
        return {}

    def build(self, **changes: Any) -> Any:
        """Return a new part.

        Args:
            **changes: take the place of options.

        Raises:
            NeedsOptions: it asks for options, or values, that neither the contract nor this class gives.
            SkipTest: it says that it departs from the contract.
        """
        options = self.all_options(**changes)
        with expecting(f"to be built with {_shown(options)}", "take these keywords; see medkit.contracts"):
            try:
                return build(self.kind, self.component, options)
            except ConfigError as error:
                if self.options:
                    raise
                raise NeedsOptions(f'{self.kind} "{self.component}" needs options: {error}') from error

    def refusal(self, **changes: Any) -> Exception | None:
        """Return what a new part raises for wrong options, None where it takes them."""
        try:
            build(self.kind, self.component, self.all_options(**changes))
        except Exception as error:
            return error
        return None

    def all_options(self, **changes: Any) -> dict[str, Any]:
        """Return the contract's keywords as far as the part has them, its options, and the changes; see `build`."""
        if self.offer.component.departs:
            raise SkipTest(self.offer.component.departs)
        parameters = inspect.signature(self.offer.component.load()).parameters
        known = {name: value for name, value in self.contract_options().items() if name in parameters}
        options = {**known, **self.options, **changes}
        named = [p for p in parameters.values() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        if missing := [p.name for p in named if p.default is p.empty and p.name not in options]:
            raise NeedsOptions(f'{self.kind} "{self.component}" needs options {", ".join(missing)}')
        return options

    def test_it_is_installed_and_says_what_it_does_in_one_line(self) -> None:
        summary = self.offer.component.summary
        require(
            summary.strip() and "\n" not in summary,
            f"a summary of one line was asked for, {summary!r} was found: `medkit plugins` shows it",
        )

    def test_its_plugin_is_made_for_this_medkit(self) -> None:
        found = registry()
        failed = [f"{f.plugin}: {f.error}" for f in found.failures if f.distribution == self.offer.distribution]
        require(not failed, f"a plugin that loads was asked for: {'; '.join(failed)}")
        for notice in [n for n in found.notices if n.distribution == self.offer.distribution]:
            warnings.warn(f"{notice.plugin}: {notice.text}", DeprecationWarning, stacklevel=1)

    def test_listing_its_plugin_imports_neither_torch_nor_monai_nor_numpy(self) -> None:
        heavy = _imported_by(self.offer.distribution)
        require(
            not heavy,
            f"listing a plugin must stay quick, but listing {self.offer.distribution} imported {', '.join(heavy)}: "
            "import it in the module that the component's target names, not in the one with the hooks",
        )

    def test_its_options_are_named_and_documented(self) -> None:
        with expecting("a target that can be imported", "mend the target or what it imports"):
            target: Any = self.offer.component.load()
        parameters = inspect.signature(target).parameters.values()
        swallowed = [str(p) for p in parameters if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        require(
            not swallowed,
            f"options by name were asked for, {', '.join(swallowed)} was found: name each in the signature, so that a "
            "misspelt one is an error",
        )
        # a class may leave it to the one that it inherits, but not to torch's
        own = [t for t in getattr(target, "__mro__", [target]) if _package(t) == _package(target)]
        require(
            any((t.__doc__ or "").strip() for t in own),
            f"a docstring was asked for, {self.offer.component.target} has none: `medkit info` shows it",
        )


def require(holds: object, message: str) -> None:
    """Raise AssertionError with the message unless ``holds``; unlike ``assert``, under ``python -O`` too."""
    if not holds:
        raise AssertionError(message)


@contextmanager
def expecting(asked: str, do: str) -> Iterator[None]:
    """Turn whatever the part raises inside into an AssertionError: asked → found → do."""
    try:
        yield
    except (AssertionError, SkipTest, NeedsOptions):
        raise
    except Exception as error:
        found = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        raise AssertionError(f"{asked} was asked for, it raised {found}: {do}") from error


def _left_out(reason: str) -> Callable[[Conformance], None]:
    def left_out(self: Conformance) -> None:
        raise SkipTest(reason)

    return left_out


def _package(target: Any) -> str:
    return str(target.__module__).partition(".")[0]


def _shown(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={str(value)[:40]}" for name, value in options.items()) or "no options"


@functools.cache
def _imported_by(distribution: str) -> list[str]:
    """Return what of torch, MONAI and numpy a new process has imported once it has listed a plugin's parts."""
    done = subprocess.run(
        [sys.executable, "-c", _LISTING, distribution, json.dumps(sys.path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    require(done.returncode == 0, f"listing {distribution} in a new process failed: {done.stderr.strip()[-500:]}")
    modules: list[str] = json.loads(done.stdout.splitlines()[-1])
    return modules
