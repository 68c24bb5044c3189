"""What is asked of transforms, handlers and commands: little, for they are what fits no other kind."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any
from unittest import SkipTest

import click
import torch
from click.testing import CliRunner
from monai.transforms import MapTransform, Randomizable

from medkit import contracts as c
from medkit.errors import MedkitError
from medkit.testing.part import Conformance, NeedsOptions, expecting, require
from medkit.testing.postprocessor import same
from medkit.testing.samples import decollated_sample


class TransformConformance(Conformance):
    """The checks of a transform, a reader or whatever else a configuration constructs for its data.

    Dictionary transforms of MONAI's are also called, on the sample that `make_sample` gives.
    """

    kind = "transform"

    def contract_options(self) -> dict[str, Any]:
        return {"keys": c.IMAGE}

    def make_sample(self) -> c.Sample:
        """Return what a dictionary transform is called on: an image (1,48,64) that has been read, with its facts."""
        return decollated_sample(0)

    def test_it_goes_to_workers(self) -> None:
        part = self.build()
        with expecting("a part that can be pickled", "keep no lambda and no open file in it: workers need a copy"):
            pickle.loads(pickle.dumps(part))

    def test_it_does_not_modify_its_sample(self) -> None:
        part, sample = self._dictionary_transform(), self.make_sample()
        before = copy.deepcopy(sample)
        self._call(part, sample)
        changed = [key for key in {**before, **sample} if not same(before.get(key), sample.get(key))]
        require(not changed, f"the sample's {', '.join(changed)} changed: return a new dictionary, and copy arrays")

    def test_the_same_seed_gives_the_same(self) -> None:
        part, results = self._dictionary_transform(), []
        for other in (1, 2):
            torch.manual_seed(other)
            if isinstance(part, Randomizable):
                part.set_random_state(seed=5)
            results.append(self._call(part, self.make_sample()))
        require(
            same(*results),
            "the same result was asked for, it differs: draw from self.R of MONAI's Randomizable, which "
            "set_random_state seeds, and not from a global generator",
        )

    def _dictionary_transform(self) -> Any:
        part = self.build()
        if not isinstance(part, MapTransform):
            raise SkipTest("it is no MONAI dictionary transform")
        return part

    def _call(self, part: Any, sample: c.Sample) -> Any:
        with expecting("a sample for a sample", "copy it and return the copy"):
            try:
                return part(sample)
            except Exception as error:
                if type(self).make_sample is not TransformConformance.make_sample:
                    raise
                needs = f'transform "{self.component}" needs make_sample: an image that has been read is not for it'
                raise NeedsOptions(needs) from error


class HandlerConformance(Conformance):
    """The checks of an Ignite handler, or of a writer that a stage runs."""

    kind = "handler"

    def test_it_can_be_attached_or_run(self) -> None:
        target = self.offer.component.load()
        if inspect.isfunction(target):
            raise SkipTest("it is a function, whose result a configuration uses")
        found = [name for name in ("attach", "run") if callable(getattr(target, name, None))]
        require(found, "attach(engine) of an Ignite handler, or run() of a writer, was asked for, neither was found")


class CommandConformance(Conformance):
    """The checks of a command of `medkit`."""

    kind = "command"

    def test_its_options_are_named_and_documented(self) -> None:
        command = self.command
        require(command.get_short_help_str(), "a docstring was asked for, the command has none: --help shows it")
        silent = [p.name for p in command.params if isinstance(p, click.Option) and not (p.help or p.hidden)]
        require(not silent, f"help for every option was asked for, {', '.join(map(str, silent))} has none: help=…")

    def test_it_has_help_and_refuses_an_unknown_option(self) -> None:
        done = CliRunner().invoke(self.command, ["--help"])
        require(
            done.exit_code == 0, f"--help with exit code 0 was asked for, {done.exit_code} was found: {done.output}"
        )
        done = CliRunner().invoke(self.command, ["--no-such-option"])
        told = done.exit_code == 2 or isinstance(done.exception, MedkitError)
        require(told, f"an error of one line for an unknown option was asked for, {done.exception!r} was found")

    @property
    def command(self) -> click.Command:
        """The command."""
        with expecting("a target that can be imported", "mend the target or what it imports"):
            command: Any = self.offer.component.load()
        require(
            isinstance(command, click.Command), f"a click command was asked for, {type(command).__name__} was found"
        )
        return command
